"""Whatever the daemon accepts the embedded backend takes: they share one table of bounds, and nothing falls between the two."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from clawlog.protocol import vocabulary
from clawlog.protocol.errors import RpcError
from clawlogd.settings import Metadata
from support.backend_process import BackendProcess
from support.hostile_texts import TEXTS, unclean
from support.running_daemon import QUICK, RunningDaemon


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    process = BackendProcess(tmp_path_factory.mktemp("taker"))
    process.start()
    yield process
    process.stop()


@pytest.mark.parametrize("key", ["", "k" * 65, "k" * 1000, "\n", "\x00"], ids=["empty", "65", "1000", "a line break", "NUL"])
async def test_a_metadata_key_that_the_backend_would_refuse_is_refused_at_once(daemon: RunningDaemon, key: str) -> None:
    with pytest.raises(RpcError, match="metadata") as refused:
        await daemon.call("task.create", title="T", metadata={key: "v"})
    assert (refused.value.code, refused.value.data["field"]) == (-32602, "metadata")
    assert "1 to 64 characters" in str(refused.value.data["hint"])


async def test_metadata_at_its_bounds_is_taken(daemon: RunningDaemon, backend: BackendProcess) -> None:
    pairs = {f"{number:02d}" + "ß" * 62: "x" * 1000 for number in range(20)}
    await daemon.call("task.create", title="T", task_id="at-bounds", base_url=backend.url, metadata=pairs)
    await daemon.flush()
    assert backend.call("GET", "/api/tasks/at-bounds")["metadata"] == pairs


async def test_what_the_daemon_kept_holds_nothing_that_no_text_may(daemon: RunningDaemon, backend: BackendProcess) -> None:
    sent = {name: text[:1000] for name, text in TEXTS.items() if "surrogate" not in name}
    await daemon.call(
        "task.create", title="T" + sent["escape"], task_id="kept", base_url=backend.url, metadata=sent, summary=sent["C0"]
    )
    await daemon.flush()
    assert unclean(await daemon.call("task.get", task_id="kept")) == []
    assert unclean(backend.call("GET", "/api/tasks/kept")) == []


# ── A property ─────────────────────────────────────────────────────────────────────────────────────────────────────

_text = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
    st.text(st.sampled_from("\x00\x01\x1b\x7f\x85\u2028\u202e\ufeff\u200b\u00a0\u3000 ab"), max_size=8),
    st.sampled_from([text for name, text in TEXTS.items() if "surrogate" not in name and len(text) < 300]),
    st.builds(
        lambda count, char: char * count,
        st.sampled_from((63, 64, 65, 199, 200, 201, 999, 1000, 1001)),
        st.sampled_from("aß界😀"),
    ),
)


def _mostly(fit: st.SearchStrategy[Any], hostile: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of which most fit: a call is refused for the first thing in it that does not, and shows nothing of the rest."""
    return st.integers(0, 24).flatmap(lambda drawn: hostile if drawn == 13 else fit)


