import asyncio

import clawlog


async def main() -> None:
    async with clawlog.task("Migrate the orders table") as task, task.waiting('Drop the column "x"?'):
        await asyncio.sleep(0)  # the answer comes


asyncio.run(main())
