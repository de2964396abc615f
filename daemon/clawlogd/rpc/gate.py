"""What has to be carried out before a command, as the dispatcher sees it; ``spool`` is what stands behind it."""

from __future__ import annotations

from typing import Protocol

from clawlog.protocol.errors import RpcError
from clawlogd.rpc.routes import Route


class Gate(Protocol):
    """Lets a command pass once all that is older has been carried out."""

    @property
    def closed(self) -> bool:
        """Whether something has to be carried out first. Asked for at each turn of a caller, so it must be cheap."""
        ...

    def concerns(self, route: Route, /) -> bool:
        """Whether a verb has to wait for that."""
        ...

    async def open(self) -> None:
        """Carries out what can be."""
        ...

    def refusal_of(self, route: Route, task_id: str | None, /) -> RpcError | None:
        """Why a command of a task cannot be carried out yet; None when it can."""
        ...
