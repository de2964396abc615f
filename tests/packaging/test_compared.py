"""The comparison with others: its documents are those of the stored run, and the run can be repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.peers import environments, pages, results
from benchmarks.peers.catalogue import CLIENTS, OURS, PEERS, Peer

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", pages.DOCUMENTS)
def test_the_figures_of_a_document_are_those_of_the_stored_run(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert pages.BEGIN in text
    assert pages.with_part(text, pages.DOCUMENTS[name](results.load())) == text


def test_the_stored_run_has_every_peer_at_the_version_that_is_installed() -> None:
    run = results.load()
    assert [each.name for each in run.measured] == [each.name for each in (OURS, *PEERS)]
    assert {peer.name: peer.version for peer in PEERS if peer.package} == {
        peer.name: found.version for peer in PEERS if peer.package and (found := run.of(peer.name))
    }
    assert all((CLIENTS / each.client).exists() for each in (OURS, *PEERS))


@pytest.mark.timeout(120)  # two seconds of processor; the rest is waiting for those who wait
def test_a_small_run_measures_what_needs_no_library_and_says_what_it_cannot(tmp_path: Path) -> None:
    stored = tmp_path / "run.json"
    command = [sys.executable, "-m", "benchmarks.peers", "curl", "urllib", "--runs", "1", "--updates", "10"]
    command += ["--bound", "0.5", "--watched", "0.2", "--output", str(stored)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    run = results.load(stored)
    ours, *others = run.measured
    assert (ours.name, [each.name for each in others]) == ("clawlog", ["curl", "Python, urllib"])
    assert ours.step is not None
    assert ours.memory is not None
    assert ours.memory.helper_bytes > 0
    for found in (ours.refused, ours.hanging):
        assert found is not None
        assert found.status == 0
        assert found.arrived_after_s is not None
    for each in others:
        assert each.rate is not None, each
        assert each.rate.taken == each.rate.sent > 0
        assert each.refused is not None
        assert each.refused.status not in (0, None)
        assert each.hanging is not None
        assert (each.hanging.status, each.hanging.arrived_after_s) == (None, None)  # ended at the bound
    assert "over 0 s" in pages.tables(run)


def test_what_cannot_be_installed_is_left_out_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWLOG_BENCH_PEERS", str(tmp_path))
    with pytest.raises(environments.Unavailable, match="no-such-program is not on this machine"):
        environments.python(Peer("x", "x", "direct.py", short=("no-such-program",)))
    monkeypatch.setattr(environments, "INSTALL_LIMIT_S", 0.0)
    with pytest.raises(environments.Unavailable, match=r"clawlog-no-such==1 was not installed within 0 s"):
        environments.python(Peer("x", "x", "direct.py", "clawlog-no-such", "1"))


def test_a_peer_is_given_no_way_out_and_an_empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "somebody's")
    env = environments.variables(tmp_path)
    assert env["HOME"] == str(tmp_path)
    assert "WANDB_API_KEY" not in env
    assert env["https_proxy"] == env["HTTP_PROXY"] == "http://127.0.0.1:9"
    assert env["NO_PROXY"] == "127.0.0.1,localhost"
