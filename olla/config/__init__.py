"""The configuration: YAML, environment and defaults in, frozen values out; read by the wiring alone."""

from olla.config.load import Loaded, load
from olla.config.remarks import ConfigError, Remark
from olla.config.schema import Config

__all__ = ["Config", "ConfigError", "Loaded", "Remark", "load"]
