"""Models under names of the operator's choice."""

from __future__ import annotations

import json
from typing import Any

from tests.support import SSE, Backend, ProxyCase, answer, chunk, on_each_engine, request, resets, says


@on_each_engine
class Aliases(ProxyCase):
    """``fast`` stands for ``llama3``."""

    def setUp(self) -> None:
        super().setUp()
        self.backend = Backend(models=["llama3"], play=says(answer({"model": "llama3", "n": 1})))

    def begin(self, *, back: bool, **sections: Any) -> None:
        """Start, with the client's name put back into answers or not."""
        self.start(
            {"a": self.backend},
            model_aliases={"fast": ["llama3"]},
            aliases={"rewrite_response": back},
            **sections,
        )

    def test_statistics(self) -> None:
        """Statistics are kept under the model's own name, be it asked for by alias or not (B56)."""
        self.begin(back=False)
        for name in ("fast", "llama3", "FAST"):
            self.post(body={"model": name})
        (model,) = self.get("/internal/stats/models").json["models"]
        self.assertEqual((model["name"], model["total_requests"]), ("llama3", 3))

    def test_not_listed(self) -> None:
        """Where models are not listed an alias is its first model, and any name goes by the path (K69, K78)."""
        self.begin(back=False, discovery={"model_discovery": {"enabled": False}})
        for asked, sent in (("fast", "llama3"), ("FAST", "llama3"), ("any", "any")):
            client = self.post(body={"model": asked})
            self.assertEqual((client.status, client.field("X-Olla-Model")), (200, sent))
            self.assertEqual(json.loads(self.backend.seen[-1].body)["model"], sent)
        self.assertEqual(
            [one for one in self.backend.probes if b"/v1/models" in one.line and b"Health" not in one.head], []
        )

    def test_answer_is_the_backends(self) -> None:
        """By default an answer names the model as the backend does, byte for byte (B57)."""
        self.begin(back=False)
        self.assertEqual(self.post(body={"model": "fast"}).json, {"model": "llama3", "n": 1})

    def test_answer_is_named_back(self) -> None:
        """Where it is asked for, the client's name is put back; the header keeps the real one (B57)."""
        self.begin(back=True)
        client = self.post(body={"model": "Fast"})
        self.assertEqual((client.json, client.whole), ({"model": "Fast", "n": 1}, True))
        self.assertEqual(client.field("X-Olla-Model"), "llama3")
        client = self.post(body={"model": "llama3"})
        self.assertEqual((client.json["model"], client.field("Content-Length") is not None), ("llama3", True))

    def test_stream_is_named_back(self) -> None:
        """In a stream each event is named, and comes when it is made (B57)."""
        event = b'data: {"model":"llama3","choices":[]}\n\n'
        self.backend.play = says(SSE + chunk(event[:20]))
        self.begin(back=True)
        client = self.post(body={"model": "fast", "stream": True})
        self.assertEqual((client.status, client.body), (200, b""))
        backend = next(one for one in self.backend.connections if one.lost is None and one.transport.sent)
        backend.transport.write(chunk(event[20:]))
        self.network.pump()
        self.assertEqual(client.body, event.replace(b"llama3", b"fast"))
        backend.transport.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        self.network.pump()
        self.assertEqual((client.body.partition(b"\n\n")[2], client.whole), (b"data: [DONE]\n\n", True))

    def test_what_cannot_be_named_back(self) -> None:
        """What is compressed, no JSON, or no body at all stays as it is (B57)."""
        self.begin(back=True)
        raw = b'{"model":"llama3"}'
        for fields in ({"Content_Encoding": "gzip"}, {"Content_Type": "text/html"}):
            self.backend.play = says(answer(raw, **fields))
            client = self.post(body={"model": "fast"})
            self.assertEqual((client.body, client.field("Content-Length")), (raw, str(len(raw))))
        self.backend.play = says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n")
        client = self.send(request("HEAD", "/olla/openai/v1/x?model=fast"))
        self.assertEqual(client.field("Content-Length"), "18")

    def test_broken(self) -> None:
        """What had come of a broken answer is sent before the cut (C42)."""
        self.backend.play = says(SSE + chunk(b'data: {"model":"llama3"}'))
        self.begin(back=True)
        client = self.post(body={"model": "fast", "stream": True})
        for connection in self.backend.connections:
            connection.transport.abortConnection()
        self.network.pump()
        self.assertTrue(client.body.startswith(b'data: {"model":"fast"}'))
        self.assertFalse(client.whole)
        self.assertIn("BACKEND_STREAM_ABORTED", client.body.decode())
        self.assertNotIn("[DONE]", json.dumps(client.body.decode()))


@on_each_engine
class Places(ProxyCase):
    """``fast`` stands for ``one``, else for ``two``; each endpoint has a model of its own."""

    def begin(self, *models: str) -> list[Backend]:
        """Start with an endpoint for each model, preferred in this order."""
        backends = [Backend(models=[model], play=says(answer({"from": model}))) for model in models]
        named = dict(zip("abc", backends, strict=False))
        self.start(named, model_aliases={"fast": ["one", "two"]}, proxy={"load_balancer": "priority"})
        return backends

    def told(self, model: str = "fast") -> tuple[int, str | None, str | None]:
        """Ask for a model; give the status of the answer, the endpoint, and how the decision was made."""
        client = self.post(body={"model": model})
        return client.status, client.field("X-Olla-Endpoint"), client.field("X-Olla-Routing-Strategy")

    def test_each_its_own(self) -> None:
        """Amid one request each endpoint is asked for the model by the name it has there (B53)."""
        one, two = self.begin("one", "two")
        one.play = resets
        client = self.post(body={"n": 1, "model": "fast"})
        self.assertEqual((client.status, client.field("X-Olla-Model")), (200, "two"))
        self.assertEqual([json.loads(seen.body)["model"] for seen in one.seen + two.seen], ["one", "two"])
        self.assertEqual(two.seen[0].fields("X-Model"), ["two"])

    def test_nobody_has_it(self) -> None:
        """An alias of models that nobody has, or only who is down, is refused like a model, and not sent (B54)."""
        (other,) = self.begin("other")
        self.assertEqual(self.told(), (404, None, "strict"))
        other.models = ["one"]
        self.network.wait(310.0, 1.0)
        other.healthy = 500
        self.network.wait(10.0, 1.0)
        self.assertEqual((self.told(), other.seen), ((503, None, "strict"), []))

    def test_name_of_a_model_too(self) -> None:
        """An alias none of whose models is at hand is a name like any other (behaviour.md §10)."""
        one, fast = self.begin("one", "fast")
        self.assertEqual(self.told(), (200, "a", "alias"))
        one.healthy = 500
        self.network.wait(10.0, 1.0)
        self.assertEqual(self.told(), (200, "b", "strict"))
        self.assertEqual([json.loads(seen.body)["model"] for seen in fast.seen], ["fast"])
