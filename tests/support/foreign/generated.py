"""ClawLog servers of all shapes, drawn at random."""

from __future__ import annotations

from support.foreign.generated_events import EventsServer
from support.foreign.generated_rest import RestServer
from support.foreign.generated_rpc import RpcServer
from support.foreign.generated_server import GeneratedServer
from support.foreign.traits import Traits

_STYLES: dict[str, type[GeneratedServer]] = {
    "rest": RestServer,
    "verbs": RestServer,
    "rpc": RpcServer,
    "events": EventsServer,
}


def generated_server(seed: int) -> GeneratedServer:
    """Returns the server that follows from a seed."""
    traits = Traits.draw(seed)
    return _STYLES[traits.style](traits)
