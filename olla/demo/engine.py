"""What both demonstration engines have in common: a request comes in, meets a fault perhaps, and is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from olla.demo import faults as fault
from olla.demo.asked import Asked, Problem, read
from olla.demo.faults import Faults, asked_for
from olla.demo.reply import Reply
from olla.demo.speaking import Speaking
from olla.demo.words import Said, answer

LARGEST = 10 << 20
REMEMBERED = 100
REMEMBERED_BODY = 65536
SLOWER = 10
PACE = 0.06


@frozen
class Arrival:
    """
    A request as it arrived.

    :ivar headers: by name in lower case.
    :ivar body: the first 64 KiB of it.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@frozen
class Route:
    """
    What is done at one path.

    :ivar answer: is given the body, an empty one for ``GET``, and may raise :class:`Problem`.
    """

    method: str
    answer: Callable[[Asked], Reply]


class Engine(Resource):
    """
    An inference server without a model.  Each dialect is a subclass with its own paths.

    :ivar models: names of the models that it has; those with ``embed`` in them make embeddings only.
    :ivar clock: paces the answers.
    :ivar pace: seconds for a token.
    :ivar faults: what goes wrong.
    :ivar log: the last requests that arrived.
    :ivar requests: how many arrived.
    :ivar cancelled: how many of them lost their client before the end of the answer.
    """

    isLeaf = True

    def __init__(self, models: tuple[str, ...], clock: IReactorTime, pace: float = PACE, seed: int = 1) -> None:
        """
        Make one.

        :param seed: engines with different seeds answer differently.
        """
        super().__init__()
        self.models = models
        self.clock = clock
        self.faults = Faults()
        self.log: deque[Arrival] = deque(maxlen=REMEMBERED)
        self.requests = 0
        self.cancelled = 0
        self.pace = pace
        self._seed = seed
        self._routes = self.routes()

    def routes(self) -> dict[str, Route]:
        """Give what is done at which path."""
        raise NotImplementedError

    def lookup(self, path: str) -> Route:
        """
        Find what is done at ``path``.

        :raise Problem: for an unknown one.
        """
        if path not in self._routes:
            raise Problem(404, f"no such path: {path}")
        return self._routes[path]

    def error(self, problem: Problem, path: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
        """Answer with an error in the engine's dialect."""
        raise NotImplementedError

    def has(self, name: str) -> bool:
        """Say whether there is a model of that name."""
        return name in self.models

    def say(self, asked: Asked, most: int | None) -> Said:
        """
        Answer a question.

        :param most: tokens at most; ``None`` for no limit.
        """
        return answer(asked.question, asked.size, self._seed, most)

    def render(self, request: Any) -> int:
        """Answer one request."""
        body = request.content.read(LARGEST + 1)
        arrival = _arrival(request, body)
        self.requests += 1
        self.log.append(arrival)
        try:
            asked, route = self._read(arrival, body)
            met = self._meets(arrival, asked)
            reply = self._reply(arrival, asked, route, met)
        except Problem as problem:
            met, reply = fault.NONE, self.error(problem, arrival.path)
        if met == fault.REFUSE:
            request.channel.transport.abortConnection()
        elif met == fault.HANG:
            request.notifyFinish().addErrback(lambda _: self._left())
        else:
            self._speak(request, reply, met)
        return NOT_DONE_YET

    def _read(self, arrival: Arrival, body: bytes) -> tuple[Asked, Route]:
        if len(body) > LARGEST:
            raise Problem(413, "request body too large")
        route = self.lookup(arrival.path)
        if arrival.method != route.method and (arrival.method, route.method) != ("HEAD", "GET"):
            raise Problem(405, "method not allowed")
        if route.method == "POST" and not body:
            raise Problem(400, "missing request body")
        return read(body) if route.method == "POST" else Asked({}), route

    def _meets(self, arrival: Arrival, asked: Asked) -> str:
        wished = asked_for(arrival.headers.get(fault.FIELD, ""), asked.question)
        return self.faults.next(arrival.method == "POST") if wished is None else wished

    def _reply(self, arrival: Arrival, asked: Asked, route: Route, met: str) -> Reply:
        if met == fault.BUSY:
            busy = Problem(503, "the engine is busy, try again later", "service_unavailable")
            return self.error(busy, arrival.path, (("Retry-After", "1"),))
        return route.answer(asked)

    def _speak(self, request: Any, reply: Reply, met: str) -> None:
        request.setResponseCode(reply.status)
        request.setHeader("Content-Type", reply.kind)
        for name, value in reply.headers:
            request.setHeader(name, value)
        if not reply.streamed:
            request.setHeader("Content-Length", str(len(reply.end)))
        tokens, end = reply.tokens, reply.end if met != fault.CUT else None
        if end is None:
            tokens = tokens[: self.faults.after]
            if not reply.streamed:
                tokens = (*tokens, reply.end[: len(reply.end) // 2])
        pace = self.pace * (SLOWER if met == fault.SLOW else 1)
        Speaking(request, iter(tokens), end, self._left, pace).start(self.clock)

    def _left(self) -> None:
        self.cancelled += 1


def _arrival(request: Any, body: bytes) -> Arrival:
    headers = {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }
    path = request.path.decode("latin-1")
    return Arrival(request.method.decode("latin-1"), path, headers, body[:REMEMBERED_BODY])
