"""The limit that the daemon's intake is held against: the least code that decodes a command, commits it durably and says so.

It knows no tasks, checks nothing, keeps no counts: asyncio, msgspec, SQLite with ``synchronous=FULL``, one commit for all that
arrived while the one before was on its way. Run as ``python benchmarks/ingest_probe.py SOCKET DATABASE LOOP``.
"""

import asyncio
import importlib
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec


class Command(msgspec.Struct):
    """A request, as far as the probe looks at it."""

    jsonrpc: str
    id: int
    method: str
    params: msgspec.Raw


class Probe:
    """Commits in groups, in one thread."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, body BLOB)")
        self._thread = ThreadPoolExecutor(1)
        self._open: list[tuple[Connection, int, bytes]] = []
        self._busy = False

    def add(self, connection: "Connection", number: int, body: bytes) -> None:
        self._open.append((connection, number, body))
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        group, self._open = self._open, []
        asyncio.get_running_loop().run_in_executor(self._thread, self._commit, group).add_done_callback(
            lambda _: self._done(group)
        )

    def _commit(self, group: "list[tuple[Connection, int, bytes]]") -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO events (body) VALUES (?)", [(body,) for _, _, body in group])
        self._database.execute("COMMIT")

    def _done(self, group: "list[tuple[Connection, int, bytes]]") -> None:
        replies: dict[Connection, list[bytes]] = {}
        for connection, number, _ in group:
            replies.setdefault(connection, []).append(b'{"jsonrpc":"2.0","id":%d,"result":{"accepted":true}}\n' % number)
        for connection, lines in replies.items():
            connection.transport.write(b"".join(lines))
        self._busy = bool(self._open)
        if self._busy:
            self._begin()


class Connection(asyncio.Protocol):
    """Reads lines."""

    transport: asyncio.Transport

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._rest = b""
        self._decode = msgspec.json.Decoder(Command).decode

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # what a stream server makes; uvloop's is no asyncio.Transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            command = self._decode(line)
            self._probe.add(self, command.id, bytes(command.params))


async def main(socket_path: str, database: str) -> None:
    probe = Probe(database)
    server = await asyncio.get_running_loop().create_unix_server(lambda: Connection(probe), socket_path)
    await server.serve_forever()


if __name__ == "__main__":
    factory = None if sys.argv[3] == "asyncio" else importlib.import_module(sys.argv[3]).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(sys.argv[1], sys.argv[2]))
