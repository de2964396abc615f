"""prefect: the state of a flow run."""

import os
import sys
from uuid import UUID

os.environ["PREFECT_API_URL"] = f"{sys.argv[2]}/api"

from prefect.client.orchestration import get_client
from prefect.states import Running
from reporting import MARK, main


def begin(address):
    """The flow run is there already."""
    del address
    client = get_client(sync_client=True)
    client.__enter__()
    return (
        lambda _: client.set_flow_run_state(UUID(int=7), Running(message=MARK)),
        lambda: client.__exit__(None, None, None),
    )


main(begin)
