"""OpenAI's Responses API."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from support.models.player import Answer, Call, Request
from support.models.tools import Offer

Event = tuple[str | None, Any]
PATHS = ("/v1/responses",)


def read(_path: str, body: dict[str, Any]) -> Request:
    given = body.get("input") or []
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    tools = list(_tools([*(body.get("tools") or ()), *(tool for item in items for tool in item.get("tools") or ())]))
    names = frozenset(name for name, _ in tools)
    free_form = frozenset(name for name, kind in tools if kind == "custom")
    prompts = tuple(text for item in items if item.get("role") == "user" if (text := _said(item.get("content"))))
    return Request(str(body.get("model")), bool(body.get("stream")), Offer(names, free_form), prompts, json.dumps(items))


def _tools(offered: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Name and kind of each tool; some hold others."""
    for tool in offered:
        kind = str(tool.get("type"))
        yield str(tool.get("name") or kind), kind
        yield from _tools(tool.get("tools") or [])


def _said(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or () if part.get("type") in {"input_text", "text"})


def _call_item(call: Call) -> dict[str, Any]:
    if isinstance(call.arguments, str):
        own = {"type": "custom_tool_call", "id": f"ctc_{call.id}", "input": call.arguments}
    else:
        own = {"type": "function_call", "id": f"fc_{call.id}", "arguments": json.dumps(call.arguments)}
    namespace, _, name = call.tool.rpartition(".")  # of a server's tools
    named = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {**own, **named, "call_id": call.id, "status": "completed"}


def whole(answer: Answer, model: str) -> dict[str, Any]:
    said = {"type": "output_text", "text": answer.text, "annotations": []}
    message = {"type": "message", "id": f"msg_{secrets.token_hex(8)}", "role": "assistant", "content": [said]}
    return {
        "id": f"resp_{secrets.token_hex(8)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "status": "completed",
        "output": [{**message, "status": "completed"}, *map(_call_item, answer.calls)],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 20,
        },
    }


def stream(answer: Answer, model: str) -> list[Event]:
    response = whole(answer, model)
    parts: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}}
    ]
    for index, item in enumerate(response["output"]):
        parts.append({"type": "response.output_item.added", "output_index": index, "item": item})
        if item["type"] == "message":
            where = {"item_id": item["id"], "output_index": index, "content_index": 0}
            parts.append({"type": "response.output_text.delta", **where, "delta": answer.text})
        parts.append({"type": "response.output_item.done", "output_index": index, "item": item})
    parts.append({"type": "response.completed", "response": response})
    return [(part["type"], {**part, "sequence_number": number}) for number, part in enumerate(parts)]
