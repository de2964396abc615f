"""A backend below a path of another server: a proxy may pass that path on, or take it off; both are answered alike."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class RootPath:
    """Takes the path off before anything else sees the request.

    Args:
        app: What answers.
        path: The path, such as ``/clawlog``.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path
        self._raw_path = path.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope.get("path", "")
        if path == self._path or path.startswith(self._path + "/"):
            raw: bytes = scope.get("raw_path") or path.encode()
            rest = {"path": path.removeprefix(self._path) or "/", "raw_path": raw.removeprefix(self._raw_path) or b"/"}
            scope = {**scope, **rest}
        await self._app(scope, receive, send)
