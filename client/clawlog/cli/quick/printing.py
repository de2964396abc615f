"""How an answer reaches stdout."""

from __future__ import annotations

import json
import os


def put(text: str) -> None:
    """Writes a text to stdout.

    Raises:
        OSError: It cannot be written.
    """
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(1, data) :]


def put_json(value: object) -> None:
    """Writes a document as the commands print one. Raises as ``put``."""
    from clawlog.cli.render.texts import escaped  # noqa: PLC0415 - only a document pays for it

    put(escaped(json.dumps(value, ensure_ascii=False, indent=2)) + "\n")
