"""Whoever asks for what one backend has made is sent to that one (openai-surface.md §5)."""

from __future__ import annotations

import json
from typing import Any

from tests.support import (
    SSE,
    Backend,
    BackendConnection,
    ProxyCase,
    Seen,
    answer,
    chunk,
    chunked,
    on_each_engine,
    request,
    says,
)

RESPONSES = "/olla/openai/v1/responses"


class Store(Backend):
    """
    A backend that keeps what it makes.

    :ivar name: it is in the ids of what it makes.
    :ivar begun: what a stream begins with that does not end; empty for one that does.
    """

    name = ""
    begun = b""

    def asked(self, connection: BackendConnection, seen: Seen) -> None:
        """Make something, or look it up."""
        if "".join(seen.fields("user-agent")).startswith("olla-"):
            super().asked(connection, seen)
            return
        self.seen.append(seen)
        method, path, _ = seen.line.decode().split(" ")
        if "/realtime/" in path:
            self.play(connection, seen)
            return
        if self.begun and b'"stream": true' in seen.body:
            connection.transport.write(SSE + self.begun)
        elif method == "POST" and b'"stream": true' in seen.body:
            event = b'data: {"type": "response.completed", "response": {"id": "resp_%b"}}\n\n' % self.name.encode()
            connection.transport.write(SSE + chunked(b"event: response.created\n\n", event))
        elif method == "POST" or path.rpartition("/")[2].endswith(self.name):
            connection.transport.write(answer({"id": f"resp_{self.name}", "by": self.name}))
        else:
            connection.transport.write(answer({"error": "no such response"}, 404))


