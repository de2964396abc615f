"""Drains the spool: the calls that programs wrote down while no daemon could be reached, in order, each made once.

A file is removed only when its events are in the outbox. One that is damaged, or whose call is refused, is moved to
``refused/``: a person can read it, and it holds up nothing.
"""

from __future__ import annotations

from pathlib import Path

from clawlog.protocol.errors import RpcError
from clawlog.protocol.spool import SUFFIX, SpooledCalls, decode
from clawlogd.clock import parse_rfc3339
from clawlogd.context import CallContext
from clawlogd.logs import Log
from clawlogd.outbox.store import fsync_folder
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.refusals import NOT_NOW
from clawlogd.services import RuntimeInfo


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
        """Makes the calls of every file that is there. Returns of how many; stops early when nothing can be accepted now."""
        drained = 0
        for path in self._files():
            try:
                calls = decode(path.read_bytes())
                at_ms = parse_rfc3339(calls.at)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, OverflowError, RecursionError) as error:
                self._set_aside(path, str(error))
                continue
            refusals = await self._perform(calls, at_ms)
            if refusals is None:
                break
            if refusals:
                self._set_aside(path, "\n".join(refusals))
                continue
            path.unlink(missing_ok=True)
            drained += 1
        if drained:
            fsync_folder(self._folder)
            self._log.info("spool_drained", calls=drained)
        return drained

    async def _perform(self, calls: SpooledCalls, at_ms: int) -> list[str] | None:
        """Makes the calls of one file. Returns why some were refused; None when nothing can be accepted now."""
        refusals: list[str] = []
        for method, params in calls.requests:
            try:
                await self._dispatcher.run(method, params, CallContext(at_ms))
            except RpcError as error:
                if error.code in NOT_NOW:
                    self._log.warning("spool_waits", error=error.message)
                    return None
                refusals.append(f"{method}: {error.message}")
        return refusals

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
        try:
            refused.mkdir(mode=0o700, exist_ok=True)
            path.rename(refused / path.name)
            (refused / f"{path.name}.why").write_text(why + "\n", encoding="utf-8", errors="backslashreplace")
        except OSError as error:  # it stays where it is, and holds up none of the others
            self._log.warning("spool_file_not_set_aside", file=path.name, error=str(error))
        self._runtime.spool_set_aside += 1
        self._log.warning("spool_file_set_aside", file=path.name, why=why)
