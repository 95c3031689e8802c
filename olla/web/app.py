"""The API surface, on Klein: pages of ours, and the way into the journey for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from attrs import define, field
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import MethodNotAllowed as WrongMethod
from werkzeug.exceptions import NotFound

from olla.dialect.target import read_target
from olla.domain.message import Request
from olla.errors import BadRequest, InternalError, MethodNotAllowed, NotSupported, Refusal, RouteNotFound
from olla.pending import Pending, Task
from olla.proxy.admission import HEALTH, PROXY, Admission
from olla.proxy.answers import Answers
from olla.proxy.forward import Forwarder
from olla.proxy.routes import READING, Listing, Routes
from olla.proxy.story import Story
from olla.proxy.waiting import as_deferred
from olla.web.channel import FrontRequest
from olla.web.exchange import SiteExchange
from olla.web.page import Page
from olla.web.policy import Policy

READ = ["GET", "HEAD"]
MODELS = "/olla/models"
OPEN = frozenset({b"/internal/health", b"/openapi.json"})  # what a policy does not close
Query = Mapping[bytes, list[bytes]]


@define(eq=False)
class Pages:
    """
    The pages of ours, each a function of the query to a :class:`Page`; some have to be waited for.

    :ivar fixed: path to page, for everything under ``/internal/`` and ``/version``.
    :ivar models: ``/olla/models``.
    :ivar model: one model of it, by id.
    :ivar listing: the listing under a provider's prefix.
    :ivar running: what all Ollama endpoints have in memory; they are asked for it.
    """

    fixed: Mapping[str, Callable[[Query], Page | Deferred[Page]]]
    models: Callable[[Query], Page]
    model: Callable[[str, Query], Page]
    listing: Callable[[Listing, Query], Page]
    running: Callable[[Query], Deferred[Page]]


@define(eq=False)
class App:
    """
    Routes on Klein.

    :ivar crashed: told of a fault of ours, with the request's id.
    :ivar policy: who may see the pages for operators; ``None`` for everybody.
    :ivar forwarded: what is on its journey now, whosever site it came through.
    """

    admission: Admission
    answers: Answers
    routes: Routes
    forwarder: Forwarder
    pages: Pages
    crashed: Callable[[str], None]
    policy: Policy | None
    forwarded: set[SiteExchange] = field(init=False, factory=set)
    _klein: Klein = field(init=False, factory=Klein)

    def resource(self) -> IResource:
        """Give what to hang under a :class:`~twisted.web.server.Site`."""
        app: Any = self._klein
        for path, page in self.pages.fixed.items():
            app.route(path, methods=READ, endpoint=path)(self._fixed(page))
        app.route(MODELS, methods=READ, endpoint="models")(self._models)
        app.route(f"{MODELS}/", methods=READ, endpoint="models/")(self._models)
        app.route(f"{MODELS}/<id>", methods=READ, endpoint="model")(self._model)
        app.route("/olla/<prefix>", endpoint="prefix")(self._under_olla)
        app.handle_errors(WrongMethod)(self._wrong_method)
        app.handle_errors(NotFound)(self._not_found)
        app.handle_errors(Exception)(self._failed)
        return _Front(self, app.resource())

    def _fixed(self, page: Callable[[Query], Page | Deferred[Page]]) -> Callable[[FrontRequest], Deferred[None]]:
        return lambda stock: self._show(stock, HEALTH, page)

    def _models(self, stock: FrontRequest) -> Deferred[None]:
        return self._show(stock, PROXY, self.pages.models)

    def _model(self, stock: FrontRequest, id: str) -> Deferred[None]:
        return self._show(stock, PROXY, lambda query: self.pages.model(unquote(id), query))

    def _under_olla(self, stock: FrontRequest, prefix: str) -> Deferred[None]:
        exchange = _exchange(stock)
        request = exchange.request
        if prefix == "models":
            return self._refuse_method(stock, READ)
        if not self.routes.is_proxied(request.method, request.target):
            return self._local(stock)
        if (request.get(b"upgrade") or b"").strip().lower() == b"websocket":
            return self._show(stock, PROXY, _no_upgrade)
        return self._forward(exchange)

    def _local(self, stock: FrontRequest) -> Deferred[None]:
        """Answer what lies under a prefix and yet is ours: a listing, or a refusal."""
        exchange = _exchange(stock)
        request = exchange.request

        def page(query: Query) -> Page | Deferred[Page]:
            route = self.routes.find(request.target)
            unsupported = self.routes.unsupported(request.method, route)
            if unsupported is not None:
                raise unsupported
            if route.running and request.method in READING:
                return self.pages.running(query)
            assert route.listing is not None  # what is no page is proxied
            return self.pages.listing(route.listing, query)

        try:
            route = self.routes.find(request.target)
        except RouteNotFound:
            return self._no_route(stock)
        except Refusal as refusal:
            self._refuse(stock, refusal)  # nothing is counted against the client for a path that is none
            return Deferred()
        if route.is_page(request.method):
            exchange.surface = "models"
        return self._show(stock, PROXY, page)

    def _forward(self, exchange: SiteExchange) -> Deferred[None]:
        """
        Send it on its journey.

        The result fires when the response is complete.  A response that was cut leaves it waiting for Klein's
        own news of the lost connection: fired earlier, Klein would end the body as if all were well.
        """
        task: Task

        def cancel(_: Deferred[None]) -> None:
            task.cancel()

        done: Deferred[None] = Deferred(cancel)

        async def journey() -> None:
            await self.forwarder.forward(exchange)
            if exchange.finished and not done.called:
                done.callback(None)

        def over(result: object) -> object:
            self.forwarded.discard(exchange)
            return result

        self.forwarded.add(exchange)
        task = Task(journey(), lambda error: self.crashed(exchange.request.id))
        task.start()
        return done.addBoth(over)

    def _show(self, stock: FrontRequest, kind: str, page: Callable[[Query], Page | Deferred[Page]]) -> Deferred[None]:
        """Answer with a page of ours, now or when it is there; fires when the response is complete."""
        exchange = _exchange(stock)
        request = exchange.request
        story = Story(request, exchange.surface)
        story.outcome = "local"

        async def show() -> None:
            try:
                limits = self.admission.admit(request, kind, self.answers.clock())
                if isinstance(limits, Pending):
                    limits = await as_deferred(limits)
                if self.policy is not None and kind == HEALTH and stock.path not in OPEN:
                    self.policy.check(request)
                made = page(parse_qs_bytes(request.target))
                shown = (await made if isinstance(made, Deferred) else made).for_request(request)
            except Refusal as refusal:
                story.outcome = "rejected"
                self.answers.refuse(exchange, refusal, story)
            except CancelledError:
                story.outcome = "cancelled"
            except Exception:
                self.crashed(request.id)
                self.answers.refuse(exchange, InternalError(), story)
            else:
                fields = [*self.answers.common(request), *shown.fields, *limits]
                if kind == PROXY:
                    fields += self.answers.local(request, self.answers.clock())
                story.status, story.bytes_out = shown.status, 0 if request.method == b"HEAD" else len(shown.body)
                self.answers.send(exchange, shown.status, fields, shown.body)
            self.admission.tell(story.finished(self.answers.clock()))

        return Deferred.fromCoroutine(show())

    def _refuse(self, stock: FrontRequest, refusal: Refusal) -> None:
        exchange = _exchange(stock)
        story = Story(exchange.request, exchange.surface)
        story.outcome = "rejected"
        self.answers.refuse(exchange, refusal, story)
        self.admission.tell(story.finished(self.answers.clock()))

    # Klein ends the response of an error handler that returns; ours are complete, so these never do.

    def _wrong_method(self, stock: FrontRequest, failure: Failure) -> Deferred[None]:
        wrong: Any = failure.value
        return self._refuse_method(stock, wrong.valid_methods or READ)

    def _refuse_method(self, stock: FrontRequest, valid: Iterable[str]) -> Deferred[None]:
        exchange = _exchange(stock)
        if exchange.request.method == b"OPTIONS":
            fields = [*self.answers.common(exchange.request), (b"Allow", allowed(valid).encode())]
            self._plain(exchange, 204, fields)
        else:
            self._refuse(stock, wrong_method(exchange.request, valid))
        return Deferred()

    def _not_found(self, stock: FrontRequest, failure: Failure) -> Deferred[None]:
        return self._no_route(stock)

    def _no_route(self, stock: FrontRequest) -> Deferred[None]:
        self._refuse(stock, no_route(_exchange(stock).request))
        return Deferred()

    def _failed(self, stock: FrontRequest, failure: Failure) -> Deferred[None]:
        exchange = _exchange(stock)
        try:
            failure.raiseException()
        except Exception:
            self.crashed(exchange.request.id)
        if not exchange.responded:
            self._refuse(stock, InternalError())
        return Deferred()

    def _plain(self, exchange: SiteExchange, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        story = Story(exchange.request, exchange.surface)
        story.outcome, story.status = "local", status
        self.answers.send(exchange, status, fields, b"")
        self.admission.tell(story.finished(self.answers.clock()))


class _Front(Resource):
    """
    The root: gives each request its id, answers preflights, and shows Klein a path that it can match.

    Klein matches decoded and merged paths and answers oddities with redirects of its own; a backend must get what
    the client sent.  So Klein sees the path as routing means it, and the journey the target as it came.
    """

    isLeaf = True

    def __init__(self, app: App, klein: Any) -> None:
        super().__init__()
        self._app = app
        self._klein = klein

    def render(self, stock: Any) -> int:
        """Answer, or let Klein find who does."""
        app = self._app
        exchange = stock.exchange = SiteExchange(stock, "internal", app.answers.clock())
        request = exchange.request
        target = read_target(request.target)
        path = target.path if target is not None else ""
        exchange.surface = surface_of(path)
        app.admission.identify(request)
        if app.answers.cors.is_preflight(request):
            fields = [*_identity(app, request), *app.answers.cors.preflight(request)]
            app._plain(exchange, 204, fields)
        elif target is None:
            app._refuse(stock, BadRequest("Malformed request"))
        else:
            parts = path[1:].split("/")
            if path.startswith(f"{MODELS}/"):
                parts[2:] = ["/".join(parts[2:])]  # one name, slashes and all
            elif parts[0] == "olla":
                del parts[2:]  # what follows the prefix is the backend's, and dear to match
            stock.postpath = [quote(part, safe="").encode() for part in parts]
            self._klein.render(stock)
        return NOT_DONE_YET


def _no_upgrade(query: Query) -> Page:
    raise NotSupported("Protocol upgrades are not proxied")


def _identity(app: App, request: Request) -> list[tuple[bytes, bytes]]:
    return [(b"X-Olla-Request-ID", request.id.encode())]


def _exchange(stock: Any) -> SiteExchange:
    exchange: SiteExchange = stock.exchange
    return exchange


def allowed(methods: Iterable[str]) -> str:
    """Write what stands in ``Allow``."""
    return ", ".join(sorted(methods))


def wrong_method(request: Request, valid: Iterable[str]) -> MethodNotAllowed:
    """Make the refusal of a method that a path of ours does not know."""
    return MethodNotAllowed(f"Method {request.method.decode('latin-1')} not allowed", allow=allowed(valid))


def no_route(request: Request) -> RouteNotFound:
    """Make the refusal of a path that is none."""
    path = request.target.partition(b"?")[0]
    return RouteNotFound(f"No route for {request.method.decode('latin-1')} {path.decode('latin-1')}")


def surface_of(path: str) -> str:
    """Name the surface a path belongs to: ``proxy``, ``models``, ``anthropic`` or ``internal``."""
    if not path.startswith("/olla/"):
        return "internal"
    if path.startswith("/olla/anthropic/"):
        return "anthropic"
    return "models" if path == MODELS or path.startswith(f"{MODELS}/") else "proxy"


def parse_qs_bytes(target: bytes) -> Query:
    """Read the query of ``target``; what cannot be read is left out."""
    query = target.partition(b"?")[2]
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return {}
