"""What profiles, shipped ones and those of a folder, do to traffic."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support import Backend, BackendConnection, ProxyCase, Seen, answer, on_each_engine, says

OWN = """
name: house
routing: {prefixes: [house]}
api: {openai_compatible: true, paths: [/v1/chat/completions]}
metrics:
  extraction:
    enabled: true
    paths: {input_tokens: $.cost.in, output_tokens: $.cost.out, spent: $.cost.ms}
    calculations: {tokens_per_second: "output_tokens * 1000 / spent", dear: "spent > 100"}
"""


class Profiled(ProxyCase):
    """A proxy with a folder of profiles."""

    def start_with(self, profile: str, backend: Backend, **endpoint: str) -> None:
        """Start with this profile in a folder, and one endpoint ``a``."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        Path(folder.name, "own.yaml").write_text(profile)
        self.start({"a": backend}, endpoint, profiles={"dir": folder.name})


def listing(id: str, owner: str = "x", **others: object) -> dict[str, object]:
    """List one model as OpenAI does."""
    return {"object": "list", "data": [{"id": id, "owned_by": owner, **others}]}


SERVERS: dict[str, dict[str, object]] = {
    "ollama": {
        "/": {},
        "/api/version": {"version": "0.1.14"},  # before 0.1.24 it had nothing at /v1
        "/api/tags": {"models": [{"name": "m", "size": 1}]},
    },
    "lm-studio": {"/api/v0/models": listing("m", arch="llama"), "/v1/models": listing("m")},
    "llamacpp": {"/health": {}, "/props": {"default_generation_settings": {}}, "/v1/models": listing("m", "llamacpp")},
    "vllm": {"/health": {}, "/version": {"version": "0.9"}, "/v1/models": listing("m", "vllm")},
    "sglang": {"/health": {}, "/get_model_info": {"model_path": "/m"}, "/v1/models": listing("m", "sglang")},
    "lmdeploy": {"/health": {}, "/v1/models": listing("m", "lmdeploy")},
    "lemonade": {"/api/v1/health": {}, "/api/v1/models": listing("m", "lemonade", recipe="oga-cpu")},
    "docker-model-runner": {"/engines/v1/models": listing("m", "docker")},
    "omlx": {"/health": {}, "/v1/models/status": {"models": []}, "/v1/models": listing("m", "omlx")},
    "vllm-mlx": {"/health": {}, "/v1/models": listing("m", "vllm-mlx")},
    "litellm": {"/health/readiness": {"litellm_version": "1.0"}, "/v1/models": listing("m")},
    "openai-compatible": {"/v1/models": listing("m")},
}
"""What each kind answers to checks and listings; everything else is not there."""


class Server(Backend):
    """
    A server that has some pages and nothing else, and serves whatever it is sent.

    :ivar pages: by path.
    """

    def __init__(self, pages: dict[str, object]) -> None:
        super().__init__(play=says(answer({"from": "a"})))
        self.pages = pages

    def asked(self, connection: BackendConnection, seen: Seen) -> None:
        """Answer a check or listing with the page at its path."""
        if not "".join(seen.fields("user-agent")).startswith("olla-"):
            super().asked(connection, seen)
            return
        self.probes.append(seen)
        page = self.pages.get(seen.line.decode().split(" ")[1])
        connection.transport.write(answer({"error": "no"}, 404) if page is None else answer(json.dumps(page).encode()))


@on_each_engine
class Measuring(Profiled):
    """Figures by paths and formulas of a profile."""

    def test_own(self) -> None:
        """A profile's own paths and formulas fill the lines of the log and the statistics (profiles.md §3, C124)."""
        backend = Backend(play=says(answer({"model": "m", "cost": {"in": 3, "out": 20, "ms": 400}})))
        self.start_with(OWN, backend, type="house")
        self.post("/olla/house/v1/chat/completions")
        (line,) = [record for record in self.records() if record["msg"] == "Provider metrics"]
        self.assertEqual((line["provider_prompt_tokens"], line["provider_tokens_per_second"]), (3, 50.0))
        self.assertEqual((line["spent"], line["dear"], line["total_tokens"]), (400, True, 23))
        (line,) = [record for record in self.records() if record["msg"] == "Request completed"]
        self.assertEqual((line["input_tokens"], line["tokens_per_sec"]), (3, 50.0))
        self.assertNotIn("spent", line)

    def test_secret_is_no_figure(self) -> None:
        """A path that leads to text shows the beginning of it at most, and the answer is not touched."""
        document = {"model": "m", "cost": {"in": 1, "out": 1, "ms": "x" * 5000}}
        self.start_with(OWN, Backend(play=says(answer(document))), type="house")
        client = self.post("/olla/house/v1/chat/completions")
        self.assertEqual(json.loads(client.body), document)
        self.assertLess(max(len(json.dumps(record)) for record in self.records()), 2000)


