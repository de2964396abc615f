"""Sends an agent's event to the daemon, or keeps it for the next one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from clawlog import locations, spool
from clawlog.client import Client
from clawlog.connection.call import Call
from clawlog.connection.results import raw
from clawlog.errors import ClawlogError, DaemonUnreachable, ProtocolViolation, Refused
from clawlog.protocol import agents, errors
from clawlog.protocol.ids import new_uuid

VERB = "agent.event"
_TIMEOUT_S = 3.0
_OF_TOOLS = ("tool.before", "tool.after")


def environment(env: Mapping[str, str], state_dir: str) -> Mapping[str, str]:
    """Returns the environment in which the daemon of that state folder is found, also where an agent has cleared its own."""
    try:
        if os.path.abspath(locations.state_dir(env)) == os.path.abspath(state_dir):
            return env
    except locations.Unfit:
        pass
    return {**env, "CLAWLOG_STATE_DIR": state_dir}


def deliver(params: Mapping[str, Any], env: Mapping[str, str], state_dir: str, *, is_held: bool = False) -> None:
    """Sends one event.

    A tool's event is a sign of life, true at its time: it is not kept for later, unless a tool was held back. Where it could
    not be sent, the session's file of signs is made here, so that the next ones cost nothing: a daemon that starts drops it.

    Args:
        params: The event.
        env: The environment.
        state_dir: The state folder.
        is_held: Whether a tool was held back.
    """
    request = {**params, "event_id": new_uuid()}
    try:
        with Client(env=env, timeout_s=_TIMEOUT_S, warn=lambda _: None) as client:
            client.perform(Call(VERB, request, raw))
    except Refused as refusal:
        if refusal.code not in errors.NOT_NOW:
            return
    except (DaemonUnreachable, ProtocolViolation):
        pass
    else:
        return
    if params["event"] in _OF_TOOLS and not is_held:
        _make_signs(params["agent"], params["session_id"], state_dir)
    else:
        with contextlib.suppress(ClawlogError):
            spool.keep([(VERB, request)], env)


def _make_signs(agent: str, session_id: str, state_dir: str) -> None:
    folder = state_dir
    with contextlib.suppress(OSError, locations.Unfit):
        locations.private_folder(folder)
        for name in ("run", agents.SIGNS, agent):
            folder = os.path.join(folder, name)
            locations.private_folder(folder)
        os.close(locations.open_own_file(os.path.join(folder, agents.session_file(session_id)), os.O_WRONLY))
