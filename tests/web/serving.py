"""The server in a thread of the test's own process, on a real socket: `Running` is entered like any other context."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import uvicorn

from pypim.config.load import load
from pypim.wiring_ready import LongPage
from pypim.wiring_server import open_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypim.web.app import App


_USUAL = LongPage()


class RunningServer:
    """Serves a configuration until the context is left; `restart` serves it anew, as another process would."""

    def __init__(self, config_path: Path, limit: LongPage | None = _USUAL) -> None:
        """`limit` says which pages are long; None: no page is."""
        self._config_path = config_path
        self._limit = limit
        self._stack = ExitStack()
        self.url = ""

    def __enter__(self) -> Self:
        started = threading.Event()
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._failure: BaseException | None = None
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, args=(listener, started.set), daemon=True)
        self._thread.start()
        assert started.wait(20), "the server did not start"
        if self._failure is not None:
            raise self._failure
        return self

    def _run(self, listener: socket.socket, tell_started: Callable[[], None]) -> None:
        try:
            asyncio.run(self._open_and_serve(listener, tell_started))
        except BaseException as error:  # noqa: BLE001 - it is raised where the server was started
            self._failure = error
        finally:
            listener.close()
            tell_started()

    async def _open_and_serve(self, listener: socket.socket, tell_started: Callable[[], None]) -> None:
        async with open_app(load(self._config_path), self._limit) as app:
            await self._serve(app, listener, tell_started)

    async def _serve(self, app: App, listener: socket.socket, tell_started: Callable[[], None]) -> None:
        settings = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", proxy_headers=False)
        self._server = _Server(settings, tell_started)
        await self._server.serve(sockets=[listener])

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.should_exit = True
            self._server.force_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not stop"

    def restart(self) -> None:
        """Stop and serve again, at another port."""
        self.__exit__()
        self.__enter__()


class _Server(uvicorn.Server):
    """Tells when it listens, and leaves the signals of the process alone."""

    def __init__(self, config: uvicorn.Config, tell_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = tell_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()
