"""OpenAI's Chat Completions API, which many servers speak."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from support.models.player import Answer, Request
from support.models.tools import Offer

Event = tuple[str | None, Any]
PATHS = ("/v1/chat/completions",)
_USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}


def read(_path: str, body: dict[str, Any]) -> Request:
    messages = body.get("messages") or []
    prompts = tuple(text for each in messages if each.get("role") == "user" if (text := _said(each.get("content"))))
    names = frozenset(tool["function"]["name"] for tool in body.get("tools") or () if "function" in tool)
    return Request(str(body.get("model")), bool(body.get("stream")), Offer(names), prompts, json.dumps(messages))


def _said(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or () if part.get("type") == "text")


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": json.dumps(call.arguments)}}
        for call in answer.calls
    ]


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{secrets.token_hex(8)}", "object": kind, "created": int(time.time()), "model": model}


def _why(answer: Answer) -> str:
    return "tool_calls" if answer.calls else "stop"


def whole(answer: Answer, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.calls:
        message["tool_calls"] = _calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _why(answer)}
    return {**_head("chat.completion", model), "choices": [choice], "usage": _USAGE}


def stream(answer: Answer, model: str) -> list[Event]:
    head = _head("chat.completion.chunk", model)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": answer.text}]
    deltas += [{"tool_calls": [{"index": index, **call}]} for index, call in enumerate(_calls(answer))]
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": _why(answer)}])
    chunks: list[Event] = [(None, {**head, "choices": each}) for each in choices]
    return [*chunks, (None, {**head, "choices": [], "usage": _USAGE}), (None, "[DONE]")]
