"""What this program is and can do: ``/version``."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence

from attrs import frozen

import twisted
from olla.web.page import NO_STORE, Page, json_page

MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
CAPABILITIES = (
    "load_balancing",
    "health_checking",
    "rate_limiting",
    "model_unification",
    "endpoint_discovery",
    "message_translation",
    "translation_anthropic",
    "passthrough_anthropic",
)
BACKENDS = (
    "ollama",
    "lemonade",
    "litellm",
    "llamacpp",
    "lmdeploy",
    "lm_studio",
    "omlx",
    "sglang",
    "vllm",
    "vllm-mlx",
    "openai_compatible",
    "docker-model-runner",
)
ENDPOINTS = {
    "health": "/internal/health",
    "metrics": "/internal/metrics",
    "process": "/internal/process",
    "status": "/internal/status",
    "version": "/version",
}


@frozen
class Build:
    """
    Which build this is.

    :ivar version: ``v0.1.0``.
    :ivar commit: ``none`` when not stamped.
    :ivar date: ``unknown`` when not stamped.
    """

    version: str
    commit: str = "none"
    date: str = "unknown"


def implementation() -> str:
    """Name the interpreter: ``CPython 3.12.7``."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def system() -> str:
    """Name the system: ``linux/amd64``."""
    machine = platform.machine()
    return f"{sys.platform}/{MACHINES.get(machine, machine.lower())}"


def version_page(
    build: Build, capabilities: Sequence[str], links: Mapping[str, str], query: Mapping[bytes, Sequence[bytes]]
) -> Page:
    """
    Make the page (http-api.md §11.3).

    :param capabilities: what of :data:`CAPABILITIES` is there.
    :param links: ``homepage``, ``documentation`` and ``releases``.
    """
    return json_page(
        {
            "name": "Olla",
            "version": build.version,
            "edition": "Community",
            "description": "A proxy and load balancer for language model servers",
            "build": {
                "commit": build.commit,
                "date": build.date,
                "go_version": implementation(),
                "python_version": platform.python_version(),
                "twisted_version": twisted.__version__,
                "platform": system(),
            },
            "capabilities": list(capabilities),
            "capabilities_experimental": [],
            "supported_backends": list(BACKENDS),
            "api": {"version": "v1", "endpoints": ENDPOINTS},
            "links": dict(links),
        },
        NO_STORE,
    )
