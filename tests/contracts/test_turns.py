"""The contract of Turns, on every implementation."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pypim.store.memory_cached import MemoryTurns
from pypim.store.own import own_folder
from pypim.store.turns import LocalTurns

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.ports import Turns


@pytest.fixture(params=["local", "memory"])
def turns(request: pytest.FixtureRequest, tmp_path: Path) -> Turns:
    return LocalTurns(tmp_path / "turns") if request.param == "local" else MemoryTurns()


async def test_one_at_a_time_has_the_turn(turns: Turns) -> None:
    present = most = 0

    async def work() -> None:
        nonlocal present, most
        async with turns.turn("key"):
            present += 1
            most = max(most, present)
            await asyncio.sleep(0)
            present -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert (present, most) == (0, 1)


async def test_other_keys_do_not_wait(turns: Turns) -> None:
    async with turns.turn("one"), asyncio.timeout(5), turns.turn("other"):
        pass


async def test_who_is_cancelled_leaves_the_queue(turns: Turns) -> None:
    async with turns.turn("key"):
        waiting = asyncio.create_task(_take(turns))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(5), turns.turn("key"):
        pass


async def test_a_turn_ends_with_an_error(turns: Turns) -> None:
    with pytest.raises(ZeroDivisionError):
        async with turns.turn("key"):
            1 / 0  # noqa: B018 - any error
    async with asyncio.timeout(5), turns.turn("key"):
        pass


async def _take(turns: Turns) -> None:
    async with turns.turn("key"):
        pass


_HOLD = """
import asyncio, sys, pathlib
from pypim.store.turns import LocalTurns
async def main():
    async with LocalTurns(pathlib.Path(sys.argv[1])).turn("key"):
        print("mine", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_a_turn_ends_with_its_process(tmp_path: Path) -> None:
    """However it dies."""
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mine\n"
        waiting = asyncio.create_task(_take(LocalTurns(tmp_path)))
        await asyncio.wait({waiting}, timeout=0.05)
        assert not waiting.done()
        process.kill()
        async with asyncio.timeout(10):
            await waiting


def test_each_process_has_a_folder_of_its_own_and_takes_over_that_of_one_that_ended(tmp_path: Path) -> None:
    with own_folder(tmp_path) as one:
        with own_folder(tmp_path) as other:
            assert one != other
            (other / "left.part").write_bytes(b"")
        with own_folder(tmp_path) as again:
            assert again == other
            assert (again / "left.part").exists()


async def test_who_has_the_turn_leaves_word_for_those_that_wait(turns: Turns) -> None:
    assert turns.told("key") == ""
    async with turns.turn("key"), turns.turn("another"):
        assert turns.told("key") == ""
        turns.tell("key", "/a/very/long/path")
        assert (turns.told("key"), turns.told("another")) == ("/a/very/long/path", "")
        turns.tell("key", "/b")
        assert turns.told("key") == "/b"
    assert turns.told("key") == ""


async def test_the_same_key_is_another_for_another_upstream(tmp_path: Path) -> None:
    one, other = LocalTurns(tmp_path, "one"), LocalTurns(tmp_path, "other")
    async with one.turn("key"), asyncio.timeout(5), other.turn("key"):
        one.tell("key", "a")
        assert (one.told("key"), other.told("key")) == ("a", "")
