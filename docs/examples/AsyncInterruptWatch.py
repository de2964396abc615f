import asyncio

import clawlog


async def main() -> None:
    async with clawlog.AsyncClient() as client:
        task_id = (await client.create_task("Watched")).task_id
        async with client.watch_interrupt(task_id) as watch:
            async for stop in watch:
                print(stop.state)
                break  # or go on, to be told of each change
        await client.update_task(task_id, "done")


asyncio.run(main())
