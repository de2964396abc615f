"""Faults of the backend and of the way to it."""

from __future__ import annotations

from typing import Any

from faults.backend import RETRY_AFTERS, Misbehaviour, Poison, always, at_random
from faults.registry import fault
from faults.rig import Rig


def _lane(rig: Rig) -> dict[str, Any]:
    lane: dict[str, Any] = rig.daemon.status()["backends"][0]
    return lane


def _enter_misbehaviour(what: Misbehaviour) -> None:
    @fault(f"backend: {what}")
    def misbehaves(rig: Rig) -> None:
        rig.daemon.start()
        with rig.load(agents=4, pause_s=0.01):
            rig.accept_more(20)
            with rig.backend.misbehaving(always(what)):
                before = rig.backend.requests
                rig.accept_more(rig.scale(40, 400))
                rig.until(lambda: rig.backend.requests >= before + 3, "the daemon tries again")
            rig.accept_more(20)
        rig.recover()


for _what in Misbehaviour:
    _enter_misbehaviour(_what)


@fault("backend down and refusing connections")
def down(rig: Rig) -> None:
    rig.backend.down()
    rig.daemon.start()
    with rig.load(agents=4, pause_s=0.005) as load:
        rig.accept_more(rig.scale(200, 5000))
        rig.until(lambda: _lane(rig)["state"] == "outage", "the outage shows")
        rig.accept_more(50)
    status = rig.daemon.status()
    lane = status["backends"][0]
    assert lane["outage_since"], "an operator learns since when"
    assert "cannot connect" in lane["last_error"], "and why"
    assert status["outbox"]["hours_left"] > 0, "and for how long it can go on"
    assert rig.daemon.log_count("backend_unavailable") == 1, "one line in the log for an outage"
    rig.notes["slowest reply, ms"] = round(load.slowest_reply_s * 1000)
    rig.backend.up()
    rig.recover()


@fault("backend wants a new token")
def token_changes(rig: Rig) -> None:
    token_file = rig.folder / "token"
    token_file.write_text("old")
    rig.backend.token = "old"
    rig.daemon = rig.make_daemon(env={"CLAWLOG_TOKEN_FILE": str(token_file)})
    rig.daemon.start()
    with rig.load(agents=2, pause_s=0.01):
        rig.accept_more(20)
        rig.backend.token = "new"
        rig.accept_more(20)
        rig.until(lambda: rig.daemon.status()["backends"][0]["state"] == "unauthorized", "it says that the token is refused")
        token_file.write_text("new")
        rig.accept_more(20)
    status = rig.recover()
    assert status["outbox"]["dead_letters"] == 0, "a refused token drops nothing"


@fault("429 and 503 with every form of Retry-After")
def retry_after(rig: Rig) -> None:
    rig.backend.retry_afters = RETRY_AFTERS
    policy = at_random(0.7, 7, [Misbehaviour.TOO_MANY, Misbehaviour.UNAVAILABLE])
    rig.daemon.start()
    with rig.load(agents=4, pause_s=0.01), rig.backend.misbehaving(policy):
        rig.until(lambda: rig.backend.requests >= rig.scale(15, 60), "every form was met", timeout_s=120)
    rig.recover()


def _enter_poison(poison: Poison) -> None:
    @fault(f"one poison event in a batch of 500: {poison}")
    def poisoned(rig: Rig) -> None:
        rig.backend.poison = poison
        rig.backend.is_poison = lambda change: bool(change.summary and change.summary.endswith("mark 77"))
        rig.backend.down()
        rig.daemon.start()
        rig.send(500 // 4, agents=4, together=20, per_task=124)
        poisons = sum(bool(rig.backend.is_poison(change)) for change in rig.ledger.outcomes())
        rig.backend.up()
        if poison is Poison.WHOLE_500:
            # Indistinguishable from a fault that passes: kept and tried again, while all other tasks go on.
            rig.until(lambda: len(rig.backend.history) >= 500 - 4 * 48, "all but the poison's successors arrive")
            rig.send(20, agents=2, per_task=10)
            rig.until(lambda: rig.daemon.status()["outbox"]["pending"] <= 4 * 48, "new tasks are not held up")
            rig.backend.is_poison = lambda _: False
            rig.recover()
        else:
            status = rig.recover()
            assert status["outbox"]["dead_letters"] == poisons, "each poison event is a dead letter, and nothing else is"
            rig.reported_gone = poisons

    del poisoned


for _poison in Poison:
    _enter_poison(_poison)


@fault("a third of all requests fail, in all ways")
def a_third_fails(rig: Rig) -> None:
    rig.backend.retry_afters = RETRY_AFTERS[:4]
    rig.daemon.start()
    events = rig.scale(1_600, 100_000)
    with rig.backend.misbehaving(at_random(1 / 3, 3)):
        rig.send(events // 16, agents=16, together=20, per_task=99, timeout_s=300)
        rig.recover(timeout_s=300)


@fault("plain profile alone, the server's own ids, a third of all requests fail")
def plain_profile(rig: Rig) -> None:
    rig.backend.plain_only = True
    rig.backend.own_ids = True
    rig.backend.retry_afters = RETRY_AFTERS[:4]
    rig.daemon.start()
    # A plain backend gets one request for each event: those that cost a whole timeout each are for the long form.
    slow = {Misbehaviour.HANG, Misbehaviour.DRIP}
    with rig.backend.misbehaving(at_random(1 / 3, 4, rig.scale(set(Misbehaviour) - slow, set(Misbehaviour)))):
        rig.send(rig.scale(15, 500), agents=4, timeout_s=120)
        rig.recover(timeout_s=300)
