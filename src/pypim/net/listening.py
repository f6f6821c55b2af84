"""The socket on which the server listens: made before its workers, which take connections from it in turn."""

from __future__ import annotations

import math
import os
import socket
import stat
from typing import TYPE_CHECKING

from pypim.core.errors import InvalidUsage
from pypim.store import atomic

if TYPE_CHECKING:
    from pathlib import Path

_OPEN_TO_ALL = 0o666
_LONGEST_IDLE_SECONDS = 32767
"""The most that Linux takes for TCP_KEEPIDLE."""


def listen(host: str, port: int, backlog: int, stalled_seconds: float) -> socket.socket:
    """Listen at an address and port; port 0 takes any that is free. Raises InvalidUsage where that cannot be.

    A connection whose client takes nothing of what is sent to it is cut off after that time, by the system itself.
    So is, after twice that, one whose client has gone without a word.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # What is accepted has it, too (tcp(7)): else the end of a body waits 40 ms for a client's acknowledgement.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _end_what_is_dead(listener, stalled_seconds)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise _unusable(f"{host} port {port}", error, "Choose another with --host and --port.") from None
    return _listening(listener, backlog)


def _end_what_is_dead(listener: socket.socket, seconds: float) -> None:
    """What is accepted has these options, too (tcp(7))."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, min(math.ceil(seconds), _LONGEST_IDLE_SECONDS))
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def listen_at_path(path: Path, backlog: int) -> socket.socket:
    """Listen at a Unix socket, in place of one that a killed server left. Raises InvalidUsage or StoreFault.

    Whoever may enter its folder can open it, whatever the umask: a proxy in front runs as another user.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and _is_abandoned(path):
            atomic.remove(path)
        atomic.make_folder(path.parent)
        listener.bind(str(path))
        path.chmod(_OPEN_TO_ALL)
    except OSError as error:
        listener.close()
        raise _unusable(str(path), error, "Choose another path with server.unix-socket.") from None
    except BaseException:
        listener.close()
        raise
    return _listening(listener, backlog)


def _is_abandoned(path: Path) -> bool:
    """Whether it is a socket at which nobody listens."""
    if not stat.S_ISSOCK(path.stat().st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
    return False


def _listening(listener: socket.socket, backlog: int) -> socket.socket:
    listener.listen(backlog)
    listener.settimeout(0)
    return listener


def _unusable(where: str, error: OSError, hint: str) -> InvalidUsage:
    return InvalidUsage(f"{where}: nobody can listen there: {error.strerror or error}", hint=hint)
