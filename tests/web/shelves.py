"""A server over indexes that the test makes itself, on a real socket, and a client that shows all that it answers."""

from __future__ import annotations

import asyncio
import http.client
import json
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import uvicorn

from pypim.core.access import Rules
from pypim.store.memory_access import MemoryAccounts
from pypim.web.app import App
from pypim.web.auth import Doorkeeper
from pypim.web.context import Context
from tests.web.serving import RunningServer
from tests.web.serving import _Server as Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.routing import BaseRoute

    from pypim.ports import Served

T = TypeVar("T")


class Thread:
    """The Background of the test: the work is done in a thread, as in the server."""

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)


class Noon:
    """A Clock."""

    def now(self) -> datetime:
        return datetime(2026, 11, 1, 12, tzinfo=UTC)


class Answer(NamedTuple):
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ShelfServer(RunningServer):
    """Runs an application that is there already."""

    def __init__(self, app: App) -> None:
        super().__init__(Path("unused"))
        self._app = app

    def _run(self, listener: socket.socket, tell_started: Callable[[], None]) -> None:
        try:
            asyncio.run(self._serve_app(listener, tell_started))
        except BaseException as error:  # noqa: BLE001 - it is raised where the server was started
            self._failure = error
        finally:
            listener.close()
            tell_started()

    async def _serve_app(self, listener: socket.socket, tell_started: Callable[[], None]) -> None:
        settings = uvicorn.Config(self._app, log_level="warning", access_log=False, lifespan="off")
        self._server = Server(settings, tell_started)
        await self._server.serve(sockets=[listener])

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request, without following redirects."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())
        finally:
            connection.close()


def context_of(
    *indexes: Served, default: str = "", is_open: bool = True, doorkeeper: Doorkeeper | None = None, **more: Any
) -> Context:
    """Indexes without a store; the first is the default one."""
    names = [index.name for index in indexes]
    accounts = MemoryAccounts()
    rules = Rules(open_indexes=frozenset(names if is_open else ()))
    clock, background = Noon(), Thread()
    return Context(
        indexes={index.name: index for index in indexes},
        uploads=more.pop("uploads", {}),
        default=default or names[0],
        cache_controls=dict.fromkeys(names, "max-age=600, public"),
        doorkeeper=doorkeeper or Doorkeeper(rules, accounts, accounts, background, clock),
        background=background,
        check_store=lambda: None,
        clock=clock,
        **more,
    )


@contextmanager
def serving(context: Context, *routes: Callable[[Context], Sequence[BaseRoute]]) -> Iterator[ShelfServer]:
    """Those routes, and the pages and files of all indexes."""
    made = [route for make in routes for route in make(context)]
    with ShelfServer(App(context, made, Path("/nowhere"))) as server:
        yield server
