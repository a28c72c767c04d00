"""A fake server on the chat-completions wire: models, chat (streamed and whole) and embeddings.

    fake = FakeOpenAI(Answer(parts=[Say("Hello.")]), Refusal(status=429), models=["small", "large"])
    async with served(fake) as url:
        ...   # the base URL is f"{url}/v1"; fake.received holds the requests for answers, fake.paths all

The script is played in order, then `default` is repeated. With `obey` the directives of `loci.model.script` in the
newest user message decide instead, so that any server can be driven through it by what its user says. `routes` adds
what other servers have (`/api/tags`, `/props` …). `python -m loci.testing.fake_openai --port 9999` is for benchmarks.
"""

import argparse
import base64
import gc
import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import orjson
import uvicorn

from loci.errors import MODEL_FAULT_STATUS, ModelFault
from loci.model.script import Bill, Call, End, Fail, parse, unwrapped
from loci.model.script import Say as SayAction
from loci.model.script import Think as ThinkAction
from loci.testing.fake_provider import (
    Answer,
    CallTool,
    FakeProvider,
    Receive,
    Received,
    Redacted,
    Refusal,
    Say,
    Scope,
    Scripted,
    Send,
    Spoken,
    Stop,
    Think,
    in_pieces,
    sse,
)
from loci.types.json import EMPTY, JsonObject, JsonValue

_CREATED = 1_767_225_600
_FAULT_TEXTS = {
    ModelFault.CONTEXT_TOO_LONG: "This model's maximum context length is 8192 tokens.",
    ModelFault.REFUSED: "content_filter",
}

