"""Trains a model, blocking: as somebody would write it who knows tqdm and wandb."""

from __future__ import annotations

import logging

import clawlog

log = logging.getLogger("train")


def train() -> None:
    with clawlog.task("Train the classifier", ["load", "train", "evaluate"], metadata={"model": "tiny"}) as run:
        logging.getLogger().addHandler(clawlog.LogHandler(level=logging.INFO))
        logging.getLogger().setLevel(logging.INFO)
        print(run.id, run.url)

        with run.step("load") as step:
            rows = list(range(500))
            step.summary = f"{len(rows)} rows"

        with run.step("train"):
            loss = 1.0
            for epoch in range(1, 4):
                loss /= 2
                run.progress(epoch, 3, unit="epochs")
                run.metadata.update(epoch=epoch, loss=f"{loss:.3f}")

        odd = []
        for row in clawlog.track(rows, "look for odd rows", unit="rows"):
            if row == 99:
                odd.append(row)
                break

        try:
            for row in clawlog.track(odd, "repair them"):
                _ = row / 0
        except ZeroDivisionError:
            log.warning("could not repair %d rows", len(odd))

        run.plan(["load", "train", "evaluate", "publish", "tell the others"])
        with run.step("evaluate"):
            log.info("accuracy 0.93")
        with run.waiting("Publish the model?"):
            pass  # whoever is asked answers at once
        with run.step("publish"):
            run.link("https://models.example/tiny/7", "the model")
        run.summary = "accuracy 0.93"


if __name__ == "__main__":
    train()
