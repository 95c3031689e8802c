"""Selectors and limiters, ours and strangers': any package may put modules here (docs/plugins.rst)."""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
