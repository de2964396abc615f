"""``@clawlog.task(…)``: each call of a function within a task of its own, whatever kind of function it is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def decorated(
    function: F,
    block: Callable[[], AbstractContextManager[Any]],
    async_block: Callable[[], AbstractAsyncContextManager[Any]],
) -> F:
    """Returns the function, of the same kind, with a block around each of its calls.

    Args:
        function: A function, coroutine function, generator or asynchronous generator.
        block: Makes a new block.
        async_block: Makes a new one for asyncio.
    """

    @functools.wraps(function)
    async def within_async(*args: Any, **kwargs: Any) -> Any:
        async with async_block():
            return await function(*args, **kwargs)

    @functools.wraps(function)
    async def iterated_async(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async with async_block():
            async for item in function(*args, **kwargs):
                yield item

    @functools.wraps(function)
    def iterated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with block():
            return (yield from function(*args, **kwargs))

    @functools.wraps(function)
    def within(*args: Any, **kwargs: Any) -> Any:
        with block():
            return function(*args, **kwargs)

    if inspect.iscoroutinefunction(function):
        wrapper: Callable[..., Any] = within_async
    elif inspect.isasyncgenfunction(function):
        wrapper = iterated_async
    elif inspect.isgeneratorfunction(function):
        wrapper = iterated
    else:
        wrapper = within
    return cast("F", wrapper)
