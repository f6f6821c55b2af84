"""Pages that are longer than a worker may have in memory: another process makes them, and they are sent from the disk.

What is asked of such a page elsewhere than on /simple/, that process answers itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import NotFound, ProjectNotFound, StoreUnreadable, UpstreamUnavailable
from pypim.core.file_table import file_in
from pypim.core.model import DistFile
from pypim.core.negotiate import JSON_TYPE
from pypim.core.ready import ReadyPage
from pypim.index.sharing import end
from pypim.web.lists import READY_NAME
from pypim.web.on_disk import Bodies, send_ready, send_stored

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.filling import Wanted
    from pypim.index.room import Room
    from pypim.ports import Clock, Turns
    from pypim.web.answers import Receive, Scope, Send

_IDLE_SECONDS = 20.0
_LONGEST_KEPT_BYTES = 128 << 10
"""Of one form of a page that is asked for again and again."""
_MOST_LINE_BYTES = 16 << 20


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came, without its body."""

    method: str
    scheme: str
    path: str
    raw_path: str
    query: str
    headers: list[tuple[str, str]]
    client: tuple[str, int | str] | None
    """Servers have ports as numbers or as texts."""
    server: tuple[str, int | str | None] | None


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    """Ask the upstream of a proxy for a page, and keep the answer."""

    index: str
    project: str


class Make(msgspec.Struct, frozen=True, tag="make"):
    """Write all forms of a page of an index into a folder, and the description that names them."""

    index: str
    project: str
    folder: str


class Choose(msgspec.Struct, frozen=True, tag="choose"):
    """Tell which files of a page a line of a requirements file means."""

    index: str
    project: str
    text: str


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Answer a request into a file of that folder."""

    request: Request
    folder: str


Job = Renew | Make | Choose | Tell


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a job: a fault, with the exit status of its family, or what Choose or Tell found."""

    fault: int = 0
    message: str = ""
    hint: str = ""
    version: str = ""
    files: tuple[DistFile, ...] = ()
    status: int = 200
    headers: list[tuple[str, str]] = []
    file: str = ""
    """Name of the file that has the body."""