@on_each_engine
class Objects(ProxyCase):
    """Two backends that have the same model, and not the same objects."""

    def setUp(self) -> None:
        super().setUp()
        self.stores = {name: Store() for name in "ab"}
        for name, store in self.stores.items():
            store.name = name
        self.start(self.stores, proxy={"load_balancer": "round-robin"})

    def by(self, client: Any) -> str:
        """Say who answered."""
        self.assertEqual(client.status, 200)
        return str(client.field("X-Olla-Endpoint"))

    def make(self, **body: Any) -> str:
        """Have something made, and say by whom."""
        return self.by(self.post(RESPONSES, {"model": "m", **body}))

    def lose(self, name: str) -> None:
        """Have an endpoint configured no more."""
        assert self.proxy is not None
        fleet = self.proxy.parts.fleet
        fleet.replace([member.endpoint for member in fleet.members if member.name != name])
        self.proxy.parts.plans.forget()

    def test_known(self) -> None:
        """Reading, going on from and deleting go to the one that made it, each time."""
        makers = [self.make(), self.make(stream=True)]
        self.assertEqual(sorted(makers), ["a", "b"])
        for name in makers * 2:
            self.assertEqual(self.by(self.get(f"{RESPONSES}/resp_{name}")), name)
            self.assertEqual(self.make(previous_response_id=f"resp_{name}"), name)
            self.assertEqual(self.by(self.send(request("DELETE", f"{RESPONSES}/resp_{name}"))), name)

    def test_while_it_runs(self) -> None:
        """The first event of a stream is enough: what still runs can be cancelled, and is there when it was cut."""
        created = b'data: {"type": "response.created", "response": {"id": "resp_%b"}}\n\n'
        for name, store in self.stores.items():
            store.begun = chunk(created % name.encode())
        streams = [self.post(RESPONSES, {"model": "m", "stream": True}) for _ in range(2)]
        self.assertEqual({client.whole for client in streams}, {False})
        for _ in range(2):
            for client in streams:
                name = str(client.field("X-Olla-Endpoint"))
                self.assertEqual(self.by(self.post(f"{RESPONSES}/resp_{name}/cancel", b"{}")), name)

    def test_file_in_a_message(self) -> None:
        """A file that a message speaks of is where it was uploaded, however deep it stands."""
        for _ in range(2):
            maker = self.by(self.post("/olla/openai/v1/files", {"purpose": "user_data"}))
            parts = [{"role": "user", "content": [{"type": "file", "file": {"file_id": f"resp_{maker}"}}]}]
            for _ in range(2):
                self.assertEqual(self.by(self.post(body={"model": "m", "messages": parts})), maker)

    def test_calls(self) -> None:
        """A call of ``/realtime`` is named in ``Location``, since its body is no JSON; it ends where it began (§2)."""
        calls = "/olla/openai/v1/realtime/calls"
        for name, store in self.stores.items():
            answered = b"HTTP/1.1 201 Created\r\nLocation: /v1/realtime/calls/rtc_%b\r\nContent-Length: 3\r\n\r\nv=0"
            store.play = says(answered % name.encode())
        makers = []
        for _ in range(2):
            client = self.send(request("POST", f"{calls}?model=m", b"v=0", self.detour, Content_Type="application/sdp"))
            self.assertEqual(client.status, 201)
            makers.append(str(client.field("X-Olla-Endpoint")))
        self.assertEqual(sorted(makers), ["a", "b"])
        for name in (*makers, *reversed(makers), *makers):
            ended = self.post(f"{calls}/rtc_{name}/hangup", b"")
            self.assertEqual(ended.field("X-Olla-Endpoint"), name)

    def test_secrets(self) -> None:
        """A secret for calls of ``/realtime`` leads to who has made it, under either shape of its answer (§2)."""
        base = "/olla/openai/v1/realtime"
        shapes = {"client_secrets": {"value": "ek_%s", "session": {"id": "s"}}, "sessions": {"id": "s"}}
        shapes["sessions"]["client_secret"] = {"expires_at": 1, "value": "ek_%s"}
        for path, shape in shapes.items():
            for name, store in self.stores.items():
                store.play = says(answer(json.dumps(shape).replace("%s", f"{path}_{name}").encode()))
            session = {"session": {"type": "realtime", "model": "m"}}
            makers = [self.by(self.post(f"{base}/{path}", session)) for _ in range(2)]
            self.assertEqual(sorted(makers), ["a", "b"])
            for name in (*makers, *reversed(makers), *makers):
                bearer = f"Bearer ek_{path}_{name}"
                call = request("POST", f"{base}/calls", b"v=0", Content_Type="application/sdp", Authorization=bearer)
                self.assertEqual(self.send(call).field("X-Olla-Endpoint"), name)
        self.lose(makers[0])
        bearer = f"Bearer ek_sessions_{makers[0]}"
        lost = self.send(request("POST", f"{base}/calls", b"v=0", Authorization=bearer))
        self.assertEqual((lost.status, lost.json["error"]["code"]), (404, "OBJECT_NOT_FOUND"))
        self.assertNotIn(b"ek_", lost.got)

    def test_unknown(self) -> None:
        """What nobody has told of is looked for at one after the other; only a GET is."""
        for name in ("resp_a", "resp_b"):
            self.assertEqual(self.by(self.get(f"{RESPONSES}/{name}")), name[-1])
        self.assertEqual(self.get(f"{RESPONSES}/resp_nobody").status, 404)
        for store in self.stores.values():
            store.seen.clear()
        self.send(request("DELETE", f"{RESPONSES}/resp_nobody"))
        self.assertEqual(sum(len(store.seen) for store in self.stores.values()), 1)
        failures = [one["success_rate"] for one in self.status()["endpoints"]]
        self.assertEqual(failures, ["100%", "100%"])

    def test_gone(self) -> None:
        """When the endpoint that has it is configured no more it is not found, and nobody else is asked."""
        name = self.make()
        self.lose(name)
        client = self.get(f"{RESPONSES}/resp_{name}")
        self.assertEqual((client.status, client.json["error"]["code"]), (404, "OBJECT_NOT_FOUND"))
