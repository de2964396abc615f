"""The shipped units in a booted box, and how their callers and their operator reach them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.systemd_box import INSTALLED, SystemdBox

ROOT = Path(__file__).resolve().parents[2]
UID = 4242
USER = "agent"


class Service:
    """The installed units, of the system or of a user, and how its callers and its operator reach them.

    Args:
        box: The machine.
        scope: ``system`` or ``user``.
    """

    def __init__(self, box: SystemdBox, scope: str) -> None:
        self.box = box
        self.scope = scope
        self._as: list[str] = []
        self._systemctl = ["systemctl"]
        self.socket, self.state, folder = "/run/clawlog/clawlogd.sock", "/var/lib/clawlog", "/etc/systemd/system"
        if scope == "user":
            runtime = f"/run/user/{UID}"
            who = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups"]
            self._as = [*who, "env", f"HOME=/home/{USER}", f"XDG_RUNTIME_DIR={runtime}"]
            self._systemctl = [*self._as, "systemctl", "--user"]
            self.socket, self.state, folder = (
                f"{runtime}/clawlog/clawlogd.sock",
                f"/home/{USER}/.local/state/clawlog",
                "/etc/systemd/user",
            )
            box.run("useradd", "--create-home", "--uid", str(UID), USER)
            box.run("systemctl", "start", f"user@{UID}.service")
        for unit in sorted((ROOT / "systemd" / scope).iterdir()):
            box.write(f"{folder}/{unit.name}", unit.read_text(encoding="utf-8"))
        self._units = folder
        program = "/usr/local/bin/clawlogd" if scope == "system" else f"/home/{USER}/.local/bin/clawlogd"
        box.run(*self._as, "mkdir", "-p", str(Path(program).parent))
        box.run(*self._as, "ln", "-s", f"{INSTALLED}/bin/clawlogd", program)
        self.systemctl("daemon-reload")

    def drop_in(self, name: str, text: str, unit: str = "clawlogd.service") -> None:
        self.box.write(f"{self._units}/{unit}.d/{name}.conf", text)
        self.systemctl("daemon-reload")

    def configure(self, text: str) -> None:
        """Writes the settings where the daemon looks for them."""
        if self.scope == "system":
            self.box.write("/etc/clawlog/clawlog.toml", text)
        else:
            folder = f"/home/{USER}/.config/clawlog"
            self.box.write(f"{folder}/clawlog.toml", text)
            self.box.run("chown", "--recursive", f"{UID}:{UID}", f"/home/{USER}/.config")

    def remove_drop_in(self, name: str, unit: str = "clawlogd.service") -> None:
        self.box.run("rm", f"{self._units}/{unit}.d/{name}.conf")
        self.systemctl("daemon-reload")

    def systemctl(self, *arguments: str) -> str:
        return self.box.run(*self._systemctl, *arguments)

    def show(self, name: str, unit: str = "clawlogd.service") -> str:
        return self.systemctl("show", "--property", name, "--value", unit).strip()

    def pid(self) -> int:
        return int(self.show("MainPID"))

    def call(self, script: str, *arguments: str, status: int = 0) -> str:
        """Runs one of the scripts as a caller, with no Python but the system's and no way to start a daemon itself."""
        command = ["env", "CLAWLOG_AUTOSTART=0", "python3", str(ROOT / "scripts" / script), *arguments]
        return self.box.run(*self._as, *command, status=status)

    def create(self, title: str, *more: str) -> dict[str, Any]:
        created = json.loads(self.call("create_task.py", "--title", title, "--step", "检查本地环境", *more))
        assert isinstance(created, dict)
        return created

    def entrust(self, token: str) -> None:
        """Puts the backend's token where the units' comments say."""
        if self.scope == "system":
            self.box.write("/etc/credstore/clawlog-token", token, mode="600")
        else:
            path = f"/home/{USER}/.config/clawlog/token"
            self.box.write(path, token, mode="600")
            self.box.run("chown", "--recursive", f"{UID}:{UID}", f"/home/{USER}/.config")
            self.drop_in("token", f"[Service]\nEnvironment=CLAWLOG_TOKEN_FILE={path}\n")

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """What a method answers on the shipped socket."""
        answer = json.loads(self.box.run(*self._as, *self._asking(method, params)))
        assert "result" in answer, answer
        return dict(answer["result"])

    def hears(self, user: str) -> str:
        """What a program of another user hears when it asks how the daemon stands: nothing when it is not answered."""
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return self.box.run(*who, *self._asking("daemon.status", {}), status=None).strip()

    def _asking(self, method: str, params: dict[str, object]) -> list[str]:
        program = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1]);"
            "s.sendall(sys.argv[2].encode() + b'\\n'); print(s.makefile().readline())"
        )
        return [
            "python3",
            "-c",
            program,
            self.socket,
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
        ]
