import asyncio

import clawlog


async def main() -> None:
    async with clawlog.task("Crawl", ["pages"]):
        async for page in clawlog.track(["one", "two"], "pages"):  # and asynchronous iterables
            print(page)


asyncio.run(main())
