"""Granian's supervisor of the workers, with a listening socket of ours and a configuration that was looked at first."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
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
_MOST_HEADER_BYTES = 256 << 10
"""Of all headers of a request; granian answers more with a 431."""
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Supervisor(MPServer):
    """Starts the workers, again where one dies, and stops them."""

    def __init__(self, config: Config, listener: socket.socket, renew: Callable[[], bool], *, is_verbose: bool) -> None:
        """`renew` reads the configuration again and says whether workers can be started with it."""
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

    def _init_shared_socket(self) -> None:
        """One socket for all workers: granian would give each its own, and connections that wait there die with it."""
        is_path = self.bind_uds is not None
        self._ssp = None
        holder: Any = SocketHolder  # whose stub lacks what it takes
        self._shd = holder(self._listener.fileno(), is_path, self.backlog)
        self._sso = self._listener

    def _reload(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401 - as granian has it
        if self._renew():
            super()._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # granian has no types here
            _log.info("the configuration was read again, and all workers have it")
        else:
            self.reload_signal = False
            self.main_loop_interrupt.clear()


def log_settings(*, is_verbose: bool) -> dict[str, Any]:
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
