"""The server's processes: granian supervises the workers, each of which makes its application for itself."""

from __future__ import annotations

import logging
import multiprocessing
from functools import partial
from typing import TYPE_CHECKING, Any

from pypim.config.load import load
from pypim.core.errors import PypimError
from pypim.store import atomic
from pypim.store.lock import StoreLock
from pypim.wiring import run
from pypim.wiring_server import STAGING_NAME, open_app

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from pypim.config.model import Config
    from pypim.web.answers import Receive, Scope, Send
    from pypim.web.app import App

_log = logging.getLogger("pypim.server")
_MOST_HEADER_BYTES = 64 << 10
_STOP_SECONDS = 20
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(config: Config, source: Path, *, is_verbose: bool) -> None:
    """Serve until a signal ends it: SIGTERM and SIGINT in good order, SIGHUP reads the configuration again.

    Raises StoreFault, InvalidConfig or InvalidUsage before the first connection is taken.
    """
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    run(_try(config))

    class Supervisor(MPServer):
        """Granian's supervisor, which reads a configuration before it trusts workers with it."""

        def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as granian has it
            try:
                load(source)
            except PypimError as error:
                _log.error("not reloaded: %s", error.message)
            else:
                super().signal_handler_reload(*args, **kwargs)  # type: ignore[no-untyped-call]  # granian has no types here

    settings = config.server
    # What was tried has used threads of the HTTP client's, which a fork would leave behind.
    multiprocessing.set_start_method("spawn", force=True)
    supervisor = Supervisor(
        "pypim",
        address=settings.host,
        port=settings.port,
        uds=settings.unix_socket,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        backlog=settings.backlog,
        http=HTTPModes.auto if settings.tls_certificate else HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.header_timeout * 1000), max_buffer_size=_MOST_HEADER_BYTES * 4
        ),
        websockets=False,
        ssl_cert=settings.tls_certificate,
        ssl_key=settings.tls_key,
        log_level=LogLevels.debug if is_verbose else LogLevels.info,
        log_dictconfig=_logging(is_verbose=is_verbose),
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        process_name=None,
    )
    with StoreLock(config.store.path / STAGING_NAME, f"pypim serve at {settings.unix_socket or settings.port}"):
        _make_way(config)
        supervisor.serve(target_loader=partial(_load_app, source), wrap_loader=False)


def _make_way(config: Config) -> None:
    """Remove what the workers of a server that was killed had under way."""
    folder = config.store.path / STAGING_NAME
    for staging in folder.iterdir() if folder.is_dir() else ():
        for path in staging.iterdir() if staging.is_dir() else ():
            atomic.remove(path)
        if staging.is_dir():
            atomic.remove_empty_folders(staging, folder)


async def _try(config: Config) -> None:
    """Open the application once: what is wrong with the store or an index is said here, and not by a worker."""
    async with open_app(config):
        pass


class _Worker:
    """The application of one worker, open from the server's start to its stop (ASGI lifespan)."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._app: App | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        assert self._app is not None, "requests come after the start"
        return self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with open_app(load(self._source)) as self._app:
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except PypimError as error:
            _log.error("%s", error.message)
            await send({"type": "lifespan.startup.failed", "message": error.message})
        else:
            await send({"type": "lifespan.shutdown.complete"})


def _load_app(source: Path) -> _Worker:
    """Make the application of a worker."""
    return _Worker(source)


def _logging(*, is_verbose: bool) -> dict[str, Any]:
    """Everything to standard error, a line each."""
    level = "DEBUG" if is_verbose else "INFO"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": _LOG_FORMAT}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {
            "pypim": {"handlers": ["stderr"], "level": level, "propagate": False},
            "_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }
