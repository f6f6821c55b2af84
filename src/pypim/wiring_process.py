"""The server's processes: one that listens and supervises, and workers, each of which makes its own application."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from contextlib import suppress
from multiprocessing.sharedctypes import RawValue
from typing import TYPE_CHECKING

import msgspec

from pypim.config.check import server_faults
from pypim.config.environment import environment
from pypim.config.load import load
from pypim.core.errors import InvalidUsage, OutOfSpace, PypimError
from pypim.net.listening import listen, listen_at_path
from pypim.store import atomic
from pypim.store.lock import StoreLock
from pypim.wiring import audit_of, run
from pypim.wiring_server import STAGING_NAME, open_app

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Mapping
    from ctypes import c_byte
    from pathlib import Path

    from pypim.config.model import Config, Server
    from pypim.web.answers import Receive, Scope, Send
    from pypim.web.app import App

_log = logging.getLogger("pypim.server")
_FIXED = ("host", "port", "unix_socket", "workers", "backlog", "tls_certificate", "tls_key", "header_timeout")
"""What of [server] the supervisor has from the start, and no reload changes."""


def load_for_serving(source: Path, told: Mapping[str, object]) -> Config:
    """The configuration, with what the command line says of [server] in its place.

    Raises InvalidConfig with all faults, also of the files and secrets that a server needs, and InvalidUsage where
    there is nothing to serve.
    """
    config = load(source, lambda config: server_faults(config, environment()))
    if not config.indexes:
        raise InvalidUsage(f"{source}: no index is configured", hint="Add a table [indexes.main] to it.")
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **told))


def serve(read: Callable[[], Config], announce: Callable[[str], None], *, is_verbose: bool) -> None:
    """Serve until a signal ends it: SIGTERM and SIGINT in good order, SIGHUP reads the configuration again.

    `read` gives the configuration, and can be pickled; `announce` is told the address once connections are taken.
    Raises StoreFault, InvalidConfig or InvalidUsage before that.
    """
    from pypim.wiring_supervisor import Supervisor

    config = read()
    settings = config.server
    run(_try(config))
    # What was tried has used threads of the HTTP client's, which a fork would leave behind.
    multiprocessing.set_start_method("spawn", force=True)
    where = settings.unix_socket or f"{settings.host} port {settings.port}"
    with (
        StoreLock(config.store.path / STAGING_NAME, f"pypim serve at {where}"),
        _listener(settings) as listener,
    ):
        _make_way(config)
        loader = _Loader(config, read)
        supervisor = Supervisor(config, listener, loader.renew, loader.has_started, is_verbose=is_verbose)
        address = _address(settings, listener)
        # Not before signals are heard: who reads this may send one.
        supervisor.on_startup(lambda: announce(f"{', '.join(config.indexes)} at {address}"))
        supervisor.serve(target_loader=loader, wrap_loader=False)


def _listener(settings: Server) -> socket.socket:
    if settings.unix_socket is not None:
        return listen_at_path(settings.unix_socket, settings.backlog)
    return listen(settings.host, settings.port, settings.backlog, settings.request_timeout)


def _address(settings: Server, listener: socket.socket) -> str:
    if settings.unix_socket is not None:
        return str(settings.unix_socket)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{host}:{listener.getsockname()[1]}{settings.root_path}"


def _make_way(config: Config) -> None:
    """Remove what the workers of a server that was killed had under way."""
    folder = config.store.path / STAGING_NAME
    for staging in folder.iterdir() if folder.is_dir() else ():
        for path in staging.iterdir() if staging.is_dir() else ():
            atomic.remove(path)
        if staging.is_dir():
            atomic.remove_empty_folders(staging, folder)


async def _try(config: Config) -> None:
    """Open the application once: what is wrong with the store or an index is said here, and not by a worker.

    So is an audit log that cannot be written, save on a full disk: who could delete anything else?
    """
    async with open_app(config):
        with suppress(OutOfSpace):
            audit_of(config).try_to_open()


class _Loader:
    """Makes the application of each worker, from the last configuration that was found good."""

    def __init__(self, config: Config, read: Callable[[], Config]) -> None:
        self._config = config
        self._read = read
        # Without a lock, which a worker that is killed would keep.
        self._started = RawValue("b", 0)

    def has_started(self) -> bool:
        """Whether any worker was ever ready."""
        return bool(self._started.value)

    def __call__(self) -> _Worker:
        """What a new worker is to run."""
        return _Worker(self._config, self._started)

    def renew(self) -> bool:
        """Read the configuration again; False, and a line in the log, where it cannot be served."""
        try:
            config = self._read()
            run(_try(config))
        except PypimError as error:
            _log.error("not reloaded, the old configuration stays: %s", error.message)
            return False
        for name in _FIXED:
            if getattr(config.server, name) != getattr(self._config.server, name):
                _log.warning("server.%s changes only with a new start", name.replace("_", "-"))
        self._config = config
        return True


class _Worker:
    """The application of one worker, open from the server's start to its stop (ASGI lifespan)."""

    def __init__(self, config: Config, started: c_byte) -> None:
        """`started` becomes 1 once it is ready."""
        self._config = config
        self._started = started
        self._app: App | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        assert self._app is not None, "requests come after the start"
        return self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        threading.Thread(target=_end_with_supervisor, name="end-with-supervisor", daemon=True).start()
        await receive()
        try:
            async with open_app(self._config) as self._app:
                self._started.value = 1
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:  # noqa: BLE001 - the boundary: a worker that is not open must not answer
            if isinstance(error, PypimError):
                _log.error("%s", error.message)
            else:
                _log.error("the worker did not start", exc_info=error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})


def _end_with_supervisor() -> None:
    """A worker without its supervisor would go on for ever with old rules, beside the next server on the store.

    The store's lock went with the supervisor, so that there is no time for an end in good order.
    """
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None, "a worker is a process of its own"
    supervisor.join()
    os._exit(1)
