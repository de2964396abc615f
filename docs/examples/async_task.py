import asyncio

import clawlog


async def main() -> None:
    async with clawlog.async_task("Release", steps=["build"]) as task, task.step("build"):
        await task.checkpoint()


asyncio.run(main())
