"""Granian's supervisor of the workers, with a listening socket of ours and a configuration that was looked at first.

A worker that dies is started anew, after longer and longer pauses where it dies again, and the others serve meanwhile.
"""

from __future__ import annotations

import logging
import math
import ssl
import time
from typing import TYPE_CHECKING, Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from pypim.core.errors import InvalidConfig

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from pypim.config.model import Config

_log = logging.getLogger("pypim.server")
STOP_SECONDS = 30
"""So long answers that are under way may still take when the server stops or has new workers."""
_RESPAWN_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_PROVEN_SECONDS = 60.0
"""A worker that lived for so long had no fault that it was born with."""
_FUTILE_STARTS = 2
"""For each worker, before a server of which none has ever been ready gives up."""
_MOST_HEADER_BYTES = 256 << 10
"""Of all headers of a request; granian answers more with a 431."""
_SEND_BUFFER_BYTES = 64 << 10
"""Of each answer over HTTP/2, of which one connection may have very many that nobody takes."""
_TOLD = "Application callable raised an exception"
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Supervisor(MPServer):
    """Starts the workers, again where one dies, and stops them."""

    def __init__(
        self,
        config: Config,
        listener: socket.socket,
        renew: Callable[[], bool],
        has_started: Callable[[], bool],
        *,
        is_verbose: bool,
    ) -> None:
        """`renew` reads the configuration again and says whether workers can be started with it.

        `has_started` says whether any worker was ever ready to answer.
        """
        settings = config.server
        try:
            super().__init__(
                "pypim",
                uds=settings.unix_socket,
                interface=Interfaces.ASGI,
                workers=settings.workers,
                backlog=settings.backlog,
                http=HTTPModes.auto if settings.tls_certificate else HTTPModes.http1,
                http1_settings=HTTP1Settings(
                    header_read_timeout=int(settings.header_timeout * 1000), max_buffer_size=_MOST_HEADER_BYTES
                ),
                http2_settings=HTTP2Settings(
                    keep_alive_interval=int(settings.header_timeout * 1000),
                    keep_alive_timeout=math.ceil(settings.header_timeout),
                    max_headers_size=_MOST_HEADER_BYTES,
                    max_send_buffer_size=_SEND_BUFFER_BYTES,
                ),
                websockets=False,
                ssl_cert=settings.tls_certificate,
                ssl_key=settings.tls_key,
                ssl_protocol_min=SSLProtocols.tls12,
                log_level=LogLevels.debug if is_verbose else LogLevels.warning,
                log_dictconfig=log_settings(is_verbose=is_verbose),
                respawn_failed_workers=True,
                respawn_interval=_RESPAWN_SECONDS,
                workers_kill_timeout=STOP_SECONDS,
            )
        except (ssl.SSLError, OSError) as error:
            hint = "Check server.tls-certificate and server.tls-key."
            raise InvalidConfig(config.source, [(None, f"TLS cannot be set up: {error}")], hint=hint) from None
        self._listener = listener
        self._renew = renew
        self._has_started = has_started
        self._deaths: dict[int, int] = {}
        self._due: dict[int, float] = {}

    def _init_shared_socket(self) -> None:
        """One socket for all workers: granian would give each its own, and connections that wait there die with it."""
        is_path = self.bind_uds is not None
        self._ssp = None
        holder: Any = SocketHolder  # whose stub lacks what it takes
        self._shd = holder(self._listener.fileno(), is_path, self.backlog)
        self._sso = self._listener

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401 - as granian has it
        """Until a signal comes, or no worker can be started at all."""
        while not self.interrupt_signal:
            wait = min(self._due.values()) - time.monotonic() if self._due else None
            self.main_loop_interrupt.wait(None if wait is None else max(0.0, wait))
            self.main_loop_interrupt.clear()  # first, so that nothing that comes meanwhile is missed
            while self.interrupt_children:
                self._note_death(self.interrupt_children.pop())
            if not self._has_started() and sum(self._deaths.values()) >= _FUTILE_STARTS * self.workers:
                _log.error("no worker can be started, so the server ends; what is wrong with them stands above")
                self.interrupt_children.extend(self._deaths)  # from which granian makes a status of 1
                return
            due = [index for index, at in self._due.items() if at <= time.monotonic()]
            for index in due:
                del self._due[index]
            if due and not self.interrupt_signal:
                self._respawn_workers(due, spawn_target, target_loader)
            if self.reload_signal:
                self._reload(spawn_target, target_loader)

    def _note_death(self, index: int) -> None:
        """When a worker that has died is to be started anew."""
        lived = time.monotonic() - self.wrks[index].birth
        deaths = self._deaths[index] = 1 if lived > _PROVEN_SECONDS else self._deaths.get(index, 0) + 1
        pause = min(_RESPAWN_SECONDS * 2.0 ** min(deaths - 2, 16), _LONGEST_PAUSE_SECONDS) if deaths > 1 else 0.0
        self._due[index] = time.monotonic() + pause
        _log.error("worker %d has died; it is started anew in %.1f s", index + 1, pause)

    def _reload(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401 - as granian has it
        if self._renew():
            self._due.clear()
            self._deaths.clear()
            super()._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # granian has no types here
            _log.info("the configuration was read again, and new workers start with it")
        else:
            self.reload_signal = False
            self.main_loop_interrupt.clear()


class ToldOnce(logging.Filter):
    """Leaves out what granian says of an answer that broke off: the application has told it, in a line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        return not (record.name.startswith("_granian") and record.getMessage().startswith(_TOLD))


def log_settings(*, is_verbose: bool) -> dict[str, Any]:
    """Everything to standard error, a line each."""
    level = "DEBUG" if is_verbose else "INFO"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": _LOG_FORMAT}},
        "filters": {"once": {"()": f"{__name__}.ToldOnce"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["once"]}},
        "loggers": {
            "pypim": {"handlers": ["stderr"], "level": level, "propagate": False},
            "_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }
