"""The file that the hooks go into: private, linked, commented; and as it was, once they are taken out."""

from __future__ import annotations

import stat

from agents.real.rig import Rig
from agents.real.scenarios import HELLO, Progress, Result, is_done

_COMMENT = "// A comment, which JSON does not have.\n"
DATA_ERROR = 65


def settings(name: str, result: Result, progress: Progress) -> None:
    """The agent's settings survive, whatever they are, and the hook works from each."""
    with Rig(name, HELLO) as rig:
        progress("settings")
        rig.start_daemon()
        if rig.program.settings is None:
            _check_own_file(rig, result)
            return
        path = rig.home / rig.program.settings
        if not path.exists():  # the agent makes none by itself
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}\n", encoding="utf-8")
        path.chmod(0o600)
        before = rig.files()
        _check_commented(rig, result)
        kept = rig.home / "dotfiles" / path.name
        kept.parent.mkdir()
        path.rename(kept)
        path.symlink_to(kept)
        rig.install()
        result.check("still a link", path.is_symlink() and path.resolve() == kept)
        result.check("still private", stat.S_IMODE(kept.stat().st_mode) == 0o600, oct(kept.stat().st_mode))
        _check_works(rig, result)
        _check_uninstalled(rig, before, result)


def _check_own_file(rig: Rig, result: Result) -> None:
    """An agent whose hook is a file of its own."""
    before = rig.files()
    rig.install()
    added = {path: rig.home / path for path in rig.files() if path not in before}
    modes = {path: oct(stat.S_IMODE(file.stat().st_mode)) for path, file in added.items()}
    result.check("still private", set(modes.values()) == {"0o600"}, modes)
    _check_works(rig, result)
    _check_uninstalled(rig, before, result)


def _check_commented(rig: Rig, result: Result) -> None:
    """JSON with comments is left alone, and the lines to paste are shown."""
    assert rig.program.settings is not None
    path = rig.home / rig.program.settings
    plain = path.read_bytes()
    path.write_bytes(_COMMENT.encode() + plain)
    done = rig.clawlog("install", "hooks", rig.name, "--with-plans")
    untouched = path.read_bytes() == _COMMENT.encode() + plain
    told = "clawlog/hooks/hook" in done.stdout + done.stderr
    result.check("comments left alone", done.returncode == DATA_ERROR and untouched and told, (done.returncode, done.stderr))
    path.write_bytes(plain)
    rig.clawlog("uninstall", "hooks")  # what could be edited beside it, such as Codex's own settings


def _check_works(rig: Rig, result: Result) -> None:
    rig.run("hello", say="Look")
    task = rig.until_task(is_done, "the session's task to be done")
    result.check("works from it", "hello" in rig.ran() and task["title"].startswith("Look"), task["title"])


def _check_uninstalled(rig: Rig, before: dict[str, bytes], result: Result) -> None:
    """What the agent itself wrote meanwhile is its own; what was there before is as it was."""
    done = rig.clawlog("uninstall", "hooks")
    assert done.returncode == 0, f"uninstall hooks ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    after = {path: content.replace(rig.trusted.encode(), b"") for path, content in rig.files().items()}
    changed = [path for path, content in before.items() if after.get(path) != content]
    own = [rig.program.settings or "", *(path for path in after if "clawlog" in path)]
    left = [path for path in own if b"clawlog/hooks" in after.get(path, b"")]
    result.check("as it was", not changed and not left, (changed, left))
