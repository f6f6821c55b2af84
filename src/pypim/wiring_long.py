"""A process beside a worker of the server, for pages that are longer than the worker may have in memory.

It reads the configuration, as its worker has it, then one job in each line of its input. Each is done with a stack of
its own, so that nothing is remembered between; what became of it is said in a line. It ends with its input.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import PypimError
from pypim.core.file_table import file_table
from pypim.core.filling import Wanted, read_wanted, wanted_files
from pypim.core.model import Page
from pypim.core.names import parse_name
from pypim.core.ready import ReadyForm, ReadyPage
from pypim.core.served import findable_page
from pypim.index.proxy import ProxyIndex
from pypim.store import atomic
from pypim.web.lists import READY_NAME
from pypim.web.long_pages import Choose, Done, Job, Make, Renew, Request, Tell
from pypim.web.pages import FORMS, RenderedPage
from pypim.wiring import run
from pypim.wiring_list import configuration, write_once, written
from pypim.wiring_server import cache_control_of, open_app, open_index

if TYPE_CHECKING:
    from pypim.config.model import Config
    from pypim.web.answers import Message, Scope

_MOST_BYTES = 1 << 30
"""Of all pages that stand ready; those that were made first go first."""
_ANSWER_SECONDS = 600.0
"""So long an answer stays for the worker to send it."""
_counter = count()


async def do(config: Config, job: Job) -> Done:
    """Do one job; what goes wrong is part of what became of it."""
    try:
        match job:
            case Renew():
                await _renew(config, job)
            case Make():
                await _make(config, job)
            case Choose():
                return await _choose(config, job)
            case Tell():
                return await _tell(config, job)
    except PypimError as error:
        return Done(fault=error.exit_status, message=error.message, hint=error.hint)
    return Done()


async def _renew(config: Config, job: Renew) -> None:
    async with open_index(config, job.index) as served:
        assert isinstance(served, ProxyIndex), "nothing else asks for pages"
        await served.renew(parse_name(job.project))


async def _choose(config: Config, job: Choose) -> Done:
    (one,) = read_wanted(job.text)
    assert isinstance(one, Wanted), "it was read before"
    async with open_index(config, job.index) as served:
        version, files = wanted_files(one, await served.project(one.project))
    return Done(version=str(version), files=tuple(files))


# --- pages ------------------------------------------------------------------------------------------------------------
async def _make(config: Config, job: Make) -> None:
    """Write the forms one after the other, so that never more than one is in memory; then what names them."""
    begun = time.time()
    async with open_index(config, job.index) as served:
        page = findable_page(await served.project(parse_name(job.project)))
    _write_page(page, cache_control_of(config.indexes[job.index]), begun, Path(job.folder))


def _write_page(page: Page, cache_control: str, begun: float, folder: Path) -> None:
    atomic.make_folder(folder)
    rendered = RenderedPage(None, page, cache_control)
    forms: dict[str, ReadyForm] = {}
    for content_type in FORMS:
        whole = rendered.render(content_type)
        packed = None if whole.packed is None else written(whole.packed, folder)
        forms[content_type] = ReadyForm(written(whole.plain, folder), packed)
    files = _write_table(page, folder)
    older = {path.name for path in folder.iterdir()} - _names(_described(folder))
    ready = ReadyPage(begun, forms, files)
    atomic.write_atomically(folder / READY_NAME, msgspec.json.encode(ready), is_durable=False)
    # Those of the one before stay for who is sending them.
    for name in older - _names(ready) - {READY_NAME}:
        atomic.remove(folder / name)
    _make_room(folder)


def _write_table(page: Page, folder: Path) -> str:
    content = file_table(page.files)
    name = f"{hashlib.sha256(content).hexdigest()[:40]}.files"
    write_once(folder / name, content)
    return name


def _described(folder: Path) -> ReadyPage | None:
    try:
        return msgspec.json.decode((folder / READY_NAME).read_bytes(), type=ReadyPage)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _names(ready: ReadyPage | None) -> set[str]:
    if ready is None:
        return set()
    bodies = {body for form in ready.forms.values() for body in (form.plain, form.packed) if body is not None}
    return {ready.files, *(body.file for body in bodies)}


def _make_room(newest: Path) -> None:
    """Remove the oldest pages of all indexes, but for the newest one, until the others have room."""
    made = sorted(newest.parent.parent.glob(f"*/*/{READY_NAME}"), key=lambda path: path.stat().st_mtime, reverse=True)
    left = _MOST_BYTES
    for description in made:
        folder = description.parent
        paths = list(folder.iterdir())
        left -= sum(path.stat().st_size for path in paths)
        if left < 0 and folder != newest:
            for path in paths:
                atomic.remove(path)
            atomic.remove_empty_folders(folder, newest.parent.parent)


# --- answers ----------------------------------------------------------------------------------------------------------
async def _tell(config: Config, job: Tell) -> Done:
    """Answer a request as a worker would that may have any page in memory."""
    folder = Path(job.folder)
    _make_way(folder)
    answer = _Answer(folder / hashlib.sha256(f"{time.time()} {next(_counter)}".encode()).hexdigest()[:40])
    async with open_app(config, None) as app:
        await app(_scope(job.request), _nothing_more, answer)
    return Done(status=answer.status, headers=answer.headers, file=answer.path.name)


def _make_way(folder: Path) -> None:
    """Remove the answers that somebody should have sent by now."""
    atomic.make_folder(folder)
    for path in folder.iterdir():
        if path.stat().st_mtime < time.time() - _ANSWER_SECONDS:
            atomic.remove(path)


class _Answer:
    """A `send` that writes the body to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.status = 500
        self.headers: list[tuple[str, str]] = []

    async def __call__(self, message: Message) -> None:
        """Take a message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            pairs = message.get("headers", ())
            self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
        else:
            descriptor = atomic.open_for_writing(self.path, keeps_content=True)
            try:
                atomic.write(descriptor, self.path, message.get("body", b""))
            finally:
                os.close(descriptor)


async def _nothing_more() -> Message:
    """The `receive` of a request without a body, whose client stays."""
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


def _scope(request: Request) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.raw_path.encode("latin-1"),
        "query_string": request.query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
        "client": request.client,
        "server": request.server,
        "state": {},
    }


async def _work(config: Config) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        done = await do(config, msgspec.json.decode(line, type=Job))
        sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
        sys.stdout.buffer.flush()


def main() -> int:
    """The configuration comes on standard input, then the jobs."""
    run(_work(configuration()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