class Scribe:
    """A process that does one job after the other; with it goes all the memory that it took.

    It is started when it is needed, and ends when it was not for a while, or when there is no worker any more.
    """

    def __init__(self, module: str, config: bytes) -> None:
        """`module` is run; it reads the pickled configuration, then a job in each line, and writes a Done for each."""
        self._command = (sys.executable, "-m", module)
        self._config = config
        self._lock = asyncio.Lock()
        self._process: Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Done]] = set()

    async def do(self, job: Job) -> Done:
        """Have it done; who does not wait for the end does not stop it. Raises UpstreamUnavailable where it ends."""
        task = asyncio.get_running_loop().create_task(self._do(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _do(self, job: Job) -> Done:
        async with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            line = await self._asked(job) or await self._asked(job)  # somebody may have killed it since the last job
            self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._let_go)
        if not line:
            what = "a request" if isinstance(job, Tell) else f"the page of {job.project}"
            hint = "The log of the server may say why; try again."
            raise UpstreamUnavailable(what, "the process that was to read it has ended", hint=hint)
        return msgspec.json.decode(line, type=Done)

    async def _asked(self, job: Job) -> bytes:
        """The line that it says; empty where it has ended before that."""
        process = await self._running()
        assert process.stdin is not None, "it is a pipe"
        assert process.stdout is not None, "it is a pipe"
        with suppress(ConnectionError):
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            await process.stdin.drain()
        line = await process.stdout.readline()
        if line.endswith(b"\n"):
            return line
        self._process = None
        return b""

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, limit=_MOST_LINE_BYTES
            )
            assert self._process.stdin is not None, "it is a pipe"
            self._process.stdin.write(self._config)
        return self._process

    def _let_go(self) -> None:
        """It ends when nothing more can be asked of it."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None

    async def close(self) -> None:
        """End it, whatever it is about."""
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        if self._idle is not None:
            self._idle.cancel()
        await end(self._tasks)


class PageOnDisk:
    """A page in all forms, of which nothing is in memory but the names of its files, and perhaps some of `bodies`."""

    def __init__(self, mark: object, folder: Path, ready: ReadyPage, bodies: Bodies) -> None:
        self.mark = mark
        self._folder = folder
        self._ready = ready
        self._bodies = bodies
        self._paths = [str(folder / name) for name in (ready.files, ready.forms[JSON_TYPE].plain.file)]

    @property
    def is_there(self) -> bool:
        """Whether its files are: others may have made newer ones, and removed these."""
        return all(map(os.path.exists, self._paths))

    def file(self, path: str) -> DistFile | None:
        """The listed file that is served at a path (packages/…)."""
        table = self._folder / self._ready.files
        try:
            descriptor = os.open(table, os.O_RDONLY)
        except OSError as error:
            raise StoreUnreadable(str(table), error.strerror or "it cannot be opened") from error
        try:
            return file_in(partial(_read, descriptor), path)
        finally:
            os.close(descriptor)

    async def send(self, scope: Scope, receive: Receive, send: Send, content_type: str) -> None:
        """Send it in a media type of the Simple API."""
        await send_ready(scope, receive, send, self._folder, self._ready.forms[content_type], self._bodies)


def _read(descriptor: int, start: int, size: int) -> bytes:
    return os.pread(descriptor, size, start)


class LongPages:
    """What a worker has done for it, so that it stays small."""

    def __init__(
        self, scribe: Scribe, folder_of: Callable[[str], Path], turns: Turns, clock: Clock, room: Room
    ) -> None:
        """`folder_of` tells where the pages of an index stand; that of "" is for answers.

        `room` is for pages that are not long, while they are made.
        """
        self.room = room
        self._scribe = scribe
        self._folder_of = folder_of
        self._turns = turns
        self._clock = clock
        self._bodies = Bodies(_LONGEST_KEPT_BYTES)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now().timestamp()

    async def renew(self, index: str, project: NormalizedName) -> None:
        """Have a proxy ask for a page. Raises UpstreamUnavailable or StoreUnreadable."""
        done = await self._scribe.do(Renew(index, project))
        _raise_fault(done, index, project)

    async def page(self, index: str, project: NormalizedName, mark: object, since: float) -> PageOnDisk:
        """The page as it is at that time or later. Raises ProjectNotFound, UpstreamUnavailable or StoreUnreadable."""
        folder = self._folder_of(index) / project
        async with self._turns.turn(f"page {index}/{project}"):
            ready = _described(folder)
            if ready is None or ready.begun_at < since:
                _raise_fault(await self._scribe.do(Make(index, project, str(folder))), index, project)
                ready = _described(folder)
        if ready is None:
            raise StoreUnreadable(str(folder / READY_NAME), "it was to be written, and is not there")
        return PageOnDisk(mark, folder, ready, self._bodies)

    async def wanted(self, index: str, wanted: Wanted) -> tuple[str, tuple[DistFile, ...]]:
        """The version and the files of a page that a requirement means (`core.filling`). Raises as `page` does."""
        done = await self._scribe.do(Choose(index, wanted.project, wanted.text))
        _raise_fault(done, index, wanted.project)
        return done.version, done.files

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered that needs all of a long page, and send that. Raises as `page` does."""
        folder = self._folder_of("")
        done = await self._scribe.do(Tell(_request(scope), str(folder)))
        _raise_fault(done, "", "")
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in done.headers]
        await send_stored(scope, receive, send, (done.status, headers), folder / done.file)

    async def close(self) -> None:
        """End the process."""
        await self._scribe.close()


def _described(folder: Path) -> ReadyPage | None:
    try:
        return msgspec.json.decode((folder / READY_NAME).read_bytes(), type=ReadyPage)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def _raise_fault(done: Done, index: str, project: str) -> None:
    if done.fault == NotFound.exit_status and project:
        raise ProjectNotFound(project, index)
    if done.fault == StoreUnreadable.exit_status:
        raise StoreUnreadable("the store", done.message)
    if done.fault:
        raise UpstreamUnavailable(f"the page of {project}", done.message, hint=done.hint)


def _request(scope: Scope) -> Request:
    return Request(
        method=scope["method"],
        scheme=scope.get("scheme", "http"),
        path=scope["path"],
        raw_path=(scope.get("raw_path") or b"").decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        client=scope.get("client"),
        server=scope.get("server"),
    )
