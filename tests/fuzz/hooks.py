"""What schemathesis checks of every answer besides its form; it imports this by name."""

from __future__ import annotations

import schemathesis


@schemathesis.check
def not_our_fault(ctx: object, response: object, case: object) -> None:
    """Every answer can be found in the log by its id, and none is a fault of ours or of how we speak to backends."""
    names = response.headers  # type: ignore[attr-defined]  # of schemathesis, which comes without types
    assert names.get("x-olla-request-id"), "no X-Olla-Request-ID"
    text = response.text  # type: ignore[attr-defined]
    for word in ("INTERNAL_ERROR", "BACKEND_PROTOCOL_ERROR", "BACKEND_TIMEOUT", "Traceback"):
        assert word not in text, f"{word} in {text[:400]}"
