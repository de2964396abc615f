import asyncio

import clawlog


async def main() -> None:
    async with clawlog.AsyncClient() as client:
        task = await client.create_task("By hand", ["one", "two"])
        await asyncio.gather(*(client.update_step(task.task_id, step, "done") for step in (1, 2)))
        await client.update_task(task.task_id, "done")


asyncio.run(main())
