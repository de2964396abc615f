import asyncio

import clawlog


async def main() -> None:
    async with clawlog.task("Import", ["rows"]) as task, task.step("rows") as step:
        await step.update("reading")
        await step.progress(100, 100, unit="rows")
        step.summary = "100 rows"


asyncio.run(main())
