"""Tests for olla.dialect.fields."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.dialect.fields import LONGEST, EndpointFields, spent, told, value
from olla.domain.endpoint import Endpoint
from olla.domain.memo import MOST
from olla.domain.message import Fields, Head, Request
from olla.domain.routing import Decision

CREDENTIALS: Fields = [
    (b"Authorization", b"Bearer c"),
    (b"x-api-key", b"c"),
    (b"Api-Key", b"c"),
    (b"X-AUTH-TOKEN", b"c"),
    (b"Cookie", b"c=1"),
    (b"Proxy-Authorization", b"Basic c"),
]


def to_backend(endpoint: Endpoint, request: Request, model: str = "", trusted: bool = False) -> Fields:
    """Give all fields that go to ``endpoint``, in order; the same for a second request with the same head."""
    maker = EndpointFields(endpoint, "1.2")
    blocks, fields = maker.to_backend(request, model, trusted)
    again, same = maker.to_backend(request, model, trusted)
    assert same == fields
    for block, other in zip(blocks, again, strict=True):
        assert (block is other or trusted) and block.fields == other.fields
    return [*(pair for block in blocks for pair in block.fields), *fields]


def to_client(endpoint: Endpoint, fields: Fields, cors: bool, echo: bool) -> Fields:
    """Give the fields of a reply from ``endpoint`` that a client sees."""
    return list(EndpointFields(endpoint, "1.2").to_client(Head(200, b"OK", fields), cors, echo).fields)


class RequestTests(SynchronousTestCase):
    """What a backend sees."""

    def seen(
        self,
        fields: Fields,
        endpoint: Endpoint | None = None,
        model: str = "",
        trusted: bool = False,
    ) -> dict[bytes, list[bytes]]:
        """Give the fields that go to the backend, by name in lower case."""
        request = Request(b"GET", b"/", fields, peer="2.2.2.2", client="9.9.9.9", id="an-id")
        endpoint = endpoint or Endpoint("e", "http", "backend", 11434)
        found: dict[bytes, list[bytes]] = {}
        for name, text in to_backend(endpoint, request, model, trusted):
            found.setdefault(name.lower(), []).append(text)
        return found

    def test_host(self) -> None:
        """``Host`` is the backend's and comes first; the client's goes on as ``X-Forwarded-Host`` (C28)."""
        request = Request(b"GET", b"/", [(b"Accept", b"*/*"), (b"host", b"olla:40114")])
        fields = to_backend(Endpoint("e", "http", "::1", 81), request)
        self.assertEqual(fields[0], (b"Host", b"[::1]:81"))
        self.assertEqual([name for name, _ in fields].count(b"Host"), 1)
        self.assertIn((b"X-Forwarded-Host", b"olla:40114"), fields)

    def test_each_client(self) -> None:
        """Of two clients with the same head each is told of under its own address and id (C29, C30)."""
        maker, made = EndpointFields(Endpoint("e", "http", "h", 1), "1"), {}  # type: ignore[var-annotated]  # anything
        for peer, name in (("2.2.2.2", "one"), ("3.3.3.3", "two")):
            request = Request(b"GET", b"/", [(b"Accept", b"*/*")], peer=peer, client=peer, id=name, made=made)
            (_, told), fields = maker.to_backend(request, name, False)
            seen = dict([*told.fields, *fields])
            self.assertEqual((seen[b"X-Forwarded-For"], seen[b"X-Real-IP"]), (peer.encode(),) * 2)
            self.assertEqual((seen[b"X-Request-ID"], seen[b"X-Model"]), (name.encode(),) * 2)
        self.assertEqual(len(made), 1)

    def test_clients_are_forgotten(self) -> None:
        """What is kept of clients is bounded, in number and in the length of the names that they choose (R56)."""
        maker = EndpointFields(Endpoint("e", "http", "h", 1), "1")
        long = Request(b"GET", b"/", [], peer="p", client="p")
        self.assertIsNot(*(maker.to_backend(long, "m" * (LONGEST + 1), False)[0][1] for _ in range(2)))
        first = Request(b"GET", b"/", [], peer="first", client="first")
        (_, told), _ = maker.to_backend(first, "m", False)
        for number in range(MOST):
            maker.to_backend(Request(b"GET", b"/", [], peer=str(number)), "m", False)
        (_, again), _ = maker.to_backend(first, "m", False)
        self.assertIsNot(again, told)
        self.assertEqual(again.fields, told.fields)

    def test_everything_else(self) -> None:
        """Other fields go on unchanged: spelling, order and repetition (http-api.md §5.3)."""
        sent = [
            (b"X-a", b"1"),
            (b"Accept", b"x, y"),
            (b"x-A", b"2"),
            (b"X-Olla-Session-ID", b"s"),
            (b"Traceparent", b"t"),
        ]
        request = Request(b"GET", b"/", sent)
        fields = to_backend(Endpoint("e", "http", "h", 1), request)
        self.assertEqual(fields[1 : 1 + len(sent)], sent)

    def test_nothing_made_up(self) -> None:
        """No ``User-Agent`` and no ``Accept-Encoding`` are added."""
        self.assertEqual(
            set(self.seen([])),
            {
                b"host",
                b"via",
                b"x-proxied-by",
                b"x-forwarded-for",
                b"x-real-ip",
                b"x-forwarded-proto",
                b"x-request-id",
            },
        )

    def test_hop_by_hop(self) -> None:
        """Fields of one hop end here, those that ``Connection`` names too (R14)."""
        seen = self.seen(
            [
                *((name, b"x") for name in (b"Keep-Alive", b"TE", b"Trailer", b"Upgrade", b"Proxy-Connection")),
                *((name, b"x") for name in (b"Transfer-Encoding", b"Content-Length", b"Expect", b"Proxy-Authenticate")),
                (b"X-Foo", b"1"),
                (b"Connection", b"close, x-foo"),
                (b"X-Bar", b"2"),
                (b"connection", b"X-BAR , X-Request-ID, Via, X-Forwarded-For, Host"),
            ]
        )
        self.assertEqual(
            set(seen),
            {
                b"host",
                b"via",
                b"x-proxied-by",
                b"x-forwarded-for",
                b"x-real-ip",
                b"x-forwarded-proto",
                b"x-request-id",
            },
        )

    def test_client_credentials(self) -> None:
        """They reach a backend that has none of its own, save cookies and those for proxies (C29)."""
        seen = self.seen(CREDENTIALS)
        self.assertEqual(
            [seen[name] for name in (b"authorization", b"x-api-key", b"api-key", b"x-auth-token")],
            [[b"Bearer c"], [b"c"], [b"c"], [b"c"]],
        )
        self.assertFalse({b"cookie", b"proxy-authorization"} & set(seen))

    def test_credentials_kept_back(self) -> None:
        """With forwarding off, or with a credential for the endpoint, the client's stay here (C29, C30)."""
        seen = self.seen(CREDENTIALS, Endpoint("e", "http", "h", 1, forward_client_auth=False))
        self.assertFalse({name.lower() for name, _ in CREDENTIALS} & set(seen))
        seen = self.seen(CREDENTIALS, Endpoint("e", "http", "h", 1, credential=(b"Authorization", b"Bearer T")))
        self.assertEqual(seen[b"authorization"], [b"Bearer T"])
        self.assertFalse({b"x-api-key", b"api-key", b"x-auth-token", b"cookie"} & set(seen))

    def test_endpoint_fields(self) -> None:
        """Fields of the endpoint replace the client's and ours, and its credential wins over them."""
        endpoint = Endpoint(
            *("e", "http", "h", 1),
            fields=(
                (b"Cookie", b"k=1"),
                (b"X-A", b"e"),
                (b"via", b"none"),
                (b"X-Api-Key", b"no"),
                (b"Host", b"v"),
            ),
            credential=(b"x-api-key", b"K"),
        )
        seen = self.seen([(b"x-a", b"c"), (b"Cookie", b"c"), (b"Host", b"c")], endpoint)
        self.assertEqual(
            [seen[name] for name in (b"cookie", b"x-a", b"via", b"x-api-key", b"host")],
            [[b"k=1"], [b"e"], [b"none"], [b"K"], [b"v"]],
        )
        self.assertEqual(seen[b"x-forwarded-host"], [b"c"])

    def test_framing_is_not_configured(self) -> None:
        """An endpoint cannot break framing by its fields."""
        endpoint = Endpoint("e", "http", "h", 1, fields=((b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")))
        self.assertFalse({b"content-length", b"transfer-encoding"} & set(self.seen([], endpoint)))

    def test_via(self) -> None:
        """``Via`` is appended to (C34)."""
        self.assertEqual(
            self.seen([(b"Via", b"1.1 foo"), (b"via", b"1.0 bar")])[b"via"],
            [b"1.1 foo, 1.0 bar, 1.1 olla/1.2"],
        )
        self.assertEqual(self.seen([])[b"via"], [b"1.1 olla/1.2"])
        self.assertEqual(self.seen([(b"X-Proxied-By", b"x")])[b"x-proxied-by"], [b"Olla/1.2"])

    def test_untrusted(self) -> None:
        """What an untrusted peer says of clients behind it is ignored (C33, R55, B122)."""
        names = (
            b"X-Forwarded-For",
            b"X-Real-IP",
            b"X-Forwarded-Proto",
            b"X-Forwarded-Host",
            b"Forwarded",
            b"X-Forwarded-Port",
        )
        seen = self.seen([(name, b"1.1.1.1") for name in names] + [(b"Host", b"me")])
        self.assertEqual(
            [seen.get(name.lower()) for name in names],
            [[b"2.2.2.2"], [b"9.9.9.9"], [b"http"], [b"me"], None, None],
        )

    def test_trusted(self) -> None:
        """What a trusted peer says is kept and appended to (C33)."""
        names = (b"X-Real-IP", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"Forwarded", b"X-Forwarded-Port")
        sent = [(name, b"said") for name in names] + [(b"X-Forwarded-For", b"1.1.1.1"), (b"Host", b"me")]
        seen = self.seen(sent, trusted=True)
        self.assertEqual([seen[name.lower()] for name in names], [[b"said"]] * 5)
        self.assertEqual(seen[b"x-forwarded-for"], [b"1.1.1.1, 2.2.2.2"])
        seen = self.seen([(b"Host", b"me")], trusted=True)
        self.assertEqual(
            [seen[name] for name in (b"x-forwarded-for", b"x-real-ip", b"x-forwarded-proto", b"x-forwarded-host")],
            [[b"2.2.2.2"], [b"9.9.9.9"], [b"http"], [b"me"]],
        )

    def test_named_by_a_trusted_peer(self) -> None:
        """What ``Connection`` names is not believed of a trusted peer either (R14)."""
        seen = self.seen([(b"X-Forwarded-For", b"1.1.1.1"), (b"Connection", b"x-forwarded-for")], trusted=True)
        self.assertEqual(seen[b"x-forwarded-for"], [b"2.2.2.2"])

    def test_identity_and_model(self) -> None:
        """The id and the model sent stand there once, whatever the client claimed (C17)."""
        seen = self.seen([(b"X-Request-ID", b"bad id"), (b"X-Model", b"x")], model="Llama3")
        self.assertEqual((seen[b"x-request-id"], seen[b"x-model"]), ([b"an-id"], [b"Llama3"]))
        self.assertNotIn(b"x-model", self.seen([(b"X-Model", b"x")]))

    def test_model_cannot_inject(self) -> None:
        """A model's name cannot add a field (C20)."""
        self.assertEqual(self.seen([], model="a\r\nX: y\u2028\u00e9")[b"x-model"], [b"a%0D%0AX: y%E2%80%A8\xc3\xa9"])

    @given(st.text(max_size=300))
    def test_value(self, text: str) -> None:
        """Any text becomes one field value without control characters, of bounded length."""
        made = value(text)
        self.assertFalse(any(byte < 0x20 or byte == 0x7F for byte in made))
        self.assertLessEqual(len(made), 256 * 12)


class ReplyTests(SynchronousTestCase):
    """What a client sees."""

    def seen(self, fields: Fields, endpoint: Endpoint | None = None, cors: bool = True, echo: bool = False) -> Fields:
        """Give the backend's fields that reach the client; ours are checked and taken off."""
        made = to_client(endpoint or Endpoint("e", "http", "h", 1), fields, cors, echo)
        self.assertEqual(
            [name for name, _ in made[-4:]],
            [b"Via", b"X-Olla-Endpoint", b"X-Olla-Backend-Type", b"X-Served-By"],
        )
        return made[:-4]

    def test_unchanged(self) -> None:
        """Most fields are relayed as they came, repeated ones repeated (http-api.md §4.5)."""
        fields = [
            *((b"Content-Type", b"a/b"), (b"content-ENCODING", b"gzip"), (b"ETag", b"e"), (b"Date", b"d")),
            *(
                (b"Server", b"s"),
                (b"Link", b"1"),
                (b"link", b"2"),
                (b"Retry-After", b"3"),
                (b"Cache-Control", b"x"),
            ),
            *((b"X-Request-Id", b"theirs"), (b"request-id", b"r"), (b"Openai-Processing-Ms", b"1")),
        ]
        self.assertEqual(self.seen(fields), fields)

    def test_secrets_and_ours(self) -> None:
        """Credentials, cookies, secrets of the endpoint and fields in our name do not reach clients (C23, R59)."""
        endpoint = Endpoint(
            "e",
            "http",
            "h",
            1,
            fields=((b"X-Secret", b"s"), (b"Content-Type", b"x")),
            credential=(b"X-Cred", b"c"),
        )
        fields = [
            (name, b"x")
            for name in (
                *(
                    b"Authorization",
                    b"Proxy-Authorization",
                    b"X-API-Key",
                    b"x-auth-token",
                    b"Set-Cookie",
                    b"api-key",
                ),
                *(b"X-SECRET", b"x-cred", b"X-Olla-Endpoint", b"x-olla-anything", b"X-Served-By"),
            )
        ]
        self.assertEqual(self.seen([*fields, (b"Content-Type", b"y")], endpoint), [(b"Content-Type", b"y")])

    def test_hop_by_hop(self) -> None:
        """Fields of one hop end here, those that ``Connection`` names too (C24, R14)."""
        fields = [
            *(
                (b"Connection", b"close, X-Foo"),
                (b"x-foo", b"1"),
                (b"Keep-Alive", b"timeout=1"),
                (b"Trailer", b"x"),
            ),
            *(
                (b"Transfer-Encoding", b"chunked"),
                (b"Upgrade", b"h2c"),
                (b"Proxy-Connection", b"x"),
                (b"TE", b"x"),
            ),
            *((b"Proxy-Authenticate", b"x"), (b"X-Bar", b"2")),
        ]
        self.assertEqual(self.seen(fields), [(b"X-Bar", b"2")])

    def test_cors(self) -> None:
        """CORS fields of a backend go on only where we send none (C25, C77)."""
        fields = [(b"Access-Control-Allow-Origin", b"*"), (b"access-control-max-age", b"1")]
        self.assertEqual(self.seen(fields), [])
        self.assertEqual(self.seen(fields, cors=False), fields)

    def test_rate_limits(self) -> None:
        """A backend's limits are renamed, so that ours can be told from them (http-api.md §4.5)."""
        self.assertEqual(
            self.seen([(b"x-ratelimit-Limit-Requests", b"9")]),
            [(b"X-Upstream-RateLimit-Limit-Requests", b"9")],
        )

    def test_echo(self) -> None:
        """A backend's own id gives way to the client's (http-api.md §3)."""
        self.assertEqual(self.seen([(b"X-Request-ID", b"theirs")], echo=True), [])

    def test_ours(self) -> None:
        """``Via`` is one field, appended to; endpoint and type are told as configured (http-api.md §4.2, §4.4)."""
        endpoint = Endpoint("n", "http", "h", 1, type="lmstudio", profile="lm-studio")
        fields = to_client(endpoint, [(b"Via", b"1.1 x"), (b"VIA", b"1.1 y")], True, False)
        self.assertEqual(
            fields,
            [
                (b"Via", b"1.1 x, 1.1 y, 1.1 olla/1.2"),
                (b"X-Olla-Endpoint", b"n"),
                (b"X-Olla-Backend-Type", b"lmstudio"),
                (b"X-Served-By", b"Olla/1.2"),
            ],
        )
        found = to_client(Endpoint("n", "http", "h", 1, type="auto", profile="vllm"), [], True, False)
        self.assertIn((b"X-Olla-Backend-Type", b"vllm"), found)

    def test_told(self) -> None:
        """The decision, the model and the time are told; attempts only when there were several (C22, C27)."""
        decision = Decision("alias", "routed", 'alias "a" resolved to 1 endpoint(s)')
        self.assertEqual(
            [*told(decision, "real").fields, *spent(0.0129, 2)],
            [
                (b"X-Olla-Model", b"real"),
                (b"X-Olla-Routing-Strategy", b"alias"),
                (b"X-Olla-Routing-Decision", b"routed"),
                (b"X-Olla-Routing-Reason", b'alias "a" resolved to 1 endpoint(s)'),
                (b"X-Olla-Response-Time", b"12ms"),
                (b"X-Olla-Attempts", b"2"),
            ],
        )
        self.assertIs(told(decision, "real"), told(decision, "real"))
        self.assertEqual(told(decision, "other").fields[0], (b"X-Olla-Model", b"other"))
        self.assertEqual((told(None, "").fields, spent(0.0, 1)), ((), [(b"X-Olla-Response-Time", b"0ms")]))