@on_each_engine
class Waiting(Profiled):
    """How long a kind of backend may take to begin."""

    def wait_for(self, seconds: float) -> int:
        """Send a request, let time pass, and give its status; 0 for none yet."""
        client = self.post()
        self.network.wait(seconds, 0.5)
        return client.status if client.got else 0

    def test_profile(self) -> None:
        """A profile's time-out holds where ``response_header_timeout`` is not given (profiles.md §1, P32)."""
        self.start({"a": Backend()}, {"type": "llamacpp"})
        self.assertEqual(self.wait_for(299.0), 0)
        self.network.wait(2.0, 0.5)

    def test_large_model(self) -> None:
        """A server that may have to load a large model first has the time for that as well (profiles.md §7, P26)."""
        self.start({"a": Backend(models=["llama3:70b"])}, {"type": "llamacpp"})
        client = self.post(body={"model": "llama3:70b"})
        self.network.wait(328.0, 0.5)
        self.assertEqual(client.got, b"")
        self.network.wait(4.0, 0.5)
        self.assertEqual((client.status, client.json["error"]["code"]), (502, "BACKEND_TIMEOUT"))

    def test_found_out(self) -> None:
        """A server whose kind was found out has the time of that kind (profiles.md §5)."""
        rows = {"object": "list", "data": [{"id": "m", "owned_by": "lmdeploy"}]}
        backend = Backend()
        backend.asked = says(answer(rows))  # type: ignore[method-assign]  # whatever it is asked
        self.start({"a": backend}, {"type": "auto"})
        self.assertEqual(self.status()["endpoints"][0]["type"], "lmdeploy")
        backend.asked = lambda connection, seen: None  # type: ignore[method-assign]
        client = self.post()
        self.network.wait(119.0, 0.5)
        self.assertEqual(client.got, b"")
        self.network.wait(60.0, 0.5)
        self.assertEqual(client.status, 502)

    def test_configured(self) -> None:
        """What is configured holds for every kind (config.md §5)."""
        self.start({"a": Backend()}, {"type": "llamacpp"}, proxy={"response_header_timeout": "3s"})
        self.assertEqual(self.wait_for(4.0), 502)


@on_each_engine
class Listing(Profiled):
    """The listing routes of the shipped profiles."""

    ROUTES = (
        *("/olla/ollama/api/tags", "/olla/ollama/v1/models", "/olla/lm-studio/api/v0/models"),
        *("/olla/lmstudio/api/v1/models", "/olla/lm_studio/v1/models", "/olla/lemonade/api/v1/models"),
        *("/olla/dmr/engines/v1/models", "/olla/docker-model-runner/v1/models", "/olla/lemonade/v1/models"),
        *(f"/olla/{name}/v1/models" for name in ("vllm", "vllm-mlx", "sglang", "lmdeploy", "litellm", "llamacpp")),
        *("/olla/omlx/v1/models", "/olla/openai/v1/models", "/olla/openai-compatible/v1/models"),
    )

    def test_all(self) -> None:
        """Every listing route of a shipped profile answers 200, in its shape, also without a backend (P35, C107)."""
        self.start({"a": Backend()}, {"type": "lemonade"})
        for path in self.ROUTES:
            client = self.get(path)
            self.assertEqual(client.status, 200, path)
            self.assertIn("models" if path.endswith("tags") else "data", client.json, path)
        self.assertEqual([one["id"] for one in self.get("/olla/lemonade/api/v1/models").json["data"]], ["m"])

    def test_own_shape(self) -> None:
        """A profile of a folder that lists as Ollama or LM Studio does has its models on its own routes (P5, P33)."""
        for shape, path, rows in (("ollama", "/api/tags", "models"), ("lmstudio", "/api/v0/models", "data")):
            told = {rows: [{"name": "mine", "id": "mine"}]}
            backend = Backend(tells={path: answer(json.dumps(told).encode())}, play=says(answer({"from": "a"})))
            own = f"name: My_PX\nrouting: {{prefixes: [px]}}\nrequest: {{response_format: {shape}}}\n"
            own += f"api: {{openai_compatible: true, model_discovery_path: {path}, paths: [/v1/chat/completions]}}\n"
            for type in ("my_px", "My-PX", "px"):
                self.start_with(own, backend, type=type)
                (row,) = self.get(f"/olla/px{path}").json[rows]
                self.assertEqual(row.get("name") or row.get("id"), "mine", (shape, type))
                self.assertEqual(self.get("/olla/px/v1/models/mine").json["id"], "mine")
                body = {"model": "mine"}
                self.assertEqual(self.post("/olla/px/v1/chat/completions", body).json, {"from": "a"})
                listed = self.get(f"/olla/models?format={shape}").json[rows]
                self.assertEqual(len(listed), 1, (shape, type))
                self.stop()

    def test_own_listing_path(self) -> None:
        """A type without a profile of its own lists nowhere else: other paths are the backend's (http-api.md §14)."""
        backend = Backend(play=says(answer({"from": "backend"})))
        self.start({"a": backend}, {"type": "docker-model-runner"})
        self.assertEqual(self.get("/olla/dmr/engines/llama.cpp/v1/models").json, {"from": "backend"})


