"""The demonstration engine in Ollama's dialect, which speaks OpenAI's under ``/v1`` as well."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from twisted.web.http import Request

from olla.demo.engine import Problem
from olla.demo.openai import OpenAIEngine
from olla.demo.words import answer, question_of, tokens, vector

NDJSON = "application/x-ndjson"
MADE = "2026-01-01T00:00:00Z"
NANOSECONDS = 1_000_000_000


class OllamaEngine(OpenAIEngine):
    """``/api/*`` as Ollama has it, newline-delimited JSON when it streams."""

    def answer(self, request: Request, path: str, asked: dict[str, Any]) -> None:
        """Answer what is asked at ``path``."""
        if path == "/":
            self.send(request, 200, "Ollama is running", "text/plain; charset=utf-8")
        elif path == "/api/version":
            self.send(request, 200, {"version": "0.14.0"})
        elif path == "/api/tags":
            self.send(request, 200, {"models": [self._tag(name) for name in self.models]})
        elif path == "/api/ps":
            self.send(request, 200, {"models": [self._tag(self.models[0])]})
        elif path == "/api/show":
            self._show(request, asked)
        elif path in ("/api/chat", "/api/generate"):
            self._known(asked)
            self._speak(request, asked, chat=path == "/api/chat")
        elif path in ("/api/embed", "/api/embeddings"):
            self._known(asked)
            self._vectors(request, asked, path)
        else:
            super().answer(request, path, asked)

    def error(self, problem: Problem) -> Any:
        """Give the body of an error as Ollama does."""
        return {"error": str(problem)}

    def _known(self, asked: dict[str, Any]) -> None:
        name = asked.get("model") or asked.get("name")
        if not self.has(name):
            raise Problem(404, f"model '{name}' not found")

    def has(self, name: object) -> bool:
        """Say whether there is a model of that name; ``:latest`` may be left out, or be there."""
        plain = str(name).removesuffix(":latest")
        return any(plain == known.removesuffix(":latest") for known in self.models)

    def _tag(self, name: str) -> dict[str, Any]:
        details = {
            "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
            "parameter_size": "1.2B", "quantization_level": "Q4_K_M",
        }  # fmt: skip
        digest = hashlib.sha256(name.encode()).hexdigest()
        return {"name": name, "model": name, "modified_at": MADE, "size": 1_321_098_329,
                "digest": digest, "details": details}  # fmt: skip

    def _show(self, request: Request, asked: dict[str, Any]) -> None:
        self._known(asked)
        name = str(asked.get("model") or asked.get("name"))
        self.send(
            request,
            200,
            {
                "modelfile": "# none: this engine has no model\n",
                "template": "{{ .Prompt }}",
                "details": self._tag(name)["details"],
                "model_info": {"general.architecture": "llama", "llama.context_length": 4096},
                "capabilities": ["completion", "tools"],
            },
        )

    def _speak(self, request: Request, asked: dict[str, Any], *, chat: bool) -> None:
        question = self.question(asked)
        most = (asked.get("options") or {}).get("num_predict")
        said = list(answer(question, self._seed, most if isinstance(most, int) and most > 0 else None))
        counted = sum(tokens(question_of([one])) for one in asked.get("messages") or []) or tokens(question)

        def part(text: str, **more: Any) -> dict[str, Any]:
            body = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
            return {"model": asked["model"], "created_at": MADE, **body, **more}

        spent = int(self._pace * len(said) * NANOSECONDS)
        final = {
            "done": True, "done_reason": "stop", "total_duration": spent + 2_000_000, "load_duration": 1_000_000,
            "prompt_eval_count": counted, "prompt_eval_duration": 1_000_000,
            "eval_count": len(said), "eval_duration": spent,
        }  # fmt: skip
        if asked.get("stream") is False:
            self.send(request, 200, part("".join(said), **final))
            return

        def line(value: dict[str, Any]) -> None:
            request.write(json.dumps(value).encode() + b"\n")

        def last() -> None:
            line(part("", **final))
            request.finish()

        self.speak(request, iter(said), NDJSON, lambda word: line(part(word, done=False)), last)

    def _vectors(self, request: Request, asked: dict[str, Any], path: str) -> None:
        given = asked.get("input", asked.get("prompt", ""))
        texts = given if isinstance(given, list) else [given]
        vectors = [vector(str(text)) for text in texts]
        if path == "/api/embeddings":
            self.send(request, 200, {"embedding": vectors[0]})
        else:
            count = sum(tokens(str(text)) for text in texts)
            self.send(request, 200, {"model": asked["model"], "embeddings": vectors, "prompt_eval_count": count})
