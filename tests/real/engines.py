"""Servers of every kind as scripts: each lists its models as its kind does, and has that kind's paths and no others."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from attrs import define, field, frozen

Json = dict[str, Any]
Listing = Callable[[Sequence[str]], Json]
WORDS = ("Words", " of", " a", " script")
CREATED = 1_700_000_000
CHAT, TEXT, EMBEDDINGS = "/chat/completions", "/completions", "/embeddings"
EMBEDS = "embed"
"""What is in the names of models that make embeddings, and of no others."""


def _openai(owner: str, **more: Any) -> Listing:
    """Make the listing of a server that follows OpenAI."""

    def listing(models: Sequence[str]) -> Json:
        entries = [{"id": name, "object": "model", "created": CREATED, "owned_by": owner, **more} for name in models]
        return {"object": "list", "data": entries}

    return listing


def _tags(models: Sequence[str]) -> Json:
    details = {"format": "gguf", "family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
    known = {"modified_at": "2025-01-02T03:04:05Z", "size": 2_019_393_189, "details": details}
    return {
        "models": [
            {"name": name, "model": name, "digest": sha256(name.encode()).hexdigest(), **known} for name in models
        ]
    }


def _lmstudio(models: Sequence[str]) -> Json:
    known = {"object": "model", "publisher": "acme", "arch": "llama", "state": "loaded", "max_context_length": 8192}
    kinds = ("embeddings" if EMBEDS in name else "llm" for name in models)
    return {"object": "list", "data": [{"id": n, "type": k, **known} for n, k in zip(models, kinds, strict=True)]}


def _llamacpp(models: Sequence[str]) -> Json:
    meta = {"vocab_type": 1, "n_vocab": 32000, "n_ctx_train": 4096, "n_embd": 64, "n_params": 1, "size": 2}
    return {**_openai("llamacpp", meta=meta)(models), "models": [{"name": name, "model": name} for name in models]}


@frozen
class Kind:
    """
    A kind of server.

    :ivar type: of its endpoint in Olla's configuration.
    :ivar prefixes: under ``/olla/`` that lead to it alone.
    :ivar models: their names, as such servers name them.
    :ivar bases: the paths below which it has OpenAI's API; its own clients use the first.
    :ivar listings: path of a listing, and what it says.
    :ivar health: the page that says that it is well.
    """

    type: str
    prefixes: Sequence[str]
    models: Sequence[str]
    bases: Sequence[str]
    listings: Mapping[str, Listing]
    health: str

    @property
    def chatting(self) -> Sequence[str]:
        """The models that chat."""
        return [name for name in self.models if EMBEDS not in name]

    @property
    def embedding(self) -> Sequence[str]:
        """The models that make embeddings."""
        return [name for name in self.models if EMBEDS in name]


def _common(type: str, prefixes: Sequence[str], models: Sequence[str], listing: Listing, health: str) -> Kind:
    """Describe a kind whose paths are OpenAI's."""
    return Kind(type, prefixes, models, ["/v1"], {"/v1/models": listing}, health)


SHARED = "shared-chat"
"""A model that several servers have under one name."""

