"""Where settings come from: flags, the environment (``CLAWLOG_*``), ``clawlog.toml``, defaults, in this order.

Unknown keys and bad values are errors that name the key, where it was set and what would be accepted.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from clawlog import locations
from clawlogd.settings import Section, Settings, SettingsError, check_zmq, metrics_address


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each that is not a default came from.

    Attributes:
        settings: The values in force.
        origins: Dotted key to ``flag``, ``environment NAME`` or the file's path.
        path: The file that was read, if any.
    """

    settings: Settings
    origins: Mapping[str, str]
    path: Path | None


def load(flags: Mapping[str, object], env: Mapping[str, str], path: Path | None = None) -> Loaded:
    """Gathers the settings from all their sources.

    Args:
        flags: Dotted keys given on the command line.
        env: The environment.
        path: A file that must exist; without it the usual paths are tried.

    Raises:
        SettingsError: A file cannot be read, a key is unknown or a value does not fit.
    """
    usual = locations.config_file(env) if path is None else None
    found = Path(usual) if usual is not None else path
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if found is not None:
        tree = _read(found)
        _convert(tree, str(found))
        origins.update((key, str(found)) for key in _leaves(tree))
    for key, default in flatten(Settings()):
        name = "CLAWLOG_" + key.replace(".", "_").upper()
        if (text := env.get(name)) and not (key == "socket" and text.startswith("zmq:")):
            if key == "backend":
                raise SettingsError(
                    f"environment {name}: backend: cannot come from the environment; write [[backend]] in clawlog.toml"
                )
            _set(tree, key, [part.strip() for part in text.split(",")] if isinstance(default, tuple) else text)
            origins[key] = f"environment {name}"
    if (address := env.get("CLAWLOG_SOCKET", "")).startswith("zmq:"):
        _set(tree, "zmq", address.removeprefix("zmq:"))
        origins["zmq"] = "environment CLAWLOG_SOCKET"
    for key, value in flags.items():
        if value is not None:
            _set(tree, key, value)
            origins[key] = "flag"
    return Loaded(_convert(tree, "flags and environment", origins), origins, found)


def flatten(settings: Settings) -> list[tuple[str, object]]:
    """Every setting by its dotted key, with its value."""
    found: list[tuple[str, object]] = []
    for key in _keys():
        value: object = settings
        for name in key.split("."):
            value = getattr(value, name)
        found.append((key, value))
    return found


def replace(settings: Settings, values: Mapping[str, object]) -> Settings:
    """The same settings but for those named by their dotted keys; their values are trusted."""
    tree: dict[str, Any] = msgspec.to_builtins(settings)
    for key, value in values.items():
        _set(tree, key, value)
    return msgspec.convert(tree, Settings)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(locations.read_file(str(path)).decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}; check its path and permissions") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None


def _convert(tree: Mapping[str, Any], where: str, origins: Mapping[str, str] | None = None) -> Settings:
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$.")
        key = at.rstrip("`").split("[")[0]
        if "unknown field" in message:
            field = message.split("`")[1]
            section = _section(key)
            accepted = ", ".join(section.__struct_fields__)
            raise SettingsError(
                f"{where}: {f'{key}.' if key else ''}{field}: no such key; expected one of {accepted}"
            ) from None
        raise SettingsError(f"{(origins or {}).get(key, where)}: {key}: {message[0].lower()}{message[1:]}") from None
    _check_url(settings.base_url, (origins or {}).get("base_url", where))
    for each in settings.backend:
        _check_url(each.base_url, where, "backend.base_url")
    if origins is not None:  # the file alone may lack what the environment adds
        try:
            if settings.zmq is not None:
                check_zmq(settings.zmq, settings.listen)
            if settings.metrics is not None:
                metrics_address(settings.metrics)
        except SettingsError as error:
            key = str(error).partition(":")[0]
            raise SettingsError(f"{origins.get(key, where)}: {error}") from None
    return settings


def _check_url(url: str, where: str, key: str = "base_url") -> None:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not url.startswith(("http://", "https://")) or not host or not url.isprintable() or " " in url:
        raise SettingsError(f"{where}: {key}: {url!r} is not an http:// or https:// address")


def _section(dotted: str) -> type[msgspec.Struct]:
    kind: Any = Settings
    for name in filter(None, dotted.split(".")):
        kind = type(getattr(kind(), name))
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else Settings


def _keys(kind: type[msgspec.Struct] = Settings, prefix: str = "") -> Iterator[str]:
    defaults = kind()
    for name in kind.__struct_fields__:
        value = getattr(defaults, name)
        if isinstance(value, Section):
            yield from _keys(type(value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _set(tree: dict[str, Any], key: str, value: object) -> None:
    *sections, name = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[name] = value
