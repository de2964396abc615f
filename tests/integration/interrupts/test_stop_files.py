"""An open stop's file is there whole or not at all, also where its folder was removed or something is in its place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from support.backend_process import BackendProcess
from support.running_backend import Api
from support.running_daemon import RunningDaemon, until


async def ask_to_stop(daemon: RunningDaemon, api: Api, url: str, task_id: str) -> Path:
    await daemon.call("task.create", title="T", task_id=task_id, base_url=url)
    await daemon.flush()
    await api("POST", f"/api/tasks/{task_id}/interrupt", {"mode": "soft_stop", "reason": "wrong branch"})
    return daemon.state_dir / "run" / "stop" / task_id


def holds_the_reason(path: Path) -> bool:
    return path.is_file() and path.read_text().splitlines()[1:] == ["wrong branch"]


async def test_a_stop_s_file_takes_the_place_of_whatever_has_its_name(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    os.mkfifo(daemon.state_dir / "run" / "stop" / "over-a-pipe")
    (daemon.state_dir / "run" / "stop" / "over-a-link").symlink_to(precious)
    for task_id in ("over-a-pipe", "over-a-link"):
        path = await ask_to_stop(daemon, api, embedded.url, task_id)
        await until(lambda path=path: holds_the_reason(path))
        assert not path.is_symlink()
        await daemon.call("interrupt.ack", task_id=task_id)
        assert not path.exists()
    assert precious.read_text() == "kept"


async def test_a_stop_s_file_whose_folder_was_removed_is_written_anew(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    path = await ask_to_stop(daemon, api, embedded.url, "folder-removed")
    await until(lambda: holds_the_reason(path))
    shutil.rmtree(path.parents[1])
    await until(lambda: holds_the_reason(path), 5.0)
    assert path.parent.stat().st_mode & 0o777 == 0o700