KINDS = (
    Kind(
        "ollama",
        ["ollama"],
        ["llama3.2:3b", "qwen2.5-coder:7b", "nomic-embed-text:latest", "hf.co/bartowski/Phi-3-mini-GGUF:Q4_K_M"],
        ["/v1"],
        {"/api/tags": _tags, "/v1/models": _openai("library")},
        "/",
    ),
    Kind(
        "lm-studio",
        ["lmstudio", "lm-studio", "lm_studio"],
        ["llama-3.2-3b-instruct", "qwen/qwen3-4b@q4_k_m", "text-embedding-nomic-embed-text-v1.5", SHARED],
        ["/v1", "/api/v0"],
        {"/api/v0/models": _lmstudio, "/v1/models": _openai("organization_owner")},
        "/v1/models",
    ),
    _common(
        "openai-compatible",
        [],
        ["gpt-4o-mini", "ft:gpt-4o-mini:acme::9AbC", "text-embedding-3-small", SHARED],
        _openai("system"),
        "/v1/models",
    ),
    _common(
        "vllm",
        ["vllm"],
        ["meta-llama/Llama-3.2-3B-Instruct", "sql-lora", SHARED],
        _openai("vllm", root="/models/llama", parent=None, max_model_len=8192),
        "/health",
    ),
    _common(
        "vllm-mlx",
        ["vllm-mlx", "vllm_mlx", "vllmmlx"],
        ["mlx-community/Llama-3.2-3B-Instruct-4bit"],
        _openai("vllm-mlx"),
        "/health",
    ),
    _common(
        "llamacpp",
        ["llamacpp", "llama-cpp", "llama_cpp", "llama.cpp"],
        ["/models/Llama-3.2-3B-Instruct-Q4_K_M.gguf", "bge-embed-small.gguf"],
        _llamacpp,
        "/health",
    ),
    _common(
        "sglang",
        ["sglang"],
        ["Qwen/Qwen2.5-7B-Instruct", SHARED],
        _openai("sglang", root="Qwen/Qwen2.5-7B-Instruct", max_model_len=32768),
        "/health",
    ),
    _common("lmdeploy", ["lmdeploy"], ["internlm/internlm2_5-7b-chat"], _openai("lmdeploy"), "/health"),
    Kind(
        "lemonade",
        ["lemonade"],
        ["Qwen2.5-0.5B-Instruct-CPU", "nomic-embed-text-v1-GGUF", SHARED],
        ["/api/v1"],
        {"/api/v1/models": _openai("lemonade", checkpoint="amd/Qwen2.5", recipe="oga-cpu", downloaded=True)},
        "/api/v1/health",
    ),
    _common(
        "litellm",
        ["litellm"],
        ["openai/gpt-4o", "claude-sonnet-4", "text-embedding-3-large", "mock gpt"],
        _openai("openai"),
        "/health/readiness",
    ),
    Kind(
        "docker-model-runner",
        ["dmr", "docker-model-runner", "docker_model_runner"],
        ["ai/smollm2:360M-Q4_K_M", "ai/mxbai-embed-large", SHARED],
        ["/engines/v1", "/engines/llama.cpp/v1"],
        {path: _openai("docker") for path in ("/engines/v1/models", "/engines/llama.cpp/v1/models")},
        "/engines/v1/models",
    ),
    _common("omlx", ["omlx"], ["Qwen3-4B-4bit", "mlx-embed-small"], _openai("omlx"), "/health"),
)


@define(eq=False)
class Engine:
    """A server of some kind, in threads of this process, which it ends with."""

    kind: Kind
    _server: ThreadingHTTPServer = field(init=False)

    def start(self) -> None:
        """Listen on a free port."""
        self._server = _Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"engine": self}))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def endpoint(self) -> Json:
        """Give what Olla's configuration says of it."""
        url = f"http://127.0.0.1:{self._server.server_port}"
        return {"name": f"the-{self.kind.type}", "url": url, "type": self.kind.type}

    def page(self, path: str) -> Json | None:
        """
        Answer a ``GET``.

        :return: ``None`` where it has nothing.
        """
        if path in self.kind.listings:
            return self.kind.listings[path](self.kind.models)
        for listing in self.kind.listings:
            if path.startswith(listing + "/"):
                return self.entry(listing, unquote(path.removeprefix(listing + "/")))
        if self.kind.type == "ollama" and path == "/api/ps":
            return _tags(self.kind.models[:1])
        return {"status": "ok"} if path == self.kind.health else None

    def entry(self, listing: str, name: str) -> Json | None:
        """Give one entry of a listing; ``None`` when it is not there."""
        entries: Sequence[Json] = self.kind.listings[listing](self.kind.models).get("data", ())
        return next((one for one in entries if one["id"] == name), None)

    def answer(self, path: str, asked: Json) -> list[Json] | None:
        """
        Answer a ``POST``.

        :return: one object, or the several of a stream; ``None`` where it has nothing.
        """
        name = asked["model"]
        base = next((base for base in self.kind.bases if path.startswith(base + "/")), None)
        if base is not None:
            return _as_openai(path.removeprefix(base), name, asked)
        return _as_ollama(path, name, asked) if self.kind.type == "ollama" else None


