"""Google's Gemini API."""

from __future__ import annotations

import json
import secrets
from typing import Any

from support.models.player import Answer, Request
from support.models.tools import Offer

Event = tuple[str | None, Any]
PATHS = (":generateContent", ":streamGenerateContent")


def read(path: str, body: dict[str, Any]) -> Request:
    contents = body.get("contents") or []
    prompts = tuple(text for each in contents if each.get("role") == "user" if (text := _said(each)))
    declared = [each for tool in body.get("tools") or () for each in tool.get("functionDeclarations") or ()]
    names = frozenset(each["name"] for each in declared)
    model = path.rpartition("/")[2].partition(":")[0]
    return Request(model, path.endswith(":streamGenerateContent"), Offer(names), prompts, json.dumps(contents))


def _said(content: dict[str, Any]) -> str:
    return "\n".join(part["text"] for part in content.get("parts") or () if isinstance(part.get("text"), str))


def whole(answer: Answer, model: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": answer.text}]
    parts += [{"functionCall": {"id": call.id, "name": call.tool, "args": call.arguments}} for call in answer.calls]
    return {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20},
        "modelVersion": model,
        "responseId": secrets.token_hex(8),
    }


def stream(answer: Answer, model: str) -> list[Event]:
    return [(None, whole(answer, model))]
