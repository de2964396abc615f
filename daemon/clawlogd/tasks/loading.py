"""Reads the state folder at the start: the outbox's file, and the tasks in it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from clawlogd.clock import Clock
from clawlogd.instance import InstanceError
from clawlogd.outbox.integrity import Witness, is_damage
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.recovery import Recovery, open_store
from clawlogd.outbox.reserve import Reserve
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry


@dataclass(frozen=True, slots=True)
class LoadedState:
    """What was read from the state folder.

    Attributes:
        outbox: The durable queue, open.
        registry: The tasks.
        recovery: What was done about a damaged outbox; None where it was whole.
    """

    outbox: Outbox
    registry: Registry
    recovery: Recovery | None


def load_state(state_dir: Path, settings: LiveSettings, clock: Clock) -> LoadedState:
    """Opens the outbox, and reads the tasks.

    Raises:
        InstanceError: The disk does not work, is full or may not be written to.
        UnknownSchemaError: The state was written by a newer version.
    """
    try:
        return _load(state_dir, settings, clock)
    except (OSError, sqlite3.Error) as error:
        raise InstanceError(
            f"{state_dir}: the outbox cannot be opened: {error}; see whether the disk works, has space, and may be written to"
        ) from error


def _load(state_dir: Path, settings: LiveSettings, clock: Clock) -> LoadedState:
    witness = Witness(state_dir / "outbox.seq")
    reserve = Reserve(state_dir / "ballast", settings.now.outbox.ballast_bytes)
    reserve.restore()
    checked = False
    while True:
        store, recovery = open_store(state_dir / "outbox.db", clock=clock, last_seq=witness.last_seq)
        try:
            outbox = Outbox(store=store, witness=witness, reserve=reserve, settings=settings, clock=clock)
            registry = Registry(outbox=outbox)
            registry.load(store)
        except sqlite3.DatabaseError as error:
            store.close()
            if checked or not is_damage(error):
                raise
            checked = True  # the medium lost some of a sealed file; opening it removed the seal, so now it is checked
        else:
            return LoadedState(outbox, registry, recovery)
