"""What the front process and the companion say to each other, and the companion's ear for it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable

from clawlog.cli.commands.run.tee import Tee

MESSAGE = struct.Struct("=ci")
"""What the front process says: a letter and a number."""

BEGUN, ASKED, ENDED = b"b", b"a", b"e"
YES, NO, DONE = b"y", b"n", b"d"


class Witness:
    """In the companion: answers whether a signal came to it as well, and hears what becomes of the command.

    A thread of its own: the answer must not wait for anything else that is done here.

    Args:
        channel: The way to the front process.
        tee: The command's output, if it is read along.
    """

    def __init__(self, channel: socket.socket, tee: Tee | None) -> None:
        self._channel = channel
        self._tee = tee
        self._command: int | None = None
        self._begun = threading.Event()
        self._code: int | None = None
        self._lock = threading.Lock()
        self._has_ended = False
        self._on_end: Callable[[int | None], object] | None = None

    def start(self) -> None:
        """Begins to listen."""
        threading.Thread(target=self._listen, name="witness", daemon=True).start()

    def begun(self) -> int | None:
        """The command's process id, once it runs; None where it never will."""
        self._begun.wait()
        return self._command

    def on_end(self, call: Callable[[int | None], object]) -> None:
        """Has something called, from any thread, once the command has ended.

        Args:
            call: Gets its exit status, or a signal's number, negative; None where the front process was killed.
        """
        with self._lock:
            self._on_end = call
            if not self._has_ended:
                return
        call(self._code)

    def done(self) -> None:
        """Lets the front process go."""
        with contextlib.suppress(OSError):
            self._channel.sendall(DONE)
            self._channel.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while len(message := self._channel.recv(MESSAGE.size, socket.MSG_WAITALL)) == MESSAGE.size:
                what, number = MESSAGE.unpack(message)
                if what == ASKED:
                    self._channel.sendall(YES if self._took(number) else NO)
                elif what == BEGUN:
                    self._command = number
                    self._begun.set()
                else:
                    self._code = number
                    break
        self._begun.set()
        with self._lock:
            self._has_ended = True
            call = self._on_end
        if call is not None:
            call(self._code)

    def _took(self, number: int) -> bool:
        taken = signal.sigtimedwait({number}, 0) is not None
        if taken and number == signal.SIGWINCH and self._tee is not None and self._command is not None:
            self._tee.follow_size()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._command, number)  # once more, now that there is something to see
        return taken