_likely = _mostly(st.sampled_from(("one", "two", "写", "a  b\n")), _text)
_likely_ids = _mostly(
    st.text("abAB09._:-", min_size=1, max_size=8).filter(lambda each: each not in {".", ".."}),
    st.one_of(st.text("ab09./ ~", min_size=1, max_size=8), st.sampled_from(("x" * 64, "x" * 65)), _text),
)
_step = st.one_of(_likely, st.fixed_dictionaries({"title": _likely}, optional={"step_id": _likely_ids}))
_numbers = st.one_of(
    st.integers(-1, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from((0, -0.0, 2**53 + 1, 2**63 - 1, 2**63, 10**19, 1e308, 1.7e308, 5e-324, True, None)),
)
_likely_numbers = _mostly(st.integers(0, 900), _numbers)
_progress = st.fixed_dictionaries({"done": _likely_numbers}, optional={"total": _likely_numbers, "unit": _likely})
_urlsafe = st.text("ab/?&=#%[]@:.~", max_size=6)
_urls = st.one_of(
    st.builds(
        "{}{}{}".format, st.sampled_from(("https://x/", "http://[::1]:8/", "HTTPS://X?", "ftp://x/", "//x")), _urlsafe, _text
    ),
    st.sampled_from(
        ("https://x/" + "y" * 1990, "https://x/" + "y" * 1991, "https://me@x/", "https://x:99999/", "https://x\\@y")
    ),
    _text,
)
_planned = st.one_of(
    _likely,
    st.fixed_dictionaries(
        {"title": _likely}, optional={"step_id": _likely_ids, "status": st.sampled_from(vocabulary.STEP_STATUSES)}
    ),
)
_create = st.fixed_dictionaries(
    {"title": _likely},
    optional={
        "cwd": _text.map("/{}".format),
        "parent_task_id": _likely_ids,
        "task_id": _likely_ids,
        "steps": st.lists(_step, max_size=3),
        "summary": _text,
        "metadata": st.dictionaries(_likely, _text, max_size=21),
        "lease_s": st.floats(4, 3700),
    },
)
_change = st.one_of(
    st.tuples(
        st.just("step.update"),
        st.fixed_dictionaries(
            {"step": st.integers(0, 5), "status": st.sampled_from((*vocabulary.STEP_STATUSES, "waiting"))},
            optional={"summary": _text, "progress": _progress},
        ),
    ),
    st.tuples(st.just("task.plan"), st.fixed_dictionaries({"steps": st.lists(_planned, max_size=4)})),
    st.tuples(
        st.just("step.add"),
        st.fixed_dictionaries({"title": _likely}, optional={"step_id": _likely_ids, "after": st.integers(0, 4) | _text}),
    ),
    st.tuples(
        st.just("task.annotate"),
        st.fixed_dictionaries({"metadata": st.dictionaries(_likely, st.none() | _text, min_size=1, max_size=5)}),
    ),
    st.tuples(st.just("task.link"), st.fixed_dictionaries({"url": _urls}, optional={"name": _likely})),
    st.tuples(
        st.just("task.update"),
        st.fixed_dictionaries({"status": st.sampled_from((*vocabulary.TASK_STATUSES, "lost"))}, optional={"summary": _text}),
    ),
    st.tuples(st.just("task.heartbeat"), st.fixed_dictionaries({}, optional={"summary": _text, "progress": _progress})),
)


@dataclasses.dataclass
class _World:
    daemon: RunningDaemon
    backend: BackendProcess
    number: int = 0

    async def try_(self, create: dict[str, Any], changes: list[tuple[str, dict[str, Any]]]) -> None:
        self.number += 1
        task_id = create.pop("task_id", None)
        if task_id is not None:
            create["task_id"] = f"{task_id}" if len(task_id) > 60 else f"{task_id}{self.number}"
        try:
            made = await self.daemon.call("task.create", base_url=self.backend.url, **create)
        except RpcError as refused:
            assert refused.code in {-32602, -32007}, refused  # noqa: PT017
            return
        for verb, params in changes:
            try:
                await self.daemon.call(verb, task_id=made["task_id"], **params)
            except RpcError as refused:
                assert refused.code in {-32602, -32002, -32003, -32007}, refused  # noqa: PT017
        await self.daemon.flush()
        letters = (await self.daemon.call("deadletter.list"))["dead_letters"]
        assert letters == []
        there = await asyncio.to_thread(self.backend.call, "GET", f"/api/tasks/{made['task_id']}")
        here = await self.daemon.call("task.get", task_id=made["task_id"])
        assert _plan_of(there) == _plan_of(here)
        assert (there["metadata"], there["parent_task_id"]) == (here["metadata"], here["parent_task_id"])
        assert [(each["url"], each["name"]) for each in there["links"]] == [
            (each["url"], each["name"]) for each in here["links"]
        ]


def _plan_of(task: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(each["step_id"], each["position"], each["title"], each["status"], _measure_of(each)) for each in task["steps"]]


def _measure_of(step: dict[str, Any]) -> tuple[Any, ...] | None:
    measure = step["measure"]
    return None if measure is None else tuple(measure[name] for name in ("done", "total", "unit"))


@pytest.mark.timeout(120)
def test_whatever_the_daemon_accepts_the_backend_takes(tmp_path: Path, folder: Path, backend: BackendProcess) -> None:
    loop = asyncio.new_event_loop()
    daemon = RunningDaemon(folder, msgspec.structs.replace(QUICK, metadata=Metadata()))
    loop.run_until_complete(daemon.start())
    world = _World(daemon, backend)

    def property_(create: dict[str, Any], changes: list[tuple[str, dict[str, Any]]]) -> None:
        loop.run_until_complete(world.try_(dict(create), changes))

    tried = given(create=_create, changes=st.lists(_change, max_size=8))(property_)
    try:
        seed(20260301)(
            settings(max_examples=150, database=None, deadline=None, suppress_health_check=list(HealthCheck))(tried)
        )()
    finally:
        loop.run_until_complete(daemon.stop())
        loop.close()
