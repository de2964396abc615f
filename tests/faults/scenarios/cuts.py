"""Connections to the backend that are cut anywhere: a property, tried over sequences of cuts that hypothesis thinks up.

The seeds are kept: each run tries the same sequences. A sequence that ever failed is to be entered in ``KNOWN``.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st

from faults.proxy import Cut, CuttingProxy, How
from faults.registry import fault
from faults.rig import Rig

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
def cut_at_random(rig: Rig) -> None:
    proxy = CuttingProxy(rig.backend.port)
    url = f"http://127.0.0.1:{proxy.port}"
    try:
        rig.daemon.start()
        for number in SEEDS[: rig.scale(1, len(SEEDS))]:
            _try(rig, proxy, url, number, examples=rig.scale(4, 60))
        rig.recover()
        rig.notes["connections cut"] = proxy.cuts
        assert proxy.cuts, "connections were cut"
    finally:
        rig.daemon.kill()
        proxy.close()


def _try(rig: Rig, proxy: CuttingProxy, url: str, number: int, examples: int) -> None:
    def property_(cuts: list[Cut]) -> None:
        proxy.order(cuts)
        rig.send(6, agents=2, per_task=5, base_url=url)
        rig.recover()
        verdict = rig.verdict()
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
