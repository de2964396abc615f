"""Backends' addresses: one form for each, which server two of them mean, and through which proxy one is reached.

Pure functions of texts: no name is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical(url: str) -> str:
    """The one form of an address: lower case where case means nothing, no default port, no slash at the end.

    Raises:
        ValueError: It is no address.
    """
    parts = urlsplit(url)
    port = parts.port
    shown = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    host = _host(parts)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{shown}{parts.path.rstrip('/')}"


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are of one server: this machine's own names are one."""
    try:
        return _identity(one) == _identity(other)
    except ValueError:
        return one == other


@lru_cache(maxsize=128)
def is_this_machine(url: str) -> bool:
    """Whether an address cannot lead to another machine."""
    return _is_loopback(_host(urlsplit(url)))


def proxy_of(url: str, env: Mapping[str, str]) -> str | None:
    """The proxy through which an address is reached, as ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` say; None for none.

    This machine is never reached through one. Where a variable is set in both cases, the lower one counts, as with curl.
    """
    parts = urlsplit(url)
    host = _host(parts)
    if _is_loopback(host):
        return None
    proxy = _variable(env, f"{parts.scheme}_proxy")
    if not proxy or _is_excepted(host, parts.port or _DEFAULT_PORTS.get(parts.scheme), _variable(env, "no_proxy")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(env: Mapping[str, str], name: str) -> str:
    return (env.get(name) or env.get(name.upper()) or "").strip()


def _is_excepted(host: str, port: int | None, no_proxy: str) -> bool:
    for each in filter(None, (name.strip().lower().lstrip(".") for name in no_proxy.split(","))):
        if each == "*" or each in {host, f"{host}:{port}"} or host.endswith(f".{each}") or _holds(each, host):
            return True
    return False


def _holds(network: str, host: str) -> bool:
    try:
        return "/" in network and ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


@lru_cache(maxsize=128)  # asked for at each request of the daemon's
def _identity(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    host = _host(parts)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, "localhost" if _is_loopback(host) else host, port, parts.path.rstrip("/")


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    try:
        return ip_address(host).compressed
    except ValueError:
        return host


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
