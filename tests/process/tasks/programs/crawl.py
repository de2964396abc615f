"""Crawls pages, with asyncio: as somebody would write it who knows mlflow's runs within runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import clawlog


async def pages(count: int) -> AsyncIterator[str]:
    for number in range(count):
        await asyncio.sleep(0.001)
        yield f"page {number}"


@clawlog.task("Index", metadata={"engine": "small"})
async def index(language: str) -> int:
    run = clawlog.current_task()
    assert isinstance(run, clawlog.AsyncTask)
    run.metadata["language"] = language
    found = 0
    async for _ in clawlog.track(pages(5), "read", total=5, unit="pages"):
        found += 1
        if language == "fr" and found == 3:
            raise LookupError("no dictionary of French")
    run.summary = f"{found} pages"
    return found


async def crawl() -> None:
    async with clawlog.task("Crawl", ["fetch", "index", "serve"]) as run:
        print(run.id, run.url, flush=True)
        async with run.step("fetch"):
            async for page in clawlog.track(pages(10), "fetch the pages", unit="pages"):
                await run.heartbeat(page)
        async with run.step("index") as step:
            found = await asyncio.gather(index("en"), index("fr"), index("zh"), return_exceptions=True)
            step.summary = f"{sum(isinstance(each, int) for each in found)} of {len(found)} languages"
        async with run.step("serve"):
            async with run.waiting("Which port?"):
                await asyncio.sleep(0)
            while True:
                await run.checkpoint()
                await asyncio.sleep(0.02)
    print("stopped:", run.stopped, run.stop.reason)


if __name__ == "__main__":
    asyncio.run(crawl())
