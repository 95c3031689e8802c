"""Events to tell in tests."""

from __future__ import annotations

from typing import Any

from olla.domain.endpoint import Endpoint
from olla.events import Finished

ENDPOINT = Endpoint("alpha", "http", "10.1.1.1", 11434)
OTHER_ENDPOINT = Endpoint("beta", "http", "10.1.1.2", 11434)


def finished(**changes: Any) -> Finished:
    """Make the end of an ordinary request."""
    facts: dict[str, Any] = {
        "id": "woolly-1",
        "outcome": "success",
        "surface": "proxy",
        "method": "POST",
        "path": "/olla/openai/v1/chat/completions",
        "query": "",
        "status": 200,
        "peer": "10.0.0.1",
        "client": "203.0.113.9",
        "started": 100.0,
        "duration": 0.25,
        "endpoint": ENDPOINT,
        "model": "llama3:8b",
        "attempts": 1,
        "bytes_in": 120,
        "bytes_out": 2000,
    }
    return Finished(**{**facts, **changes})