@on_each_engine
class Untyped(ProxyCase):
    """Endpoints whose type is not given."""

    def test_beside_a_typed_one(self) -> None:
        """An endpoint without a type beside one that has it serves its models (P40)."""
        typed = Backend(models=("x",), play=says(answer({"from": "typed"})))
        untyped = Backend(models=("y",), play=says(answer({"from": "untyped"})))
        self.start({"a": typed, "b": untyped}, {"type": "openai"})
        config = json.loads(self.path.read_text())
        del config["discovery"]["static"]["endpoints"][1]["type"]
        self.path.write_text(json.dumps(config))
        assert self.proxy is not None
        self.proxy.reload()
        self.network.wait(3.0)
        for model, name in (("x", "typed"), ("y", "untyped")):
            for path in ("/olla/proxy/v1/chat/completions", "/olla/openai/v1/chat/completions"):
                self.assertEqual(self.post(path, {"model": model}).json, {"from": name}, path)

    def test_health(self) -> None:
        """A server of unknown kind that has nothing at / is well if it lists its models (P40)."""
        backend = Server({"/v1/models": listing("m")})
        self.start({"a": backend}, {"type": "auto"})
        self.network.wait(3.0)
        self.assertEqual(self.post("/olla/proxy/v1/chat/completions").json, {"from": "a"})

    def test_kinds(self) -> None:
        """Each of the twelve kinds, all with nothing elsewhere, is found out, is well, lists and serves (P20)."""
        for kind, pages in SERVERS.items():
            backend = Server(pages)
            self.start({"a": backend}, {"type": "auto"})
            (endpoint,) = self.status()["endpoints"]
            self.assertEqual((endpoint["type"], endpoint["status"]), (kind, "healthy"))
            self.assertEqual([one["id"] for one in self.get("/olla/proxy/v1/models").json["data"]], ["m"], kind)
            self.assertEqual(self.post("/olla/proxy/v1/chat/completions").json, {"from": "a"}, kind)
            self.stop()

    def test_nothing(self) -> None:
        """What nothing speaks for stays open and gets no request; once it is something, it is that (P21)."""
        backend = Server({})
        self.start({"a": backend}, {"type": "auto"})
        (endpoint,) = self.status()["endpoints"]
        self.assertEqual((endpoint["type"], endpoint["status"]), ("auto", "unhealthy"))
        for path in ("/olla/openai/v1/chat/completions", "/olla/proxy/v1/chat/completions"):
            client = self.post(path)
            self.assertEqual((client.status, client.json["error"]["code"]), (503, "NO_ENDPOINTS"), path)
        self.assertEqual(backend.seen, [])
        backend.pages = SERVERS["lemonade"]
        self.network.wait(30.0, 0.5)
        (endpoint,) = self.status()["endpoints"]
        self.assertEqual((endpoint["type"], endpoint["status"]), ("lemonade", "healthy"))
        self.assertEqual(self.post().json, {"from": "a"})

    def test_replaced(self) -> None:
        """A server of another kind in the place of the first is taken for what it is (profiles.md §5)."""
        backend = Server(SERVERS["lemonade"])
        self.start({"a": backend}, {"type": "auto"})
        backend.pages = SERVERS["ollama"]
        self.network.wait(30.0, 0.5)
        (endpoint,) = self.status()["endpoints"]
        self.assertEqual((endpoint["type"], endpoint["status"]), ("ollama", "healthy"))

    def test_once(self) -> None:
        """While it stays up nobody asks it again what it is (P22)."""
        backend = Server(SERVERS["vllm"])
        self.start({"a": backend}, {"type": "auto"})
        backend.probes.clear()
        self.network.wait(120.0, 0.5)
        asked = {one.line.split(b" ")[1] for one in backend.probes}
        self.assertEqual(asked, {b"/health"})
