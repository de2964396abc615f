"""How each real agent is set up in an empty home folder, and run without a person, an account or a network."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.real.cache import packages

_KEY = "sk-ant-dummy-key-000000000000"
SOMEONE_ELSES_HOOK = {"hooks": [{"type": "command", "command": "true"}]}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent runs.

    Attributes:
        home: Its home folder, empty at first.
        project: Its working folder.
        model_url: The model server.
    """

    home: Path
    project: Path
    model_url: str


@dataclass(frozen=True, slots=True)
class InTerminal:
    """How an agent is run in a terminal.

    Attributes:
        arguments: Returns its flags for a first prompt, so that it asks before it uses a tool.
        questions: What it asks at its start, and the keys that answer: texts without their spaces.
    """

    arguments: Callable[[str], list[str]]
    questions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """One agent as it is run by tests.

    Attributes:
        name: Its name.
        command_name: What its users type.
        settings: The file that its hooks go into, below the home folder; None where a hook is a file of its own.
        prepare: Returns the files that it needs beforehand, by their paths below the home folder.
        env: Returns its own variables.
        arguments: Returns its flags for a prompt; True where an earlier session goes on.
        trust: Does what a person does who answers its question whether the installed hooks may run; returns what its settings
            then have more.
        in_terminal: How it is run in a terminal; None where that is not tried.
    """

    name: str
    command_name: str
    settings: str | None
    prepare: Callable[[Place], Mapping[str, str]]
    env: Callable[[Place], Mapping[str, str]]
    arguments: Callable[[str, bool], list[str]]
    in_terminal: InTerminal | None = None
    trust: Callable[[Place], str] = lambda _: ""

    def write_settings(self, place: Place) -> None:
        for path, text in self.prepare(place).items():
            file = place.home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            file.chmod(0o600)

    def link(self, bin_folder: Path) -> None:
        """Puts a program with the name that users type into a folder that is then on PATH."""
        target = packages()[self.name].find()
        node = packages()["node"].find()
        assert target is not None, f"{self.name} is not installed"
        assert node is not None, "Node is not installed"
        run = f'"{node}" "{target}"' if target.suffix in {".js", ".mjs"} else f'"{target}"'
        program = bin_folder / self.command_name
        program.write_text(f'#!/bin/sh\nexec {run} "$@"\n', encoding="utf-8")
        program.chmod(0o755)


def _json(tree: Any) -> str:
    return json.dumps(tree, indent=2) + "\n"


# ── Claude Code ────────────────────────────────────────────────────────────────────────────────────────────────────


def _claude_env(place: Place) -> dict[str, str]:
    quiet = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING")
    return {"ANTHROPIC_API_KEY": _KEY, "ANTHROPIC_BASE_URL": place.model_url, **dict.fromkeys(quiet, "1")}


def _claude_state(place: Place) -> dict[str, Any]:
    """What it would otherwise ask at its first start in a terminal."""
    return {
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": {"approved": [_KEY[-20:]], "rejected": []},
        "projects": {str(place.project): {"hasTrustDialogAccepted": True}},
    }


def _claude_arguments(prompt: str, resumed: bool) -> list[str]:
    flags = ["--allowedTools", "Bash", "--model", "claude-sonnet-4-6", "--output-format", "stream-json", "--verbose"]
    return [*(["--continue"] if resumed else []), "-p", prompt, *flags]


# ── Codex ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_CODEX = """\
# A comment of the user's own.
model = "gpt-5.5"
model_provider = "fake"
check_for_update_on_startup = false

