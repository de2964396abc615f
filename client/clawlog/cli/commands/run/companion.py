"""The process beside the command that talks to the daemon, and how the front one speaks with it.

It is in the command's process group and blocks every signal, so it is the witness of what was sent to the whole group. Whatever
becomes of it, the command goes on; whatever becomes of the front process, the command does not outlive it unseen: where that
one was killed, this one kills the command, as the same signal would have done.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from typing import NoReturn

from clawlog.cli.commands.run.inheritance import let_go_of_descriptors
from clawlog.cli.commands.run.plan import RunPlan
from clawlog.cli.commands.run.tee import Tee
from clawlog.cli.commands.run.witness import ASKED, BEGUN, ENDED, MESSAGE, NO, YES, Witness

_ANSWER_S = 3.0
"""For how long an answer is waited for. Without one a signal is forwarded: better twice than not at all."""
_LOGGER = logging.getLogger("clawlog")


class Companion:
    """The front process's end of it.

    Args:
        pid: Its process; 0 where none could be started, so that all goes on without.
        channel: The way to it.
        tee: The output's way through it, if that is read along.
    """

    def __init__(self, pid: int, channel: socket.socket, tee: Tee | None) -> None:
        self._pid = pid
        self._channel = channel
        self._tee = tee
        self._asked = 0
        self._answered = 0

    @classmethod
    def started(cls, plan: RunPlan, task_id: str) -> Companion:
        """Starts it; it does nothing before ``begin``."""
        tee = Tee() if plan.summary_from_output else None
        ours, theirs = socket.socketpair()
        front = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _LOGGER.warning("nothing is told of this command: %s", error.strerror)
            theirs.close()
            return cls(0, ours, None)
        if pid == 0:
            ours.close()
            _be_companion(plan, task_id, theirs, tee, front)
        theirs.close()
        return cls(pid, ours, tee)

    def take_output(self) -> None:
        """In the command's process: lets its output go through the companion, where it is read along."""
        if self._tee is not None:
            self._tee.take()

    def begin(self, command: int) -> None:
        """Says that the command runs."""
        if self._tee is not None:
            self._tee.close_ends()
        self._say(BEGUN, command)

    def got(self, number: int) -> bool:
        """Whether a signal came to it as well, and so to everybody in the group; asking takes it."""
        self._asked += 1
        self._say(ASKED, number)
        self._channel.settimeout(_ANSWER_S)
        with contextlib.suppress(OSError):
            while len(answer := self._channel.recv(1)) == 1:
                self._answered += 1
                if self._answered == self._asked:  # else it is a late one to an earlier question
                    return answer == YES
        return False

    def tell_end(self, code: int) -> None:
        """Says how the command ended, and returns when that is told, or nobody is there to tell it."""
        self._say(ENDED, code)
        self._channel.settimeout(None)
        with contextlib.suppress(OSError):
            while self._channel.recv(1) in (YES, NO):
                pass

    def note_end(self, pid: int) -> None:
        """Takes note of a child that has ended; where it is the companion, the command goes on without."""
        if pid == self._pid:
            self._channel.close()

    def dismiss(self) -> None:
        """Ends it: there is no command."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._channel.close()

    def _say(self, what: bytes, number: int) -> None:
        with contextlib.suppress(OSError):
            self._channel.sendall(MESSAGE.pack(what, number))


def _be_companion(plan: RunPlan, task_id: str, channel: socket.socket, tee: Tee | None, front: int) -> NoReturn:
    try:
        if tee is not None:
            tee.begin()
        let_go_of_descriptors(kept=2)  # warnings go there
        witness = Witness(channel, tee)
        witness.start()
        from clawlog.cli.commands.run.supervisor import supervise  # noqa: PLC0415 - the command need not wait for asyncio

        supervise(plan, task_id, witness, tee, front)
    except Exception:
        _LOGGER.exception("nothing more is told of this command")
    finally:
        os._exit(0)
