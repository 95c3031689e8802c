"""One of two real servers dies while it speaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import httpx
import openai
from attrs import define, field

from tests.real.backends import CHAT_MODEL, Server
from tests.real.clients import HELLO, LLAMAS, SECONDS, TALKATIVE, RealCase

STREAMS = 6
REQUESTS_AFTERWARDS = 40
LONG: dict[str, Any] = {"model": CHAT_MODEL, "messages": HELLO, "stream": True, "max_tokens": 20_000}


@define(eq=False)
class Listener:
    """
    Reads one long stream with the ``openai`` package, in a thread of its own.

    :ivar address: where to ask.
    :ivar endpoint: who speaks.
    :ivar parts: how many parts have come.
    :ivar failure: what ended it, if it did not end well.
    :ivar ended: set once it has ended, well or not.
    :ivar enough: set to end it.
    """

    address: str
    endpoint: str = ""
    parts: int = 0
    failure: Exception | None = None
    ended: Event = field(factory=Event)
    enough: Event = field(factory=Event)

    def start(self) -> None:
        """Begin to read."""
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            for _ in self._read():
                self.parts += 1
                if self.enough.is_set():
                    return
        except Exception as error:  # whatever the package makes of a cut: that is what is looked at
            self.failure = error
        finally:
            self.ended.set()

    def _read(self) -> Iterator[object]:
        client = openai.OpenAI(base_url=self.address, api_key="none", timeout=SECONDS, max_retries=0)
        with client, client.chat.completions.create(extra_body=TALKATIVE, **LONG) as stream:
            self.endpoint = stream.response.headers["X-Olla-Endpoint"]
            yield from stream


@define(eq=False)
class RawListener(Listener):
    """
    Reads one without knowing what is in it.

    :ivar tail: the last bytes that came.
    """

    tail: bytes = b""

    def _read(self) -> Iterator[object]:
        with httpx.stream(
            "POST", self.address + "/chat/completions", json={**LONG, **TALKATIVE}, timeout=SECONDS
        ) as response:
            self.endpoint = response.headers["X-Olla-Endpoint"]
            for piece in response.iter_raw():
                self.tail = (self.tail + piece)[-2000:]
                yield piece


class Failover:
    """What clients see of it; mixed into one class for each engine."""

    def test_killed_while_speaking(self: Any) -> None:
        """
        A stream of a server that is killed is seen as cut (C42, R40), those of the other go on, and every new
        request succeeds there (C41, R34); once restarted, the server takes part again (R44).
        """
        listeners = self.listen()
        victim = next(server for server in self.world.llamas if server.name == listeners[-1].endpoint)
        cut = [one for one in listeners if one.endpoint == victim.name]
        others = [one for one in listeners if one.endpoint != victim.name]
        self.addCleanup(self.revive, victim)
        victim.kill()
        self.assertEqual({self.ask() for _ in range(REQUESTS_AFTERWARDS)}, LLAMAS - {victim.name})
        for one in cut:
            self.assertTrue(one.ended.wait(10), "a stream of the dead server goes on")
            self.assertIsNotNone(one.failure, "a cut stream ended as if it were whole")
        raw = cut[-1]
        self.assertIsInstance(raw.failure, httpx.RemoteProtocolError, "cut without the error on the wire")
        self.assertIn(b'"error"', raw.tail.rpartition(b"data: ")[2])
        before = [one.parts for one in others]
        self.until(lambda: all(one.parts > then + 20 for one, then in zip(others, before, strict=True)))
        self.assertEqual([one.failure for one in others], [None] * len(others))
        self.revive(victim)
        self.until(lambda: self.ask() == victim.name)  # which is the less busy one now
        for one in others:
            one.enough.set()

    def listen(self: Any) -> list[Listener]:
        """Start long streams on both servers, and wait until each has said something; the last is raw."""
        address = self.address("/olla/openai/v1")
        listeners = [*(Listener(address) for _ in range(STREAMS)), RawListener(address)]
        for one in listeners:
            one.start()
        self.until(lambda: all(one.parts > 5 for one in listeners))
        self.assertEqual({one.endpoint for one in listeners}, LLAMAS)
        return listeners

    def ask(self: Any) -> str:
        """Ask something short, and say who answered."""
        raw = self.client().chat.completions.with_raw_response.create(model=CHAT_MODEL, messages=HELLO, max_tokens=4)
        self.assertTrue(raw.parse().choices)
        return str(raw.headers["X-Olla-Endpoint"])

    def revive(self: Any, server: Server) -> None:
        """Have the server run, whether it does or not."""
        server.stop()
        server.start()
        server.wait()

    def until(self: Any, true: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait for something."""
        until = time.monotonic() + seconds
        while not true():
            self.assertLess(time.monotonic(), until, self.program.get("/internal/status/endpoints"))
            time.sleep(0.05)


class FailoverOnSherpa(Failover, RealCase):
    """Engine ``sherpa``."""

    engine = "sherpa"


class FailoverOnOlla(Failover, RealCase):
    """Engine ``olla``."""

    engine = "olla"