Route: TypeAlias = "JsonValue | Callable[[JsonObject], JsonValue | Refusal]"
"""A fixed answer, or one made from the JSON of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames(Answer):
    """An answer written out byte by byte: `raw` is the body of the response, in the pieces in which it is sent."""

    raw: Sequence[str] = ()
    content_type: str = "text/event-stream"


class FakeOpenAI(FakeProvider):
    """The app. Change `models`, `routes`, `script` and `default` while it runs as you like."""

    def __init__(
        self,
        *script: Scripted,
        models: Sequence[str | JsonObject] = ("fake-model",),
        default: Scripted | None = None,
        obey: bool = False,
        routes: Mapping[str, Route] = EMPTY,
        api_key: str | None = None,
    ) -> None:
        super().__init__(*script)
        self.models = list(models)
        self.default = default or Answer(parts=[Say("Hello from the fake model.")])
        self.obey = obey
        self.routes: dict[str, Route] = dict(routes)
        self.api_key = api_key
        self.reasoning_field = "reasoning_content"
        self.dimensions = 8
        self._answered = 0
        self.kept: int | None = None
        """How many requests `received` and `paths` hold at most; a benchmark keeps few."""
        self.paths: list[str] = []
        """Every request as `METHOD /path`, in order."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await _read(scope, receive)
        path = request.path.rstrip("/")
        self.paths.append(f"{scope['method']} {path}")
        if self.kept is not None:
            del self.paths[: -self.kept], self.received[: -self.kept]
        if self.api_key is not None and request.headers.get("authorization") != f"Bearer {self.api_key}":
            await self._answer(Refusal(status=401, message="Incorrect API key provided: sk-abc***xyz."), send)
        elif path in self.routes:
            route = self.routes[path]
            await self._answer(route(request.body) if callable(route) else route, send)
        elif path.endswith("/chat/completions"):
            self.received.append(request)
            self._answered += 1
            scripted = self._next(request)
            if isinstance(scripted, Refusal):
                await self._answer(scripted, send)
            else:
                await self._chat(scripted, request, receive, send)
        elif path.endswith("/models"):
            await self._answer({"object": "list", "data": [_listed(model) for model in self.models]}, send)
        elif path.endswith("/embeddings"):
            self.received.append(request)
            await self._answer(self._embeddings(request.body), send)
        else:
            await self._answer(Refusal(status=404, message=f"There is nothing at {path}."), send)

    def frames(self, answer: Answer, request: Received) -> Iterator[str]:
        """Spell the answer as `chat.completion.chunk` events."""
        if isinstance(answer, Frames):
            yield from answer.raw
            return
        head = self._head(request, "chat.completion.chunk")
        for delta in self._deltas(answer):
            yield sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None})
        yield sse({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": answer.stop}], "usage": None})
        options = request.body.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            yield sse({**head, "choices": [], "usage": _usage(answer)})
        yield "data: [DONE]\n\n"

    def error_frame(self, message: str) -> str:
        """Spell an error inside a stream."""
        return sse({"error": {"message": message, "type": "server_error", "code": None, "param": None}})

    def error_body(self, refusal: Refusal) -> JsonValue:
        """Spell an error in place of an answer."""
        kind = refusal.kind or "invalid_request_error"
        return {"error": {"message": refusal.message, "type": kind, "code": refusal.kind, "param": None}}

    def _next(self, request: Received) -> Scripted:
        if self.obey and (obeyed := _obeyed(request.body, self._answered)) is not None:
            return obeyed
        return self.script.pop(0) if self.script else self.default

    async def _chat(self, answer: Answer, request: Received, receive: Receive, send: Send) -> None:
        if isinstance(answer, Frames):
            await _start(send, 200, [(b"content-type", answer.content_type.encode())])
            for piece in answer.raw:
                await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        elif request.body.get("stream"):
            await self._stream(answer, request, receive, send)
        else:
            message = {"role": "assistant", **self._whole(answer)}
            choice: JsonObject = {"index": 0, "message": message, "finish_reason": answer.stop, "logprobs": None}
            head = self._head(request, "chat.completion")
            await self._answer({**head, "choices": [choice], "usage": _usage(answer)}, send)

    async def _answer(self, answer: "JsonValue | Refusal", send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"x-request-id", b"req_fake")]
        status = 200
        if isinstance(answer, Refusal):
            headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
            status, answer = answer.status, answer.body if answer.body is not None else self.error_body(answer)
        await _start(send, status, headers)
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _head(self, request: Received, kind: str) -> JsonObject:
        return {
            "id": f"chatcmpl-{self._answered}",
            "object": kind,
            "created": _CREATED,
            "model": request.body.get("model"),
        }

    def _deltas(self, answer: Answer) -> Iterator[JsonObject]:
        yield {"role": "assistant", "content": ""}
        calls = 0
        for part in answer.parts:
            match part:
                case Say(text):
                    yield from ({"content": piece} for piece in in_pieces(text, answer.piece_chars))
                case Think(text):
                    yield from ({self.reasoning_field: piece} for piece in in_pieces(text, answer.piece_chars))
                case CallTool():
                    yield {"tool_calls": [{"index": calls, **_call(part, "")}]}
                    for piece in in_pieces(part.arguments, answer.piece_chars):
                        yield {"tool_calls": [{"index": calls, "function": {"arguments": piece}}]}
                    calls += 1
                case Redacted():
                    pass

    def _whole(self, answer: Answer) -> JsonObject:
        said = "".join(part.text for part in answer.parts if isinstance(part, Say))
        thought = "".join(part.text for part in answer.parts if isinstance(part, Think))
        calls = [_call(part, part.arguments) for part in answer.parts if isinstance(part, CallTool)]
        message: dict[str, JsonValue] = {"content": said or None}
        if thought:
            message[self.reasoning_field] = thought
        if calls:
            message["tool_calls"] = calls
        return message

    def _embeddings(self, body: JsonObject) -> JsonValue:
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        whole = body.get("encoding_format") == "base64"
        vectors = [_vector(str(text), self.dimensions) for text in texts]
        spelt = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() if whole else v for v in vectors]
        data = [{"object": "embedding", "index": index, "embedding": value} for index, value in enumerate(spelt)]
        tokens = sum(len(str(text).split()) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return cast("JsonValue", {"object": "list", "data": data, "model": body.get("model"), "usage": usage})


def _call(part: CallTool, arguments: str) -> JsonObject:
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": arguments}}


def _usage(answer: Answer) -> JsonObject:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }


def _listed(model: str | JsonObject) -> JsonObject:
    facts: JsonObject = {"id": model} if isinstance(model, str) else model
    return {"object": "model", "created": _CREATED, "owned_by": "fake", **facts}


def _vector(text: str, dimensions: int) -> list[float]:
    """A vector in which equal words count alike, so that texts with common words are near."""
    vector = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        vector[digest[0] % dimensions] += 1.0 + digest[1] / 256
    return vector


def _obeyed(body: JsonObject, answered: int) -> Scripted | None:
    """The step of the script in the newest user message that is due; None when there is no script."""
    messages = [
        message for message in cast("Sequence[JsonValue]", body.get("messages") or []) if isinstance(message, dict)
    ]
    for position in range(len(messages) - 1, -1, -1):
        content = messages[position].get("content")
        steps = (
            parse(unwrapped(content)) if messages[position].get("role") == "user" and isinstance(content, str) else ()
        )
        if steps:
            number = sum(message.get("role") == "assistant" for message in messages[position + 1 :])
            return (
                _spelt(steps[number], answered) if number < len(steps) else Answer(parts=[Say("The script is done.")])
            )
    return None


def _spelt(step: Sequence[object], answered: int) -> Scripted:
    parts: list[Spoken] = []
    stop: Stop | None = None
    prompt_tokens, completion_tokens = 100, 20
    for action in step:
        match action:
            case SayAction(text):
                parts.append(Say(text))
            case ThinkAction(text):
                parts.append(Think(text))
            case Call(name, arguments):
                parts.append(CallTool(f"call_{answered:08}_{len(parts)}", name, arguments))
            case Fail(ModelFault.CONNECTION):
                return Answer(parts=parts, breaks="cut", breaks_after=max(len(parts), 1))
            case Fail(ModelFault.BAD_REPLY):
                return Answer()
            case Fail(fault):
                message = _FAULT_TEXTS.get(fault, f"{fault.value}, as the script says.")
                return Refusal(status=MODEL_FAULT_STATUS[fault], message=message)
            case End(reason):
                stop = reason
            case Bill(prompt, completion):
                prompt_tokens, completion_tokens = prompt, completion
            case _:
                pass
    return Answer(
        parts=parts,
        stop=stop or ("tool_calls" if any(isinstance(part, CallTool) for part in parts) else "stop"),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )


async def _read(scope: Scope, receive: Receive) -> Received:
    pieces: list[bytes] = []
    more = True
    while more:
        event = await receive()
        pieces.append(event.get("body", b""))
        more = event.get("more_body", False)
    text = b"".join(pieces)
    return Received(
        path=str(scope["path"]),
        query=scope["query_string"].decode(),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=orjson.loads(text) if text else EMPTY,
    )


async def _start(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


def main() -> None:
    """Serve a fake whose answers cost next to nothing; without --tokens it obeys directives."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--model", default="fake-model")
    parser.add_argument("--text", default="Hello from the fake model.")
    parser.add_argument("--tokens", type=int, default=0, help="instead of TEXT: so many words, each its own chunk")
    choice = parser.parse_args()
    words = "word " * choice.tokens if choice.tokens else choice.text
    default = Answer(parts=[Say(words)], piece_chars=5 if choice.tokens else len(words) or 1)
    known: JsonObject = {"id": choice.model, "context_length": 128_000}
    app = FakeOpenAI(models=[known], default=default, obey=not choice.tokens)
    app.kept = 1
    gc.disable()  # long requests are many objects, and each is gone with the next request
    uvicorn.run(app, host="127.0.0.1", port=choice.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
