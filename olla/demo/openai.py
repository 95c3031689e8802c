"""The demonstration engine in OpenAI's dialect."""

from __future__ import annotations

import json
from typing import Any

from twisted.web.http import Request

from olla.demo.engine import Engine, Problem
from olla.demo.words import answer, question_of, tokens, vector

CREATED = 1_750_000_000
SSE = "text/event-stream"


class OpenAIEngine(Engine):
    """Chat, completions and embeddings under ``/v1``; ``/health`` for checks."""

    def answer(self, request: Request, path: str, asked: dict[str, Any]) -> None:
        """Answer what is asked at ``path``."""
        if path == "/health":
            self.send(request, 200, {"status": "ok"})
        elif path == "/v1/models":
            self.send(request, 200, {"object": "list", "data": [self._model(name) for name in self.models]})
        elif path.startswith("/v1/models/"):
            name = path.removeprefix("/v1/models/")
            self._known({"model": name})
            self.send(request, 200, self._model(name))
        elif path == "/v1/chat/completions":
            self._known(asked)
            self._chat(request, asked)
        elif path == "/v1/completions":
            self._known(asked)
            self._complete(request, asked)
        elif path == "/v1/embeddings":
            self._known(asked)
            self._embed(request, asked)
        else:
            raise Problem(404, f"no such path: {path}", "not_found")

    def error(self, problem: Problem) -> Any:
        """Give the body of an error as OpenAI does."""
        kind = "invalid_request_error" if problem.status < 500 else "server_error"
        return {"error": {"message": str(problem), "type": kind, "param": None, "code": problem.code}}

    def question(self, asked: dict[str, Any]) -> str:
        """Give the last message, or the prompt."""
        return question_of(asked.get("messages")) or str(asked.get("prompt") or asked.get("input") or "")

    def _known(self, asked: dict[str, Any]) -> None:
        if not self.has(asked.get("model")):
            raise Problem(404, f"The model `{asked.get('model')}` does not exist", "model_not_found")

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": CREATED, "owned_by": "olla-demo", "max_model_len": 4096}

    def _chat(self, request: Request, asked: dict[str, Any]) -> None:
        if not isinstance(asked.get("messages"), list) or not asked["messages"]:
            raise Problem(400, "'messages' is required", "missing_required_parameter")
        tool = self._tool(asked)
        said = [] if tool else list(answer(self.question(asked), self._seed, _most(asked)))
        usage = _usage(sum(tokens(question_of([one])) for one in asked["messages"]), len(said) or 1)
        reason = "tool_calls" if tool else "length" if _most(asked) == len(said) else "stop"
        if asked.get("stream"):
            first = {"role": "assistant", "content": None if tool else ""}
            deltas = [{"tool_calls": [{"index": 0, **tool}]}] if tool else [{"content": word} for word in said]
            self._stream(request, asked, "chat.completion.chunk", [first, *deltas], reason, usage)
            return
        message = {"role": "assistant", "content": None if tool else "".join(said)}
        if tool:
            message["tool_calls"] = [tool]  # type: ignore[assignment]  # JSON has no static type
        choice = {"index": 0, "message": message, "finish_reason": reason}
        self.send(request, 200, self._reply(asked, "chat.completion", [choice], usage))

    def _complete(self, request: Request, asked: dict[str, Any]) -> None:
        question = self.question(asked)
        said = list(answer(question, self._seed, _most(asked)))
        usage = _usage(tokens(question), len(said))
        if asked.get("stream"):
            self._stream(request, asked, "text_completion", [{"text": word} for word in said], "stop", usage)
            return
        choice = {"index": 0, "text": "".join(said), "finish_reason": "stop", "logprobs": None}
        self.send(request, 200, self._reply(asked, "text_completion", [choice], usage))

    def _embed(self, request: Request, asked: dict[str, Any]) -> None:
        given = asked.get("input")
        texts = given if isinstance(given, list) else [given]
        data = [
            {"object": "embedding", "index": index, "embedding": vector(str(text))}
            for index, text in enumerate(texts)
        ]
        count = sum(tokens(str(text)) for text in texts)
        usage = {"prompt_tokens": count, "total_tokens": count}
        self.send(request, 200, {"object": "list", "data": data, "model": asked["model"], "usage": usage})

    def _stream(
        self,
        request: Request,
        asked: dict[str, Any],
        kind: str,
        deltas: list[dict[str, Any]],
        reason: str,
        usage: dict[str, int],
    ) -> None:
        def event(choices: list[Any], **more: Any) -> None:
            value = {**self._reply(asked, kind, choices), **more}
            request.write(f"data: {json.dumps(value)}\n\n".encode())

        def choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            body = delta if kind == "text_completion" else {"delta": delta}
            return {"index": 0, **body, "finish_reason": finish}

        def write(number: str) -> None:
            event([choice(deltas[int(number)])])

        def last() -> None:
            event([choice({"text": ""} if kind == "text_completion" else {}, reason)])
            if (asked.get("stream_options") or {}).get("include_usage"):
                event([], usage=usage)
            request.write(b"data: [DONE]\n\n")
            request.finish()

        self.speak(request, iter([str(number) for number in range(len(deltas))]), SSE, write, last)

    def _reply(
        self, asked: dict[str, Any], kind: str, choices: list[Any], usage: dict[str, int] | None = None
    ) -> dict[str, Any]:
        value = {
            "id": "cmpl-demo",
            "object": kind,
            "created": CREATED,
            "model": asked["model"],
            "choices": choices,
        }
        return value if usage is None else {**value, "usage": usage}

    def _tool(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """Call a tool when the client insists on one, or when the question speaks of tools."""
        offered, choice = asked.get("tools"), asked.get("tool_choice", "auto")
        if not isinstance(offered, list) or not offered or choice == "none":
            return None
        if choice == "auto" and "tool" not in self.question(asked).lower():
            return None
        name = choice["function"]["name"] if isinstance(choice, dict) else offered[0]["function"]["name"]
        return {"id": "call_demo", "type": "function", "function": {"name": name, "arguments": "{}"}}


def _most(asked: dict[str, Any]) -> int | None:
    most = asked.get("max_completion_tokens", asked.get("max_tokens"))
    return most if isinstance(most, int) and most > 0 else None


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
