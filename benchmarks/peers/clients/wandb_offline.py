"""wandb without a server: a run written to files, which somebody may send later."""

import wandb
from reporting import MARK, main


def begin(address):
    """Nothing of it leaves this folder."""
    del address
    run = wandb.init(mode="offline", project="bench", settings=wandb.Settings(silent=True))
    return lambda number: run.log({"step": number, "summary": MARK}), run.finish


main(begin)
