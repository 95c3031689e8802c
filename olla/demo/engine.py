"""What both demonstration engines have in common: reading a request, playing a fault, saying token after token."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from olla.demo.faults import Faults

LARGEST = 10 << 20
REMEMBERED = 1000
SLOWER = 10


@frozen
class Arrival:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@define(eq=False)
class Speaking:
    """
    One answer being said, a token at a time.

    :ivar write: sends one token.
    :ivar last: sends what follows the last one, and ends the answer.
    """

    _request: Any
    _tokens: Iterator[str]
    write: Callable[[str], None]
    last: Callable[[], None]
    _cut_after: int | None
    _gone: Callable[[], None]
    _said: int = field(init=False, default=0)
    _loop: LoopingCall = field(init=False)
    _running: bool = field(init=False, default=False)

    def start(self, pace: float, clock: IReactorTime) -> None:
        """Say a token every ``pace`` seconds, until all are said or nobody listens."""
        self._loop = LoopingCall(self._say)
        self._loop.clock = clock
        self._running = True
        self._request.notifyFinish().addErrback(lambda _: self._leave())
        self._loop.start(pace).addErrback(self._broken)

    def _say(self) -> None:
        if self._cut_after is not None and self._said >= self._cut_after:
            self._end()
            self._request.transport.abortConnection()
            return
        token = next(self._tokens, None)
        if token is None:
            self._end()
            self.last()
        else:
            self._said += 1
            self.write(token)

    def _broken(self, failure: Failure) -> None:
        self._request.transport.abortConnection()

    def _leave(self) -> None:
        if self._running:
            self._gone()
            self._end()

    def _end(self) -> None:
        if self._running:
            self._running = False
            self._loop.stop()


class Engine(Resource):
    """
    An inference server without a model.  Each dialect is a subclass with its own paths.

    :ivar models: names of the models that it has.
    :ivar faults: what goes wrong.
    :ivar arrived: the last requests.
    :ivar cancelled: answers that were broken off because the client had gone.
    """

    isLeaf = True

    def __init__(self, models: tuple[str, ...], clock: IReactorTime, pace: float = 0.06, seed: int = 1) -> None:
        """
        Make one.

        :param clock: paces the answers.
        :param pace: seconds for a token.
        :param seed: engines with different seeds answer differently.
        """
        super().__init__()
        self.models = models
        self.faults = Faults()
        self.arrived: deque[Arrival] = deque(maxlen=REMEMBERED)
        self.cancelled = 0
        self._clock = clock
        self._pace = pace
        self._seed = seed

    def render(self, request: Any) -> int:
        """Answer one request."""
        body = request.content.read(LARGEST + 1)
        headers = {
            name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        path = request.path.decode("latin-1")
        self.arrived.append(Arrival(request.method.decode("latin-1"), path, headers, body))
        try:
            if len(body) > LARGEST:
                raise Problem(413, "request body too large")
            asked = self._read(body) if body else {}
            if self._fails(request, asked):
                return NOT_DONE_YET
            self.answer(request, path, asked)
        except Problem as problem:
            self.send(request, problem.status, self.error(problem))
        return NOT_DONE_YET

    def answer(self, request: Request, path: str, asked: dict[str, Any]) -> None:
        """
        Answer what is asked at ``path``; each dialect has its own.

        :raise Problem: when it cannot be answered.
        """
        raise NotImplementedError(path)

    def error(self, problem: Problem) -> Any:
        """Give the body of an error in the engine's dialect."""
        raise NotImplementedError(problem)

    def question(self, asked: dict[str, Any]) -> str:
        """Give the text that is to be answered."""
        raise NotImplementedError(asked)

    def send(self, request: Request, status: int, value: Any, content_type: str = "application/json") -> None:
        """Send ``value`` as a whole answer: JSON, or text as it is."""
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        request.setResponseCode(status)
        request.setHeader("Content-Type", content_type)
        request.setHeader("Content-Length", str(len(body)))
        if request.method != b"HEAD":
            request.write(body)
        request.finish()

    def speak(
        self,
        request: Request,
        tokens: Iterator[str],
        content_type: str,
        write: Callable[[str], None],
        last: Callable[[], None],
    ) -> None:
        """Stream ``tokens`` at the engine's pace; ``last`` ends the answer."""
        request.setHeader("Content-Type", content_type)
        fault = request.fault  # type: ignore[attr-defined]  # put there by _fails
        cut_after = self.faults.after if fault == "cut" else None
        Speaking(request, tokens, write, last, cut_after, self._count_gone).start(
            self._pace * (SLOWER if fault == "slow" else 1), self._clock
        )

    def has(self, name: object) -> bool:
        """Say whether there is a model of that name."""
        return name in self.models

    def _count_gone(self) -> None:
        self.cancelled += 1

    def _read(self, body: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Problem(400, "the body is not JSON") from error
        if not isinstance(asked, dict):
            raise Problem(400, "the body is not a JSON object")
        return asked

    def _fails(self, request: Any, asked: dict[str, Any]) -> bool:
        """Play the fault that this request meets; say whether it takes the place of an answer."""
        if not asked:
            return False  # checks and listings are not inference
        fault = request.fault = self.faults.next(self.question(asked))
        if fault == "refuse":
            request.transport.abortConnection()
        elif fault == "busy":
            request.setHeader("Retry-After", "1")
            self.send(request, 503, self.error(Problem(503, "the engine is busy", "busy")))
        return fault in ("refuse", "busy", "hang")