class _Server(ThreadingHTTPServer):
    """A server whose clients may leave when they like."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for an engine."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart
    engine: Engine

    def do_GET(self) -> None:
        """Answer with a page."""
        page = self.engine.page(self.path.partition("?")[0])
        self._say("application/json", json.dumps(page or _no(self.path)).encode(), 404 if page is None else 200)

    def do_POST(self) -> None:
        """Answer a question, at once or line by line."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked.get("model") not in self.engine.kind.models:
            return self._say("application/json", json.dumps(_no(f"model {asked.get('model')}")).encode(), 404)
        said = self.engine.answer(self.path, asked)
        if said is None:
            self._say("application/json", json.dumps(_no(self.path)).encode(), 404)
        elif len(said) == 1:
            self._say("application/json", json.dumps(said[0]).encode(), 200)
        elif self.path.startswith("/api/") and self.engine.kind.type == "ollama":
            self._stream("application/x-ndjson", [json.dumps(one).encode() + b"\n" for one in said])
        else:
            events = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in said]
            self._stream("text/event-stream", [*events, b"data: [DONE]\n\n"])

    def _say(self, type: str, body: bytes, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, type: str, parts: Sequence[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _no(what: str) -> Json:
    return {"error": {"message": f"no {what} here", "type": "invalid_request_error", "code": "not_found"}}


def _as_openai(path: str, name: str, asked: Json) -> list[Json] | None:
    """Answer as OpenAI's API does, below its base path."""
    usage = {"prompt_tokens": 3, "completion_tokens": len(WORDS), "total_tokens": 3 + len(WORDS)}
    known = {"id": "x-1", "created": CREATED, "model": name}
    if path == EMBEDDINGS:
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        data = [{"object": "embedding", "index": i, "embedding": [0.5, 0.25]} for i in range(len(texts))]
        return [{"object": "list", "data": data, "model": name, "usage": {"prompt_tokens": 3, "total_tokens": 3}}]
    if path == TEXT:
        choice = {"index": 0, "text": "".join(WORDS), "finish_reason": "stop", "logprobs": None}
        return [{**known, "object": "text_completion", "choices": [choice], "usage": usage}]
    if path != CHAT:
        return None
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return [{**known, "object": "chat.completion", "choices": [choice], "usage": usage}]
    deltas = [({"role": "assistant", "content": word}, None) for word in WORDS]
    ended: list[tuple[Json, str | None]] = [*deltas, ({}, "stop")]
    choices = [{"index": 0, "delta": delta, "finish_reason": reason} for delta, reason in ended]
    return [{**known, "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]


def _as_ollama(path: str, name: str, asked: Json) -> list[Json] | None:
    """Answer as Ollama's own API does."""
    known = {"model": name, "created_at": "2025-01-02T03:04:05Z"}
    counts = {"done_reason": "stop", "prompt_eval_count": 3, "eval_count": len(WORDS), "eval_duration": 1_000_000}
    if path == "/api/embed":
        return [{"model": name, "embeddings": [[0.5, 0.25]]}]
    if path == "/api/show":
        return [{"details": {"family": "llama"}, "model_info": {}, "capabilities": ["completion"]}]
    if path not in ("/api/chat", "/api/generate"):
        return None

    def part(words: str, **more: Any) -> Json:
        said = {"message": {"role": "assistant", "content": words}} if path == "/api/chat" else {"response": words}
        return {**known, **said, **more}

    if asked.get("stream", True):
        return [*(part(word, done=False) for word in WORDS), part("", done=True, **counts)]
    return [part("".join(WORDS), done=True, **counts)]
