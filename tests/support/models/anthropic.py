"""Anthropic's Messages API."""

from __future__ import annotations

import json
import secrets
from typing import Any

from support.models.player import Answer, Request
from support.models.tools import Offer

Event = tuple[str | None, Any]
PATHS = ("/v1/messages",)


def read(_path: str, body: dict[str, Any]) -> Request:
    messages = body.get("messages") or []
    prompts = tuple(text for each in messages if each.get("role") == "user" if (text := _said(each.get("content"))))
    names = frozenset(tool["name"] for tool in body.get("tools") or () if "name" in tool)
    return Request(str(body.get("model")), bool(body.get("stream")), Offer(names), prompts, json.dumps(messages))


def _said(content: Any) -> str:
    """A person's words; tools' results stand in a user's message, too."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content or () if block.get("type") == "text")


def whole(answer: Answer, model: str) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": answer.text}]
    blocks += [
        {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.tool, "input": call.arguments} for call in answer.calls
    ]
    return {
        "id": f"msg_{secrets.token_hex(8)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": "tool_use" if answer.calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
    }


def stream(answer: Answer, model: str) -> list[Event]:
    message = whole(answer, model)
    parts: list[dict[str, Any]] = [{"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}]
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            empty, delta = {"text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty, delta = {"input": {}}, {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        parts += [
            {"type": "content_block_start", "index": index, "content_block": {**block, **empty}},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    parts += [{"type": "message_delta", "delta": ended, "usage": {"output_tokens": 10}}, {"type": "message_stop"}]
    return [(part["type"], part) for part in parts]
