"""wandb with a server, which is told to it as one's own would be."""

import os

import wandb
from reporting import MARK, main


def begin(address):
    """As for a server of one's own."""
    os.environ.update(WANDB_BASE_URL=address, WANDB_API_KEY="0" * 40)
    run = wandb.init(project="bench", settings=wandb.Settings(silent=True))
    return lambda number: run.log({"step": number, "summary": MARK}), run.finish


main(begin)
