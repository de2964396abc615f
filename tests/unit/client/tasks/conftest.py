from __future__ import annotations

import pytest

from support.scripted_daemon import ScriptedDaemon
from support.task_forms import Form


@pytest.fixture(params=["blocking", "asyncio"])
def form(request: pytest.FixtureRequest, daemon: ScriptedDaemon, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Form:
    """Both forms, with a scripted daemon in the environment."""
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)
    return Form(is_async=request.param == "asyncio")
