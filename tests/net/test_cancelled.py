"""A cancellation counts, however close it comes to the end of what it cancels."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pypim.core.records import FetchOptions
from pypim.net.fetchers import open_fetcher
from tests.conftest import ServeWorld
from tests.worlds.world import project


async def test_a_read_that_ends_as_it_is_cancelled_is_cancelled(serve: ServeWorld) -> None:
    """Without a check of our own about one of four hundred goes on as if nothing had been said."""
    url = f"{serve(project('app', '1.0')).url}app/"
    async with open_fetcher(url, FetchOptions(retries=0)) as fetcher:

        async def read() -> None:
            async with fetcher.open(url, {}) as incoming:
                async for _ in incoming.chunks():
                    pass

        for number in range(800):
            task = asyncio.ensure_future(read())
            await asyncio.sleep(0.00005 * (number % 40))
            was_running = task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert task.cancelled() or not was_running
