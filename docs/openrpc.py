"""Writes the wire protocol's OpenRPC document: `python docs/openrpc.py > docs/openrpc.json`.

A test holds the file to the code.
"""

# ruff: noqa: INP001 -- a program, run in place

from __future__ import annotations

import sys

import msgspec

from clawlogd.rpc.discovery import document


def render() -> str:
    """The document as the file has it."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
