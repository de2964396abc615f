"""Which project and branch a folder is in, by what git itself writes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from clawlogd.tasks.checkout import Checkout, find_checkout


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=20)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, in a folder named ``shop``."""
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init")
    git(folder, "commit", "--allow-empty", "-m", "first")
    return folder


def test_a_folder_below_a_repository_is_of_its_project_and_branch(repository: Path) -> None:
    below = repository / "a" / "b"
    below.mkdir(parents=True)
    git(repository, "checkout", "-b", "feature/写")
    assert find_checkout(str(below)) == Checkout("shop", "feature/写")
    assert find_checkout(f"{below}/../b//") == Checkout("shop", "feature/写")


def test_a_commit_without_a_branch_has_none(repository: Path) -> None:
    git(repository, "checkout", "--detach")
    assert find_checkout(str(repository)) == Checkout("shop", None)


def test_a_worktree_is_of_the_repositorys_project_and_has_a_branch_of_its_own(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-b", "fix", str(tmp_path / "elsewhere"))
    assert find_checkout(str(tmp_path / "elsewhere")) == Checkout("shop", "fix")


def test_a_worktree_of_a_bare_repository_is_of_its_project(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--bare", str(repository), "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", str(tmp_path / "tree"), "main")
    assert find_checkout(str(tmp_path / "tree")) == Checkout("bare", "main")


def test_a_submodule_is_a_project_of_its_own(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "library"
    other.mkdir()
    git(other, "init")
    git(other, "commit", "--allow-empty", "-m", "first")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", str(other), "vendor")
    assert find_checkout(str(repository / "vendor")) == Checkout("vendor", "main")


@pytest.mark.parametrize("folder", ["/", "/nowhere/at/all", "/proc/self/fd", "/a\0b", "/" + "x" * 4000, "/" + "x/" * 2000])
def test_a_folder_that_is_in_none_has_none(folder: str) -> None:
    assert find_checkout(folder) is None


@pytest.mark.parametrize(
    "content", [b"", b"gitdir:", b"gitdir: nowhere", b"gitdir: /dev/zero", b"gitdir: \0", b"\xff" * 9000, b"gitdir: ."]
)
def test_a_file_in_its_place_that_says_nothing_is_passed_over(repository: Path, content: bytes) -> None:
    below = repository / "below"
    below.mkdir()
    (below / ".git").write_bytes(content)
    assert find_checkout(str(below)) in {Checkout("shop", "main"), None}


def test_what_would_wait_for_ever_is_not_read(repository: Path) -> None:
    (repository / ".git" / "HEAD").unlink()
    os.mkfifo(repository / ".git" / "HEAD")
    below = repository / "below"
    below.mkdir()
    os.mkfifo(below / ".git")
    assert find_checkout(str(below)) is None


def test_a_head_that_is_no_text_is_shown_as_far_as_it_is(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_bytes(b"ref: refs/heads/\xff\n")
    assert find_checkout(str(repository)) == Checkout("shop", "\ufffd")
