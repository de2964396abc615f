"""How often loops look while nothing goes on: as a run's knobs say where something does, hardly ever in between.

Most of a day nothing happens. The loops that look now and then whether something is there, the polls and the heartbeats cost
the same in those hours as in the others, and find nothing. So while nobody does anything for long, and nobody is about to, all
of that goes slowly, by the daemon's own settings and by the constants of its loops; well before the next thing happens it goes
on as usual.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from clawlogd.agents import watching
from clawlogd.host import housekeeping
from clawlogd.interrupts import views
from clawlogd.liveness import schedule
from clawlogd.rpc import drops

if TYPE_CHECKING:
    from collections.abc import Hashable

    from clawlogd.settings import Settings
    from simulation.world import World

_SLOW_S = 500.0  # how rarely all is done while nothing goes on
_EARLY_S = _SLOW_S + 60.0  # how long before the next thing it goes on as usual: each loop has had its turn by then
_STEP_S = 60.0


class Rhythm:
    """Slows a run down where nothing goes on.

    Args:
        world: Whose run it is.

    Attributes:
        look_s: How often the model looks at everything.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[Hashable, float] = {}
        self._calm_since = world.loop.now
        self.look_s = _STEP_S
        self.slow = False

    def constants(self) -> list[tuple[Any, str, float]]:
        """What stands for the pauses of the daemon's loops, in seconds."""
        knobs, slow_s = self._world.knobs, _SLOW_S
        if self.slow:
            places: list[tuple[Any, str, float]] = [(each, "_ROUND_S", slow_s) for each in (housekeeping, watching)]
            return [*places, (schedule, "_TICK_S", slow_s), (views, "_RENEW_S", slow_s), (drops, "_LOOK_S", slow_s)]
        return [
            (housekeeping, "_ROUND_S", knobs.round_s),
            (watching, "_ROUND_S", knobs.sign_s),
            (schedule, "_TICK_S", knobs.tick_s),
            (views, "_RENEW_S", knobs.round_s),
            (drops, "_LOOK_S", knobs.look_s),
        ]

    def settings(self, usual: Settings) -> Settings:
        """The daemon's settings now."""
        if not self.slow:
            return usual
        change = msgspec.structs.replace
        return change(
            usual,
            heartbeat=change(usual.heartbeat, interval_s=_SLOW_S - 2),
            poll=change(usual.poll, interval_s=_SLOW_S, wait_s=_SLOW_S),
            retry=change(usual.retry, max_delay_s=_SLOW_S / 2),
        )

    # ── Who does something when ────────────────────────────────────────────────────────────────────────────────────

    async def sleep_until(self, who: Hashable, at_s: float) -> None:
        """Sleeps until a time of the plan: nothing is to be expected of somebody before."""
        world = self._world
        delay_s = at_s - world.elapsed_s
        if delay_s > 0:
            self._due[who] = world.loop.now + delay_s
            await asyncio.sleep(delay_s)
        self._due[who] = world.loop.now  # from here on it does something

    def done(self, who: Hashable) -> None:
        """Nothing is to be expected of somebody any more."""
        self._due.pop(who, None)
        self._calm_since = self._world.loop.now

    async def run(self, ends_at: float) -> None:
        """Slows down and goes on as usual, until cancelled.

        Args:
            ends_at: When the run is to come to rest, monotonic.
        """
        world = self._world
        calm_s = 1.5 * world.knobs.lease_s + 200
        while True:
            now = world.loop.now
            ahead_s = min([ends_at, *self._due.values()]) - now
            if ahead_s <= 0 or world.life is None:
                self._calm_since = now
            if now - self._calm_since > calm_s and ahead_s > _EARLY_S + _SLOW_S:
                self._set(slow=True)
                await asyncio.sleep(ahead_s - _EARLY_S)
                self._set(slow=False)
            else:
                await asyncio.sleep(_STEP_S)

    def _set(self, *, slow: bool) -> None:
        self.slow = slow
        self.look_s = _SLOW_S if slow else _STEP_S
        for place, name, value in self.constants():
            setattr(place, name, value)
        world = self._world
        world.log("slow" if slow else "usual")
        if world.life is not None:
            world.life.services.live_settings.now = self.settings(world.settings)
