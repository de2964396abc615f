"""Reads the rules from the section ``[notifications]`` of the settings' file. Secrets may stand elsewhere.

Whatever does not fit is an error that names the setting and says what was expected, and never what was found there: it may be a
secret in the wrong place.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from clawlog_backend.notify import services
from clawlog_backend.notify.quiet import quiet_hours
from clawlog_backend.notify.rules import (
    DEFAULT_DIGEST_OVER,
    DEFAULT_GATHER_MS,
    DEFAULT_UNANSWERED_MS,
    NotifiedEvent,
    Rule,
    Rules,
    Service,
    Target,
)
from clawlog_backend.settings import SettingsError

_SECRET_BYTES = 8_192
_KEY_PREFIX = "whsec_"
_SHORTEST_KEY, _LONGEST_KEY = 24, 64  # bytes, as the Standard Webhooks have it
_KEYS = 4
_DURATION = re.compile(r"(\d{1,6})\s*(s|m|h)", re.ASCII)
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}
_MAKE_KEY = "python3 -c \"import base64, secrets; print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""

_Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
_Patterns = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=1_000)]], Field(max_length=100)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class _Target(_Table):
    name: _Name
    webhook: str | None = None
    webhook_file: str | None = None
    webhook_env: str | None = None
    secret: str | None = None
    secret_file: str | None = None
    secret_env: str | None = None
    apprise: str | None = None
    apprise_file: str | None = None
    apprise_env: str | None = None


class _Rule(_Table):
    name: _Name
    events: Annotated[list[str], Field(min_length=1)]
    to: Annotated[list[_Name], Field(min_length=1)]
    projects: _Patterns = []
    hosts: _Patterns = []
    agents: _Patterns = []
    stop_unanswered_after: str | None = None
    quiet: str | None = None
    quiet_zone: str | None = None
    in_quiet: Literal["hold", "drop"] = "hold"
    gather: str | None = None
    digest_over: Annotated[int, Field(ge=1, le=1_000)] = DEFAULT_DIGEST_OVER


class _Section(_Table):
    page: str | None = None
    target: Annotated[list[_Target], Field(max_length=50)] = []
    rule: Annotated[list[_Rule], Field(max_length=100)] = []


@dataclass(frozen=True, slots=True)
class _Source:
    """Where settings are read.

    Attributes:
        file: The settings' file; other files are named from its folder on.
        environ: The environment.
    """

    file: Path
    environ: Mapping[str, str]

    def error(self, place: str, reason: str) -> SettingsError:
        return SettingsError(f"{self.file}: notifications.{place}: {reason}")


def read_rules(section: object, *, file: Path, environ: Mapping[str, str]) -> Rules:
    """The rules that a section of the settings says.

    Args:
        section: The section, as TOML has it.
        file: Where it stands, for errors and for the files that it names.
        environ: The environment.

    Raises:
        SettingsError: Something in it does not fit, or what is needed for a target is not installed.
    """
    source = _Source(file, environ)
    try:
        given = _Section.model_validate(section)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise source.error(".".join(map(str, first["loc"])), _said(first["type"], first["msg"])) from None
    targets = [_target(each, f"target.{place}", source) for place, each in enumerate(given.target)]
    _check_names([target.name for target in targets], "target", source)
    rules = [_rule(each, f"rule.{place}", source) for place, each in enumerate(given.rule)]
    _check_names([rule.name for rule in rules], "rule", source)
    known = {target.name: target for target in targets}
    for place, rule in enumerate(rules):
        for name in rule.targets:
            if name not in known:
                raise source.error(
                    f"rule.{place}.to", f"no target is named {name!r}: expected one of {', '.join(known) or 'none'}"
                )
    if given.page is not None and not _is_web_address(given.page):
        raise source.error("page", "expected an address that begins with http:// or https://")
    return Rules(None if given.page is None else given.page.rstrip("/"), known, {rule.name: rule for rule in rules})


def _said(kind: str, message: str) -> str:
    return "there is no such setting" if kind == "extra_forbidden" else message[:1].lower() + message[1:]


def _check_names(names: Sequence[str], what: str, source: _Source) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise source.error(f"{what}.{place}.name", f"another {what} is named {name!r}")


# ── Targets ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _target(given: _Target, place: str, source: _Source) -> Target:
    webhook = _secret(given, "webhook", place, source)
    apprise = _secret(given, "apprise", place, source)
    keys = _secret(given, "secret", place, source)
    if (webhook is None) == (apprise is None):
        raise source.error(place, "expected a webhook or an apprise, and not both (or its _file or _env)")
    if apprise is not None:
        if keys is not None:
            raise source.error(f"{place}.secret", "only a webhook is signed")
        try:
            services.check(apprise)
        except services.ServiceError as error:
            raise source.error(f"{place}.apprise", str(error)) from None
        return Target(given.name, Service.APPRISE, apprise)
    if not _is_web_address(webhook or ""):
        raise source.error(f"{place}.webhook", "expected an address that begins with http:// or https:// and names a host")
    if keys is None:
        raise source.error(f"{place}.secret", f"expected what it is signed with; make one with: {_MAKE_KEY}")
    return Target(given.name, Service.WEBHOOK, webhook or "", _keys(keys, f"{place}.secret", source))


def _secret(given: _Target, name: str, place: str, source: _Source) -> str | None:
    """A setting that may stand in the file itself, in one of its own, or in the environment."""
    here, in_file, in_env = (getattr(given, name + suffix) for suffix in ("", "_file", "_env"))
    if sum(each is not None for each in (here, in_file, in_env)) > 1:
        raise source.error(f"{place}.{name}", f"expected one of {name}, {name}_file and {name}_env")
    if in_env is not None:
        here = source.environ.get(in_env)
        if not here:
            raise source.error(f"{place}.{name}_env", f"the environment has no {in_env}")
    if in_file is not None:
        path = source.file.parent / Path(in_file).expanduser()
        try:
            with path.open("rb") as file:
                here = file.read(_SECRET_BYTES + 1).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise source.error(f"{place}.{name}_file", f"cannot read {path}: {reason}") from None
    if here is None:
        return None
    here = here.strip()
    if not here or len(here) > _SECRET_BYTES:
        raise source.error(f"{place}.{name}", f"expected 1 to {_SECRET_BYTES} characters")
    return str(here)


def _keys(text: str, place: str, source: _Source) -> tuple[bytes, ...]:
    lines = text.split()
    keys = [_key(line) for line in lines]
    if len(keys) > _KEYS or any(key is None for key in keys):
        raise source.error(
            place,
            f"expected whsec_ and {_SHORTEST_KEY} to {_LONGEST_KEY} bytes in base64 (up to {_KEYS}, a line each, while keys "
            f"are changed); make one with: {_MAKE_KEY}",
        )
    return tuple(key for key in keys if key is not None)


def _key(line: str) -> bytes | None:
    try:
        key = base64.b64decode(line.removeprefix(_KEY_PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if line.startswith(_KEY_PREFIX) and _SHORTEST_KEY <= len(key) <= _LONGEST_KEY else None


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text
    return parts.scheme in {"http", "https"} and bool(host) and parts.username is None and plain


# ── Rules ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rule(given: _Rule, place: str, source: _Source) -> Rule:
    known = {event.value for event in NotifiedEvent}
    for event in given.events:
        if event not in known:
            raise source.error(f"{place}.events", f"expected some of {', '.join(sorted(known))}")
    try:
        quiet = None if given.quiet is None else quiet_hours(given.quiet, given.quiet_zone)
    except ValueError as error:
        raise source.error(f"{place}.quiet", str(error)) from None
    return Rule(
        name=given.name,
        events=frozenset(map(NotifiedEvent, given.events)),
        targets=tuple(dict.fromkeys(given.to)),
        projects=tuple(given.projects),
        hosts=tuple(given.hosts),
        agents=tuple(given.agents),
        unanswered_ms=_duration(given.stop_unanswered_after, DEFAULT_UNANSWERED_MS, f"{place}.stop_unanswered_after", source),
        quiet=quiet,
        drops_in_quiet=given.in_quiet == "drop",
        gather_ms=_duration(given.gather, DEFAULT_GATHER_MS, f"{place}.gather", source),
        digest_over=given.digest_over,
    )


def _duration(text: str | None, default_ms: int, place: str, source: _Source) -> int:
    if text is None:
        return default_ms
    match = _DURATION.fullmatch(text.strip())
    length_ms = int(match[1]) * _UNITS_MS[match[2]] if match else 0
    if not 0 < length_ms <= 24 * _UNITS_MS["h"]:
        raise source.error(place, "expected a time of up to 24 hours, such as 30s, 5m or 2h")
    return length_ms
