"""Takes in what programs wrote to the spool while no daemon could be reached: in order, each call once.

A file is removed only when its events are in the outbox. One that is damaged, or whose call is refused, goes to ``refused/``:
a person can look at it, and it holds up nothing.
"""

from __future__ import annotations

from pathlib import Path

from clawlog.protocol.errors import OUTBOX_FULL, SHUTTING_DOWN, STORAGE_FAILED, RpcError
from clawlog.protocol.spool import SUFFIX, decode
from clawlogd.clock import parse_rfc3339
from clawlogd.logs import Log
from clawlogd.outbox.store import fsync_folder
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.services import Call, RuntimeInfo

_NOT_NOW = frozenset({OUTBOX_FULL, SHUTTING_DOWN, STORAGE_FAILED})


class Spool:
    """The spool folder.

    Args:
        folder: Where the files are.
        dispatcher: Runs the calls.
        runtime: Where files that could not be used are counted.
    """

    def __init__(self, *, folder: Path, dispatcher: Dispatcher, runtime: RuntimeInfo) -> None:
        self._folder = folder
        self._dispatcher = dispatcher
        self._runtime = runtime
        self._log = Log("spool")

    async def drain(self) -> int:
        """Takes in every file that is there. Returns how many; stops early when nothing can be accepted now."""
        taken = 0
        for path in self._files():
            try:
                calls = decode(path.read_bytes())
                at_ms = parse_rfc3339(calls.at)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                self._set_aside(path, str(error))
                continue
            refusals: list[str] = []
            for method, params in calls.requests:
                try:
                    await self._dispatcher.run(method, params, Call(at_ms))
                except RpcError as error:
                    if error.code in _NOT_NOW:
                        self._log.warning("spool_waits", error=error.message)
                        return taken
                    refusals.append(f"{method}: {error.message}")
            if refusals:
                self._set_aside(path, "\n".join(refusals))
                continue
            path.unlink(missing_ok=True)
            taken += 1
        if taken:
            fsync_folder(self._folder)
            self._log.info("spool_drained", calls=taken)
        return taken

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == SUFFIX and not path.is_symlink())
        except FileNotFoundError:
            return []
        except OSError as error:
            self._log.warning("spool_unreadable", error=str(error))
            return []

    def _set_aside(self, path: Path, why: str) -> None:
        refused = self._folder / "refused"
        refused.mkdir(mode=0o700, exist_ok=True)
        path.rename(refused / path.name)
        (refused / f"{path.name}.why").write_text(why + "\n", encoding="utf-8")
        self._runtime.spool_set_aside += 1
        self._log.warning("spool_file_set_aside", file=path.name, why=why)
