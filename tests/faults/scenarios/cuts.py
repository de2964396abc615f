"""Connections to the backend that are cut anywhere: a property, tried over sequences of cuts that hypothesis thinks up.

The seeds are kept: each run tries the same sequences. A sequence that ever failed is to be entered in ``KNOWN``.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st

from faults.proxy import Cut, CuttingProxy, How
from faults.registry import fault
from faults.rig import Bench

SEEDS = (20260101, 20260102, 20260103)
KNOWN: tuple[list[Cut], ...] = (
    [Cut(0, 0, How.RESET)] * 8,
    [Cut(10**6, 1, How.CLOSE)] * 8,  # executed, and the reply lost
    [Cut(10**6, 200, How.RESET), Cut(300, 10**6, How.SILENCE)],
)

_cut = st.builds(
    Cut,
    sent_bytes=st.one_of(st.integers(0, 1500), st.just(10**6)),
    received_bytes=st.one_of(st.integers(0, 600), st.just(10**6)),
    how=st.sampled_from(How),
)


@fault("a proxy cuts connections at random")
def cut_at_random(bench: Bench) -> None:
    proxy = CuttingProxy(bench.backend.port)
    url = f"http://127.0.0.1:{proxy.port}"
    try:
        bench.daemon.start()
        for number in SEEDS[: bench.scale(1, len(SEEDS))]:
            _try(bench, proxy, url, number, examples=bench.scale(4, 60))
        bench.recover()
        bench.notes["connections cut"] = proxy.cuts
        assert proxy.cuts, "connections were cut"
    finally:
        bench.daemon.kill()
        proxy.close()


def _try(bench: Bench, proxy: CuttingProxy, url: str, number: int, examples: int) -> None:
    def property_(cuts: list[Cut]) -> None:
        proxy.order(cuts)
        bench.send(6, agents=2, per_task=5, base_url=url)
        bench.recover()
        verdict = bench.verdict()
        assert verdict.holds, verdict

    test = given(cuts=st.lists(_cut, min_size=1, max_size=6))(property_)
    for each in KNOWN:
        test = example(cuts=each)(test)
    checked = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )(test)
    seed(number)(checked)()
