"""What the servers as people write them have in common."""

from __future__ import annotations

from fastapi import FastAPI

from support.foreign.held import Held


class Server:
    """An application and what it holds."""

    def __init__(self) -> None:
        self.app = FastAPI(title="ClawLog")
        self.held = Held()
