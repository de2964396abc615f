"""A daemon whose default backend is the embedded one, and sessions of agents that report to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec
import pytest

from support.backend_process import BackendProcess
from support.running_backend import Api
from support.running_daemon import QUICK, RunningDaemon
from support.sessions import PlayedSession

Play = Callable[..., PlayedSession]


@pytest.fixture(autouse=True)
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs are read more often, and a prompt is not waited for so long, so that tests need not wait either."""
    monkeypatch.setattr("clawlogd.agents.watching._ROUND_S", 0.05)
    monkeypatch.setattr("clawlogd.agents.sessions._OPENING_S", 0.4)
    monkeypatch.setattr("clawlogd.liveness.evidence._LAST_WORDS_S", 0.4)


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon], embedded: BackendProcess) -> RunningDaemon:
    started = new_daemon(msgspec.structs.replace(QUICK, base_url=embedded.url))
    await started.start()
    return started


@pytest.fixture
def play(api: Api) -> Play:
    """Plays a session of an agent, Claude Code by default."""

    def start(daemon: RunningDaemon, agent: str = "claude-code", session_id: str | None = None) -> PlayedSession:
        return PlayedSession(daemon, api, agent, session_id or str(uuid.uuid4()))

    return start


@pytest.fixture
def hook(play: Play, daemon: RunningDaemon) -> PlayedSession:
    return play(daemon)
