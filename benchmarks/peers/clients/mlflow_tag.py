"""mlflow: a tag of a run, by the library that it offers to clients."""

from mlflow import MlflowClient
from reporting import MARK, main


def begin(address):
    """The run is there already."""
    client = MlflowClient(address)
    return lambda number: client.set_tag("0" * 32, f"step {number % 3 + 1}", MARK), lambda: None


main(begin)
