"""A rate limit per client, so that none can keep the backend from the others.

Each client address has a token bucket, refilled at a steady rate; a request takes one token. Clients on this machine are not
limited: here are the sidecar, which drains its outbox after an outage as fast as it is answered, and any proxy, which limits
its own clients and behind which all of them look like one.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from clawlog_backend.domain.errors import Busy
from clawlog_backend.domain.times import UtcMs

LET_IN = "clawlog.let_in"
"""Set in the scope of a request whose sender has shown that it may use the backend: its connection is no stranger's."""

BURST_S = 10  # how many seconds' worth of requests may come at once
_CLIENTS = 10_000  # remembered at once
_IPV6_PREFIX = 64  # what one client is usually given, and could use up address by address


class RateLimiter:
    """Limits the requests of each client.

    Args:
        per_s: How many requests a second one client may send on average; 0 for no limit.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()  # tokens left, and when (in milliseconds)

    def __len__(self) -> int:
        """How many clients are remembered."""
        return len(self._buckets)

    def check(self, address: str, now_ms: UtcMs) -> None:
        """Let a request pass.

        Args:
            address: Where it comes from.
            now_ms: This instant.

        Raises:
            Busy: The client asked too often; says when it may ask again.
        """
        client = _client(address) if self._per_s else None
        if client is None:
            return
        full = self._per_s * BURST_S
        tokens, since_ms = self._buckets.pop(client, (full, now_ms))
        # A clock that was put back gives nothing, and takes nothing.
        tokens = min(full, tokens + max(0, now_ms - since_ms) / 1000 * self._per_s)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - 1 if allowed else tokens, now_ms)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)  # the one that asked longest ago
        if not allowed:
            wait_s = math.ceil((1 - tokens) / self._per_s)
            raise Busy(f"More than {self._per_s:g} requests a second: ask less often.", retry_after_s=wait_s)


@lru_cache(maxsize=_CLIENTS)
def _client(address: str) -> str | None:
    """Under which name an address is counted; ``None`` if it is not."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address or None
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return None
    return str(ip_network((ip, _IPV6_PREFIX), strict=False)) if isinstance(ip, IPv6Address) else str(ip)
