"""The demonstration engine in OpenAI's dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import unquote

from olla.demo.asked import Asked, Problem
from olla.demo.engine import Engine, Route
from olla.demo.reply import Reply, event, events, whole
from olla.demo.responses import response, response_events
from olla.demo.words import Said, arguments, count, vector

MODEL = "/v1/models/"
DONE = b"data: [DONE]\n\n"
MOST_TEXTS = 2048
CONTEXT = 4096


class OpenAIEngine(Engine):
    """Chat, completions, responses and embeddings under ``/v1``; ``/health`` for checks."""

    def routes(self) -> dict[str, Route]:
        """Give what is done at which path."""
        return {
            "/health": Route("GET", lambda _: whole({"status": "ok"})),
            "/v1/models": Route("GET", self._list),
            "/v1/chat/completions": Route("POST", self._chat),
            "/v1/completions": Route("POST", self._complete),
            "/v1/responses": Route("POST", self._respond),
            "/v1/embeddings": Route("POST", self._embed),
        }

    def lookup(self, path: str) -> Route:
        """Find what is done at ``path``; each model has one of its own."""
        if path.startswith(MODEL):
            return Route("GET", lambda _: whole(self._model(self.known(unquote(path.removeprefix(MODEL))))))
        return super().lookup(path)

    def error(self, problem: Problem, path: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
        """Answer with an error as OpenAI does."""
        kind = "invalid_request_error" if problem.status < 500 else "server_error"
        return envelope(problem, kind, headers)

    def known(self, name: str) -> str:
        """
        Give the name of a model that is there.

        :raise Problem: when it is not.
        """
        if not name:
            raise Problem(400, "you must provide a model parameter", None, "model")
        if not self.has(name):
            raise self.unknown(name)
        return name

    def unknown(self, name: str) -> Problem:
        """Say that there is no such model."""
        return Problem(404, f"The model `{name}` does not exist", "model_not_found", "model")

    def speaks(self, name: str, what: str) -> str:
        """
        Give the name of a model that is there and does more than embeddings.

        :param what: it is to do.
        :raise Problem: when it does not.
        """
        if "embed" in self.known(name):
            raise Problem(400, f"'{name}' does not support {what}", None, "model")
        return name

    def _list(self, _: Asked) -> Reply:
        return whole({"object": "list", "data": [self._model(name) for name in self.models]})

    def _model(self, name: str) -> dict[str, object]:
        return {
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": "olla-demo",
            "max_model_len": CONTEXT,
        }

    def _chat(self, asked: Asked) -> Reply:
        model = self.speaks(asked.text("model"), "chat")
        if not asked.items("messages"):
            raise Problem(400, "'messages' must not be empty", "missing_required_parameter", "messages")
        said, tool = self.say(asked, asked.most("max_completion_tokens", "max_tokens")), tool_call(asked)
        if tool is not None:
            said = Said((json.dumps(tool["function"]),), said.prompt)
        base = self._base("chatcmpl", "chat.completion", model)
        reason = said.finish if tool is None else "tool_calls"
        if not asked.flag("stream", False):
            message: dict[str, object] = {"role": "assistant", "content": said.text if tool is None else None}
            if tool is not None:
                message = {**message, "tool_calls": [tool]}
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return whole({**base, "choices": [choice], "usage": usage(said)}, len(said.tokens))
        parts: list[dict[str, object]] = [{"content": token} for token in said.tokens]
        if tool is not None:
            parts = [{"content": None, "tool_calls": [{"index": 0, **tool}]}]
        parts[0] = {"role": "assistant", **parts[0]}
        chunk = {**base, "object": "chat.completion.chunk"}
        return _stream(asked, chunk, [{"delta": part} for part in parts], {"delta": {}}, reason, said)

    def _complete(self, asked: Asked) -> Reply:
        model = self.speaks(asked.text("model"), "completion")
        said = self.say(asked, asked.most("max_tokens"))
        base = self._base("cmpl", "text_completion", model)
        if asked.flag("stream", False):
            parts: list[dict[str, object]] = [{"text": token} for token in said.tokens]
            return _stream(asked, base, parts, {"text": ""}, said.finish, said)
        choice = {"index": 0, "text": said.text, "finish_reason": said.finish, "logprobs": None}
        return whole({**base, "choices": [choice], "usage": usage(said)}, len(said.tokens))

    def _respond(self, asked: Asked) -> Reply:
        model = self.speaks(asked.text("model"), "responses")
        said = self.say(asked, asked.most("max_output_tokens"))
        name, now = f"resp_{self.requests}", int(self.clock.seconds())
        if asked.flag("stream", False):
            return response_events(name, now, model, said)
        return whole(response(name, now, model, said), len(said.tokens))

    def _embed(self, asked: Asked) -> Reply:
        model = self.known(asked.text("model"))
        texts = some_texts(asked, "input")
        data = [{"object": "embedding", "index": index, "embedding": vector(text)} for index, text in enumerate(texts)]
        size = sum(map(count, texts))
        used = {"prompt_tokens": size, "total_tokens": size}
        return whole({"object": "list", "data": data, "model": model, "usage": used})

    def _base(self, prefix: str, kind: str, model: str) -> dict[str, object]:
        now = int(self.clock.seconds())
        return {"id": f"{prefix}-{self.requests}", "object": kind, "created": now, "model": model}


def some_texts(asked: Asked, name: str) -> list[str]:
    """
    Give the texts that are to become embeddings.

    :raise Problem: when there are none, or too many.
    """
    texts = asked.texts(name)
    if len(texts) > MOST_TEXTS or not asked.fields.get(name):
        raise Problem(400, f"'{name}' must be a text, or a list of 1 to {MOST_TEXTS}", "invalid_value", name)
    return list(texts)


def tool_call(asked: Asked) -> dict[str, object] | None:
    """Call a tool when the client insists on one, or when the question speaks of tools; ``None`` for no call."""
    offered = [tool.inner("function") for tool in asked.items("tools")]
    choice = asked.fields.get("tool_choice") or "auto"
    if not offered or choice == "none" or (choice == "auto" and "tool" not in asked.question.lower()):
        return None
    tool = offered[0]
    if isinstance(choice, Mapping):
        wanted = Asked(choice).inner("function").text("name")
        named = [one for one in offered if one.text("name") == wanted]
        if not named:
            raise Problem(400, f"no tool is named '{wanted}'", "invalid_value", "tool_choice")
        tool = named[0]
    given = json.dumps(arguments(tool.inner("parameters").fields))
    return {
        "id": "call_demo",
        "type": "function",
        "function": {"name": tool.text("name"), "arguments": given},
    }


def envelope(problem: Problem, kind: str, headers: tuple[tuple[str, str], ...]) -> Reply:
    """Answer with an error in OpenAI's form; ``kind`` becomes its ``type``."""
    error = {"message": str(problem), "type": kind, "param": problem.param, "code": problem.code}
    return whole({"error": error}, status=problem.status, headers=headers)


def usage(said: Said) -> dict[str, int]:
    """Count tokens as OpenAI does."""
    spoken = len(said.tokens)
    return {"prompt_tokens": said.prompt, "completion_tokens": spoken, "total_tokens": said.prompt + spoken}


def _stream(
    asked: Asked,
    base: dict[str, object],
    parts: list[dict[str, object]],
    closing: dict[str, object],
    reason: str,
    said: Said,
) -> Reply:
    def chunk(part: dict[str, object], finish: str | None = None) -> bytes:
        return event({**base, "choices": [{"index": 0, **part, "finish_reason": finish}]})

    end = chunk(closing, reason)
    if asked.inner("stream_options").flag("include_usage", False):
        end += event({**base, "choices": [], "usage": usage(said)})
    return events(map(chunk, parts), end + DONE)
