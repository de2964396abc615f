import asyncio

import clawlog


async def main() -> None:
    async with clawlog.task("Train", ["load", "train"]) as task:
        async with task.step("train"):
            for epoch in range(1, 4):
                await task.progress(epoch, 3, unit="epochs")
                task.metadata["loss"] = f"{1 / epoch:.2f}"
        await task.plan(["load", "train", "evaluate"])
        await task.link("https://example.org/runs/7", "run")
        async with task.waiting("Go on with the evaluation?"):
            pass
        task.summary = "loss 0.33"


asyncio.run(main())
