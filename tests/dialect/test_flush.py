"""Tests for olla.dialect.flush."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.flush import flushes

STREAMS = (
    *(
        b"text/event-stream",
        b"Text/Event-Stream; charset=utf-8",
        b"application/x-ndjson",
        b"application/stream+json",
    ),
    *(b"application/json-seq", b"text/plain; charset=utf-8"),
)
WHOLE = (
    *(
        b"image/png",
        b"video/mp4",
        b"audio/mpeg",
        b"font/woff",
        b"model/gltf",
        b"application/pdf",
        b"application/zip",
    ),
    *(b"application/gzip", b"application/x-tar", b"application/x-rar", b"application/x-7z-compressed"),
    *(
        b"application/octet-stream",
        b"x; application/octet-stream",
        b"application/vnd.ms-excel",
        b"application/msword",
    ),
    *(
        b"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        b"application/vnd.ms-powerpoint",
    ),
)
OTHERS = (b"application/json", b"text/html", b"text/plain", b"", None)


class FlushTests(SynchronousTestCase):
    """When pieces go out at once (K35)."""

    def test_auto(self) -> None:
        """The content type decides, unless the client asked for a stream (K35)."""
        for content_type in (*STREAMS, *OTHERS):
            self.assertTrue(flushes("auto", content_type, False), content_type)
        for content_type in WHOLE:
            self.assertFalse(flushes("auto", content_type, False), content_type)
        for content_type in (*STREAMS, *WHOLE, *OTHERS):
            self.assertTrue(flushes("auto", content_type, True), content_type)

    def test_fixed(self) -> None:
        """``streaming`` always flushes and ``standard`` never, whatever comes (K35)."""
        for content_type in (*STREAMS, *WHOLE, *OTHERS):
            for stream in (False, True):
                self.assertTrue(flushes("streaming", content_type, stream))
                self.assertFalse(flushes("standard", content_type, stream))
