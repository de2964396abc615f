"""A PostgreSQL server for tests: a cluster in a folder of its own, on a Unix socket, as a user that is not root."""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clawlog_backend.storage.engines.opening import make_database

START_LIMIT_S = 30.0
_ROOM_BYTES = 1_000_000_000
_TEMPLATE = "with_tables"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "autovacuum_naptime": "5s",
    "logging_collector": "off",
}


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; Debian puts none but the clients on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _folder() -> str | None:
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES else None


class PostgresCluster:
    """One server and its databases."""

    def __init__(self) -> None:
        folder = programs()
        if folder is None:
            pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
        self._programs = folder
        # In memory where there is room for it; and short, since a Unix socket's path has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="clpg", dir=_folder()))
        self._data = self.folder / "data"
        self._names = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._has_template = False
        self._free: list[str] = []
        if os.geteuid() == 0:
            user = next(each for each in pwd.getpwall() if each.pw_name in {"postgres", "nobody"} and each.pw_uid)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        else:
            self._as_user = []
        subprocess.run(
            [*self._as_user, str(folder / "initdb"), "--pgdata", str(self._data), "--username", "clawlog", "--auth", "trust",
             "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd="/", env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )  # fmt: skip

    @property
    def process_id(self) -> int:
        """The number of the process that all others of the server come from."""
        assert self._process is not None, "it is not running"
        return self._process.pid

    def start(self, **settings: str) -> None:
        """Start it, and wait until it takes connections."""
        options = [word for pair in (_SETTINGS | settings).items() for word in ("-c", "=".join(pair))]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self.folder), *options]
        prefix = [*self._as_user, "--pdeathsig", "QUIT"] if self._as_user else []
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*prefix, *command], stdout=log, stderr=log, cwd="/", env={"LC_ALL": "C"})
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                psycopg.connect(self.conninfo("postgres"), connect_timeout=5).close()
                break
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT disconnects everybody, SIGQUIT ends it as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """End it, and remove its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def conninfo(self, name: str) -> str:
        return f"host={self.folder} user=clawlog dbname={name}"

    def url(self, name: str) -> str:
        """What ``--database`` takes."""
        return f"postgresql://clawlog@/{name}?host={self.folder}"

    def execute(self, statement: str, name: str = "postgres", parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement, and return its rows."""
        with psycopg.connect(self.conninfo(name), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def empty_database(self) -> str:
        """The URL of a new database without tables."""
        name = f"empty{next(self._names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def loaded_database(self, dump: Path) -> str:
        """The URL of a new database with what a dump has."""
        url = self.empty_database()
        self.execute(dump.read_text(encoding="utf-8"), self.name(url))
        return url

    @staticmethod
    def name(url: str) -> str:
        """The database's name in a URL that this gave out."""
        return url.partition("@/")[2].partition("?")[0]

    def database(self) -> str:
        """The URL of a database with the tables of this version, and nothing in them."""
        if self._free:
            return self.url(self._emptied(self._free.pop()))
        if not self._has_template:
            self._make_template()
        name = f"test{next(self._names)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    def give_back(self, url: str) -> None:
        """Let another test have a database: to empty one takes a tenth of the time that a new one takes."""
        self._free.append(self.name(url))

    def _emptied(self, name: str) -> str:
        tables = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name)
        kept = {"database_info", "counters"}
        emptied = "; ".join(f"DELETE FROM {table}" for (table,) in tables if table not in kept and "events_" not in table)
        self.execute(
            f"SET session_replication_role = replica; {emptied}; UPDATE counters SET value = 0; "
            "UPDATE database_info SET floor_seq = 0",
            name,
        )
        return name

    def _make_template(self) -> None:
        self.execute(f"CREATE DATABASE {_TEMPLATE}")

        async def migrate() -> None:
            database = make_database(self.url(_TEMPLATE), pool=2)
            await database.migrate(check=False)
            await database.close()

        with ThreadPoolExecutor(1) as thread:  # a test may have a loop of its own here
            thread.submit(asyncio.run, migrate()).result()
        self._has_template = True
