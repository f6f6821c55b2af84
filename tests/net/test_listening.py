"""The socket on which the server listens, and what it hands on to the connections that it takes."""

from __future__ import annotations

import socket
import sys
from contextlib import closing

import pytest

from pypim.net.listening import listen

IS_LINUX = sys.platform == "linux"


@pytest.mark.skipif(not IS_LINUX, reason="other systems hand on less")
@pytest.mark.parametrize(("seconds", "idle"), [(7.5, 8), (86400.0, 32767)])
def test_the_system_ends_connections_whose_client_has_gone(seconds: float, idle: int) -> None:
    """tcp(7): one that is idle is asked whether it is there, and one that takes nothing is cut off."""
    with closing(listen("127.0.0.1", 0, 16, seconds)) as listener, closing(socket.socket()) as client:
        client.connect(listener.getsockname())
        listener.settimeout(10)
        with closing(listener.accept()[0]) as taken:
            assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == seconds * 1000


@pytest.mark.skipif(not IS_LINUX, reason="other systems hand on less")
def test_what_is_sent_in_pieces_does_not_wait_for_the_client_between_them() -> None:
    """Nagle's algorithm and a client's delayed acknowledgement together cost 40 ms an answer."""
    with closing(listen("127.0.0.1", 0, 5, 60.0)) as listener:
        client = socket.create_connection(listener.getsockname())
        with closing(client), closing(listener.accept()[0]) as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