[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "FAKE_KEY"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false

[feedback]
enabled = false
"""


def _trust_codex_hooks(place: Place) -> str:
    """Codex keeps in its settings of which hooks a person has said that they may run: by a digest of each one's definition."""
    file = place.home / ".codex" / "hooks.json"
    lines = ["", *(f'[projects."{place.project}"]', 'trust_level = "trusted"')]
    for event, groups in json.loads(file.read_text(encoding="utf-8"))["hooks"].items():
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", event).lower()
        for number, group in enumerate(groups):
            hooks = [{"async": False, "timeout": 600, **hook} for hook in group["hooks"]]
            matcher = {"matcher": group["matcher"]} if "matcher" in group else {}
            definition = {"event_name": name, "hooks": hooks, **matcher}
            digest = hashlib.sha256(json.dumps(definition, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
            lines += [f'[hooks.state."{file}:{name}:{number}:0"]', f'trusted_hash = "sha256:{digest}"']
    text = "\n".join(lines) + "\n"
    with (place.home / ".codex" / "config.toml").open("a", encoding="utf-8") as settings:
        settings.write(text)
    return text


def _codex_arguments(prompt: str, resumed: bool) -> list[str]:
    flags = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return ["exec", *(["resume", "--last"] if resumed else []), *flags, prompt]


# ── Gemini CLI, and Qwen Code, which is made from it ───────────────────────────────────────────────────────────────


def _gemini_settings(auth: str) -> dict[str, Any]:
    return {
        "security": {"auth": {"selectedType": auth}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
    }


def _gemini_env(place: Place) -> dict[str, str]:
    return {
        "GEMINI_API_KEY": "dummy",
        "GOOGLE_GEMINI_BASE_URL": place.model_url,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        "GEMINI_CLI_NO_RELAUNCH": "true",
        "GEMINI_TELEMETRY_ENABLED": "false",
    }


def _gemini_arguments(prompt: str, resumed: bool) -> list[str]:
    return [*(["--resume", "latest"] if resumed else []), "--approval-mode", "yolo", "-m", "gemini-2.5-pro", "-p", prompt]


def _qwen_env(place: Place) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": "dummy",
        "OPENAI_BASE_URL": f"{place.model_url}/v1",
        "OPENAI_MODEL": "fake-model",
        "QWEN_TELEMETRY_ENABLED": "false",
    }


def _qwen_arguments(prompt: str, resumed: bool) -> list[str]:
    flags = ["--approval-mode", "yolo", "--auth-type", "openai", "--output-format", "stream-json"]
    return [*(["--continue"] if resumed else []), *flags, "-p", prompt]


# ── Copilot CLI ────────────────────────────────────────────────────────────────────────────────────────────────────


def _copilot_env(place: Place) -> dict[str, str]:
    return {
        "COPILOT_OFFLINE": "true",
        "COPILOT_PROVIDER_BASE_URL": f"{place.model_url}/v1",
        "COPILOT_PROVIDER_API_KEY": "dummy",
        "COPILOT_MODEL": "fake-model",
        "COPILOT_AUTO_UPDATE": "false",
    }


def _copilot_arguments(prompt: str, resumed: bool) -> list[str]:
    return [*(["--continue"] if resumed else []), "--allow-all-tools", "--no-auto-update", "-p", prompt]


# ── OpenCode ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _opencode_settings(place: Place) -> dict[str, Any]:
    model = {"name": "Fake", "tool_call": True, "limit": {"context": 100000, "output": 4000}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Fake",
        "options": {"baseURL": f"{place.model_url}/v1", "apiKey": "dummy"},
        "models": {"fake-model": model},
    }
    return {
        "$schema": "https://opencode.ai/config.json",  # it adds that itself
        "autoupdate": False,
        "share": "disabled",
        "model": "fake/fake-model",
        "small_model": "fake/fake-model",
        "permission": {"bash": "allow"},
        "provider": {"fake": provider},
    }


def _opencode_env(_: Place) -> dict[str, str]:
    off = ("MODELS_FETCH", "AUTOUPDATE", "DEFAULT_PLUGINS", "LSP_DOWNLOAD")
    return {f"OPENCODE_DISABLE_{name}": "1" for name in off}


def _opencode_arguments(prompt: str, resumed: bool) -> list[str]:
    return ["run", *(["-c"] if resumed else []), "--format", "json", prompt]


# ── OpenClaw ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _openclaw_settings(place: Place) -> dict[str, Any]:
    model = {
        "id": "fake-model",
        "name": "Fake",
        "reasoning": False,
        "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": 100000,
        "maxTokens": 4000,
    }
    provider = {"baseUrl": f"{place.model_url}/v1", "apiKey": "dummy", "api": "openai-completions", "models": [model]}
    return {
        "models": {"providers": {"fake": provider}},
        "agents": {
            "defaults": {"model": {"primary": "fake/fake-model"}, "workspace": str(place.project), "skipBootstrap": True}
        },
        "tools": {"exec": {"security": "full", "ask": "off", "host": "gateway"}},
    }


def _openclaw_arguments(prompt: str, _resumed: bool) -> list[str]:
    return ["agent", "--local", "--agent", "main", "--message", prompt, "--json", "--timeout", "60"]


PROGRAMS = {
    each.name: each
    for each in (
        Program(
            "claude-code",
            "claude",
            ".claude/settings.json",
            lambda place: {
                ".claude/settings.json": _json({"hooks": {"PreToolUse": [SOMEONE_ELSES_HOOK]}}),
                ".claude.json": _json(_claude_state(place)),
            },
            _claude_env,
            _claude_arguments,
            InTerminal(lambda prompt: ["--permission-mode", "default", "--model", "claude-sonnet-4-6", prompt]),
        ),
        Program(
            "codex",
            "codex",
            ".codex/hooks.json",
            lambda place: {".codex/config.toml": _CODEX.format(url=place.model_url)},
            lambda place: {"CODEX_HOME": str(place.home / ".codex"), "FAKE_KEY": "dummy"},
            _codex_arguments,
            InTerminal(
                lambda prompt: ["-a", "on-request", "-s", "read-only", prompt],
                (("Trustthisfolder?", "\r"), ("Trynewmodel", "2")),
            ),
            _trust_codex_hooks,
        ),
        Program(
            "gemini-cli",
            "gemini",
            ".gemini/settings.json",
            lambda _: {".gemini/settings.json": _json(_gemini_settings("gemini-api-key"))},
            _gemini_env,
            _gemini_arguments,
            InTerminal(lambda prompt: ["-m", "gemini-2.5-pro", "-i", prompt]),
        ),
        Program(
            "qwen-code",
            "qwen",
            ".qwen/settings.json",
            lambda _: {".qwen/settings.json": _json({**_gemini_settings("openai"), "$version": 4})},  # it adds that itself
            _qwen_env,
            _qwen_arguments,
            InTerminal(lambda prompt: ["--approval-mode", "default", "--auth-type", "openai", "-i", prompt]),
        ),
        Program(
            "copilot-cli",
            "copilot",
            None,
            lambda _: {},
            _copilot_env,
            _copilot_arguments,
            InTerminal(lambda prompt: ["--no-auto-update", "-i", prompt], (("rememberthisfolder", "\r"),)),
        ),
        Program(
            "opencode",
            "opencode",
            None,
            lambda place: {".config/opencode/opencode.json": _json(_opencode_settings(place))},
            _opencode_env,
            _opencode_arguments,
        ),
        Program(
            "openclaw",
            "openclaw",
            ".openclaw/openclaw.json",
            lambda place: {".openclaw/openclaw.json": _json(_openclaw_settings(place))},
            lambda _: {},
            _openclaw_arguments,
        ),
    )
}
