"""Where traces go, by OpenTelemetry's own environment variables. Pure: a mapping in, a frozen object out.

The variables and their defaults are those of https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. What is named for traces goes before what is
named for all signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from clawlog_backend.settings import MOST_TRACES_WAITING, SettingsError, TraceReceiver

_DEFAULT_ENDPOINT = "http://localhost:4318"
_PATH = "/v1/traces"
_DEFAULT_TIMEOUT_MS = 10_000.0
_LONGEST_TIMEOUT_MS = 300_000.0
_DEFAULT_SERVICE = "clawlog"


@dataclass(frozen=True, slots=True)
class Section:
    """The section ``[otel]`` of the settings' file.

    Attributes:
        enabled: Whether to export.
        endpoint: The receiver's base address; that of the environment where there is none.
        queue: How many traces may wait.
    """

    enabled: bool = True
    endpoint: str | None = None
    queue: int | None = None


def read_section(section: object, *, file: Path | None) -> Section:
    """Read the section.

    Raises:
        SettingsError: Something in it does not fit; the text says what, and nothing of its value.
    """
    if not isinstance(section, dict):
        raise SettingsError(f"{file}: otel is no section: expected [otel]")
    expected = {"enabled": "true or false", "endpoint": "an address", "queue": f"1 to {MOST_TRACES_WAITING}"}
    for name, value in section.items():
        fits = {
            "enabled": isinstance(value, bool),
            "endpoint": isinstance(value, str),
            "queue": isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_TRACES_WAITING,
        }.get(name)
        if fits is None:
            raise SettingsError(f"{file}: [otel] has no setting {name!r}: expected one of {', '.join(expected)}")
        if not fits:
            raise SettingsError(f"{file}: otel.{name} does not fit: expected {expected[name]}")
    return Section(**section)


def receiver(environ: Mapping[str, str], endpoint: str | None = None) -> TraceReceiver:
    """Read the variables.

    Args:
        environ: The environment.
        endpoint: The receiver's base address, where it is given otherwise: it goes before the variables.

    Raises:
        SettingsError: One of them cannot be used; the text says which, and never a header's value.
    """

    def variable(name: str) -> str:
        return environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environ.get(f"OTEL_EXPORTER_OTLP_{name}") or ""

    protocol = variable("PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: traces are sent as http/protobuf alone; unset it")
    return TraceReceiver(
        url=_url(environ, endpoint),
        headers=_headers(variable("HEADERS")),
        timeout_s=_timeout_ms(variable("TIMEOUT")) / 1000,
        gzip=_is_gzip(variable("COMPRESSION")),
        certificate=_path(variable("CERTIFICATE")),
        client_certificate=_path(variable("CLIENT_CERTIFICATE")),
        client_key=_path(variable("CLIENT_KEY")),
        resource=_resource(environ),
    )


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Whether the environment switches OpenTelemetry off altogether."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _url(environ: Mapping[str, str], endpoint: str | None) -> str:
    of_traces = None if endpoint else environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = endpoint or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or _DEFAULT_ENDPOINT
    url = of_traces or base.rstrip("/") + _PATH
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or any(char.isspace() or not char.isprintable() for char in url):
        raise SettingsError(
            "the address of the receiver of traces (--otel, otel.endpoint, OTEL_EXPORTER_OTLP_ENDPOINT) is none: "
            "expected one such as http://localhost:4318"
        )
    if parts.username is not None or parts.password is not None:
        raise SettingsError("the address of the receiver of traces holds credentials: put them into OTEL_EXPORTER_OTLP_HEADERS")
    return url


def _headers(text: str) -> dict[str, str]:
    found = {}
    for name, value in _pairs(text, "OTEL_EXPORTER_OTLP_HEADERS"):
        if not name.isascii() or not all(char.isalnum() or char in "!#$%&'*+-.^_`|~" for char in name) or not _is_line(value):
            raise SettingsError(
                "OTEL_EXPORTER_OTLP_HEADERS holds what no header can be: expected NAME=VALUE,NAME=VALUE with "
                "special characters as %XX"
            )
        found[name.lower()] = value
    return found


def _is_line(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _pairs(text: str, source: str) -> list[tuple[str, str]]:
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise SettingsError(f"{source} is not a list of pairs: expected NAME=VALUE,NAME=VALUE")
        found.append((unquote(name.strip()), unquote(value.strip())))
    return found


def _timeout_ms(text: str) -> float:
    try:
        timeout_ms = float(text or _DEFAULT_TIMEOUT_MS)
    except ValueError:
        timeout_ms = 0.0
    if not 0 < timeout_ms <= _LONGEST_TIMEOUT_MS:
        raise SettingsError(f"OTEL_EXPORTER_OTLP_TIMEOUT={text}: expected milliseconds, up to {_LONGEST_TIMEOUT_MS:.0f}")
    return timeout_ms


def _is_gzip(text: str) -> bool:
    if text not in {"", "none", "gzip"}:
        raise SettingsError(f"OTEL_EXPORTER_OTLP_COMPRESSION={text}: expected gzip or none")
    return text == "gzip"


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _resource(environ: Mapping[str, str]) -> dict[str, str]:
    found = dict(_pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""), "OTEL_RESOURCE_ATTRIBUTES"))
    found["service.name"] = environ.get("OTEL_SERVICE_NAME") or found.get("service.name") or _DEFAULT_SERVICE
    return found
