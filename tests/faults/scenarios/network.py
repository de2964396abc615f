"""Faults of the backend and of the way to it."""

from __future__ import annotations

from typing import Any

from faults.backend import RETRY_AFTERS, Misbehaviour, Poison, always, at_random
from faults.registry import fault
from faults.rig import Bench


def _lane(bench: Bench) -> dict[str, Any]:
    lane: dict[str, Any] = bench.daemon.status()["backends"][0]
    return lane


def _enter_misbehaviour(what: Misbehaviour) -> None:
    @fault(f"backend: {what}")
    def misbehaves(bench: Bench) -> None:
        bench.daemon.start()
        with bench.load(agents=4, pause_s=0.01):
            bench.accept_more(20)
            with bench.backend.misbehaving(always(what)):
                before = bench.backend.requests
                bench.accept_more(bench.scale(40, 400))
                bench.until(lambda: bench.backend.requests >= before + 3, "the daemon tries again")
            bench.accept_more(20)
        bench.recover()


for _what in Misbehaviour:
    _enter_misbehaviour(_what)


@fault("backend down and refusing connections")
def down(bench: Bench) -> None:
    bench.backend.down()
    bench.daemon.start()
    with bench.load(agents=4, pause_s=0.005) as load:
        bench.accept_more(bench.scale(200, 5000))
        bench.until(lambda: _lane(bench)["state"] == "outage", "the outage shows")
        bench.accept_more(50)
    status = bench.daemon.status()
    lane = status["backends"][0]
    assert lane["outage_since"], "an operator learns since when"
    assert "cannot connect" in lane["last_error"], "and why"
    assert status["outbox"]["hours_left"] > 0, "and for how long it can go on"
    assert bench.daemon.log_count("backend_unavailable") == 1, "one line in the log for an outage"
    bench.notes["slowest reply, ms"] = round(load.slowest_reply_s * 1000)
    bench.backend.up()
    bench.recover()


@fault("backend wants a new token")
def token_changes(bench: Bench) -> None:
    token_file = bench.folder / "token"
    token_file.write_text("old")
    bench.backend.token = "old"
    bench.daemon = bench.make_daemon(env={"CLAWLOG_TOKEN_FILE": str(token_file)})
    bench.daemon.start()
    with bench.load(agents=2, pause_s=0.01):
        bench.accept_more(20)
        bench.backend.token = "new"
        bench.accept_more(20)
        bench.until(
            lambda: bench.daemon.status()["backends"][0]["state"] == "unauthorized", "it says that the token is refused"
        )
        token_file.write_text("new")
        bench.accept_more(20)
    status = bench.recover()
    assert status["outbox"]["dead_letters"] == 0, "a refused token drops nothing"


@fault("429 and 503 with every form of Retry-After")
def retry_after(bench: Bench) -> None:
    bench.backend.retry_afters = RETRY_AFTERS
    policy = at_random(0.7, 7, [Misbehaviour.TOO_MANY, Misbehaviour.UNAVAILABLE])
    bench.daemon.start()
    with bench.load(agents=4, pause_s=0.01), bench.backend.misbehaving(policy):
        bench.until(lambda: bench.backend.requests >= bench.scale(15, 60), "every form was met", timeout_s=120)
    bench.recover()


def _enter_poison(poison: Poison) -> None:
    @fault(f"one poison event in a batch of 500: {poison}")
    def poisoned(bench: Bench) -> None:
        bench.backend.poison = poison
        bench.backend.is_poison = lambda change: bool(change.summary and change.summary.endswith("mark 77"))
        bench.backend.down()
        bench.daemon.start()
        bench.send(500 // 4, agents=4, together=20, per_task=124)
        poisons = sum(bool(bench.backend.is_poison(change)) for change in bench.ledger.outcomes())
        bench.backend.up()
        if poison is Poison.WHOLE_500:
            # Indistinguishable from a fault that passes: kept and tried again, while all other tasks go on.
            bench.until(lambda: len(bench.backend.history) >= 500 - 4 * 48, "all but the poison's successors arrive")
            bench.send(20, agents=2, per_task=10)
            bench.until(lambda: bench.daemon.status()["outbox"]["pending"] <= 4 * 48, "new tasks are not held up")
            bench.backend.is_poison = lambda _: False
            bench.recover()
        else:
            status = bench.recover()
            assert status["outbox"]["dead_letters"] == poisons, "each poison event is a dead letter, and nothing else is"
            bench.reported_gone = poisons

    del poisoned


for _poison in Poison:
    _enter_poison(_poison)


@fault("a third of all requests fail, in all ways")
def a_third_fails(bench: Bench) -> None:
    bench.backend.retry_afters = RETRY_AFTERS[:4]
    bench.daemon.start()
    events = bench.scale(1_600, 100_000)
    with bench.backend.misbehaving(at_random(1 / 3, 3)):
        bench.send(events // 16, agents=16, together=20, per_task=99, timeout_s=300)
        bench.recover(timeout_s=300)


@fault("plain profile alone, the server's own ids, a third of all requests fail")
def plain_profile(bench: Bench) -> None:
    bench.backend.plain_only = True
    bench.backend.own_ids = True
    bench.backend.retry_afters = RETRY_AFTERS[:4]
    bench.daemon.start()
    # A plain backend gets one request for each event: those that cost a whole timeout each are for the long form.
    slow = {Misbehaviour.HANG, Misbehaviour.DRIP}
    with bench.backend.misbehaving(at_random(1 / 3, 4, bench.scale(set(Misbehaviour) - slow, set(Misbehaviour)))):
        bench.send(bench.scale(15, 500), agents=4, timeout_s=120)
        bench.recover(timeout_s=300)
