"""The demonstration engine in Ollama's dialect, which speaks OpenAI's under ``/v1`` as well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from olla.demo.asked import Asked, Problem
from olla.demo.engine import Route
from olla.demo.openai import CONTEXT, OpenAIEngine, envelope, some_texts, tool_call
from olla.demo.reply import Reply, line, lines, text, whole
from olla.demo.words import Said, count, vector

VERSION = "0.13.5"
LATEST = ":latest"
NANOSECONDS = 1_000_000_000
LOADING = 1_000_000  # nanoseconds
KINDS = {400: "invalid_request_error", 404: "not_found_error"}
KEPT = timedelta(minutes=5)


class OllamaEngine(OpenAIEngine):
    """``/api/*`` as Ollama has it, newline-delimited JSON when it streams."""

    def routes(self) -> dict[str, Route]:
        """Give what is done at which path."""
        routes = super().routes()
        del routes["/health"]
        return {
            **routes,
            "/": Route("GET", lambda _: text("Ollama is running")),
            "/api/version": Route("GET", lambda _: whole({"version": VERSION})),
            "/api/tags": Route("GET", lambda _: whole({"models": [self._tag(name) for name in self.models]})),
            "/api/ps": Route("GET", lambda _: whole({"models": [self._running(self.models[0])]})),
            "/api/show": Route("POST", self._show),
            "/api/chat": Route("POST", self._talk),
            "/api/generate": Route("POST", self._generate),
            "/api/embed": Route("POST", self._vectors),
            "/api/embeddings": Route("POST", self._vector),
        }

    def error(self, problem: Problem, path: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
        """Answer with an error as Ollama does."""
        if path.startswith("/v1/"):
            return envelope(problem, KINDS.get(problem.status, "api_error"), headers)
        return whole({"error": str(problem)}, status=problem.status, headers=headers)

    def has(self, name: str) -> bool:
        """Say whether there is a model of that name; ``:latest`` may be left out, or be there."""
        plain = name.removesuffix(LATEST)
        return any(plain == known.removesuffix(LATEST) for known in self.models)

    def unknown(self, name: str) -> Problem:
        """Say that there is no such model."""
        return Problem(404, f"model '{name}' not found")

    def _tag(self, name: str) -> dict[str, object]:
        return {
            "name": name,
            "model": name,
            "modified_at": _written(0),
            "size": 1_321_098_329,
            "digest": hashlib.sha256(name.encode()).hexdigest(),
            "details": _details(name),
        }

    def _running(self, name: str) -> dict[str, object]:
        expires = _written(self.clock.seconds() + KEPT.total_seconds())
        tag = {key: value for key, value in self._tag(name).items() if key != "modified_at"}
        return {**tag, "expires_at": expires, "size_vram": tag["size"], "context_length": CONTEXT}

    def _show(self, asked: Asked) -> Reply:
        name = self.known(asked.text("model") or asked.text("name"))
        architecture = _details(name)["family"]
        return whole(
            {
                "modelfile": "# none: this engine has no model\n",
                "template": "{{ .Prompt }}",
                "details": _details(name),
                "model_info": {
                    "general.architecture": architecture,
                    f"{architecture}.context_length": CONTEXT,
                },
                "capabilities": ["embedding"] if "embed" in name else ["completion", "tools"],
                "modified_at": _written(0),
            }
        )

    def _talk(self, asked: Asked) -> Reply:
        model = self.speaks(asked.text("model"), "chat")
        tool = tool_call(asked)
        if tool is None:
            return self._say(asked, model, bool(asked.items("messages")), lambda said: _message(said))
        function = Asked(tool).inner("function")
        called = {"name": function.text("name"), "arguments": json.loads(function.text("arguments"))}
        calls = {"tool_calls": [{"function": called}]}
        said = Said((json.dumps(called),), asked.size)
        return self._told(asked, model, said, lambda token: _message("", **(calls if token else {})))

    def _generate(self, asked: Asked) -> Reply:
        model = self.speaks(asked.text("model"), "generate")
        return self._say(asked, model, bool(asked.text("prompt")), lambda said: {"response": said})

    def _say(self, asked: Asked, model: str, question: bool, part: Callable[[str], dict[str, object]]) -> Reply:
        if not question:
            loaded = {**self._base_of(model), **part(""), "done": True, "done_reason": "load"}
            return whole(loaded)
        return self._told(asked, model, self.say(asked, asked.inner("options").most("num_predict")), part)

    def _told(self, asked: Asked, model: str, said: Said, part: Callable[[str], dict[str, object]]) -> Reply:
        base, final = self._base_of(model), self._final(said)
        if not asked.flag("stream", True):
            return whole({**base, **part(said.text), **final}, len(said.tokens))
        tokens = [line({**base, **part(token), "done": False}) for token in said.tokens]
        return lines(tokens, line({**base, **part(""), **final}))

    def _base_of(self, model: str) -> dict[str, object]:
        return {"model": model, "created_at": _written(self.clock.seconds())}

    def _final(self, said: Said) -> dict[str, object]:
        spoken = int(self.pace * len(said.tokens) * NANOSECONDS)
        return {
            "done": True,
            "done_reason": said.finish,
            "total_duration": 2 * LOADING + spoken,
            "load_duration": LOADING,
            "prompt_eval_count": said.prompt,
            "prompt_eval_duration": LOADING,
            "eval_count": len(said.tokens),
            "eval_duration": spoken,
        }

    def _vectors(self, asked: Asked) -> Reply:
        model = self.known(asked.text("model"))
        texts = some_texts(asked, "input")
        return whole(
            {
                "model": model,
                "embeddings": [vector(one) for one in texts],
                "total_duration": 2 * LOADING,
                "load_duration": LOADING,
                "prompt_eval_count": sum(map(count, texts)),
            }
        )

    def _vector(self, asked: Asked) -> Reply:
        self.known(asked.text("model"))
        return whole({"embedding": vector(asked.text("prompt"))})


def _details(name: str) -> dict[str, object]:
    family = "bert" if "embed" in name else "llama"
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": "1.2B",
        "quantization_level": "Q4_K_M",
    }


def _message(content: str, **more: object) -> dict[str, object]:
    return {"message": {"role": "assistant", "content": content, **more}}


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")
