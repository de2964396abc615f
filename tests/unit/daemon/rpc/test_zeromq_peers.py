"""What libzmq says of a caller, and what is believed of it."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest
import zmq

from clawlogd.context import Origin, Peer
from clawlogd.liveness.namespaces import NotSeenHere, process_here
from clawlogd.rpc.zeromq_callers import peer_of


class Frame:
    """A frame with one property."""

    def __init__(self, address: str | None) -> None:
        self._address = address

    def get(self, name: str) -> str:
        assert name == "Peer-Address"
        if self._address is None:
            raise zmq.ZMQError(22)
        return self._address


def peer(address: str | None) -> Peer:
    return peer_of(cast("Any", Frame(address)))


@pytest.mark.parametrize("pid", [0, 4242])
def test_the_process_is_the_one_the_kernel_named(pid: int) -> None:
    assert peer(f"localhost:1000:1000:{pid}") == Peer(Origin.THIS_KERNEL, pid)


@pytest.mark.parametrize("address", [None, "", "localhost", "localhost:1000:1000:", "localhost:0:0:x", "127.0.0.1:5555"])
def test_what_names_no_process_is_nobody_s_word(address: str | None) -> None:
    assert peer(address) == Peer(Origin.UNKNOWN)
    with pytest.raises(NotSeenHere, match="Unix socket"):
        process_here(os.getpid(), peer(address))
