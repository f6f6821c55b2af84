"""The system calls of a process, numbered by its parent: the n-th that touches a store or a socket fails, or never is.

Linux hands the calls that a filter names to whoever holds its listener (seccomp user notifications), and waits. So
those of SQLite and of compiled extensions count like those of Python, in whatever thread or child process they are.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

_NO_NEW_PRIVILEGES = 38
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438  # the same on every architecture
_SET_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 8, 32
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_GO_ON = 1
_RETURN, _LOAD, _EQUAL = 0x06, 0x20, 0x15
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000

READS, WRITES, SOCKETS = "reads", "writes", "sockets"
_PATH_FIRST, _PATH_SECOND, _DESCRIPTOR = "path first", "path second", "descriptor"
_CALLS: dict[str, tuple[int, int, str, str]] = {
    # name: (number on x86_64, on aarch64, where the target is told, what it does)
    "read": (0, 63, _DESCRIPTOR, READS),
    "pread64": (17, 67, _DESCRIPTOR, READS),
    "readv": (19, 65, _DESCRIPTOR, READS),
    "getdents64": (217, 61, _DESCRIPTOR, READS),
    "write": (1, 64, _DESCRIPTOR, WRITES),
    "pwrite64": (18, 68, _DESCRIPTOR, WRITES),
    "writev": (20, 66, _DESCRIPTOR, WRITES),
    "fsync": (74, 82, _DESCRIPTOR, WRITES),
    "fdatasync": (75, 83, _DESCRIPTOR, WRITES),
    "syncfs": (306, 267, _DESCRIPTOR, WRITES),
    "ftruncate": (77, 46, _DESCRIPTOR, WRITES),
    "fallocate": (285, 47, _DESCRIPTOR, WRITES),
    "copy_file_range": (326, 285, _DESCRIPTOR, WRITES),
    "sendfile": (40, 71, _DESCRIPTOR, WRITES),
    "open": (2, -1, _PATH_FIRST, WRITES),
    "openat": (257, 56, _PATH_SECOND, WRITES),
    "rename": (82, -1, _PATH_FIRST, WRITES),
    "renameat2": (316, 276, _PATH_SECOND, WRITES),
    "link": (86, -1, _PATH_FIRST, WRITES),
    "linkat": (265, 37, _PATH_SECOND, WRITES),
    "unlink": (87, -1, _PATH_FIRST, WRITES),
    "unlinkat": (263, 35, _PATH_SECOND, WRITES),
    "mkdir": (83, -1, _PATH_FIRST, WRITES),
    "mkdirat": (258, 34, _PATH_SECOND, WRITES),
    "rmdir": (84, -1, _PATH_FIRST, WRITES),
    "connect": (42, 203, _DESCRIPTOR, SOCKETS),
    "accept4": (288, 242, _DESCRIPTOR, SOCKETS),
    "sendto": (44, 206, _DESCRIPTOR, SOCKETS),
    "recvfrom": (45, 207, _DESCRIPTOR, SOCKETS),
}
_WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _system_call(number: int, *arguments: object) -> int:
    found: int = _library().syscall(number, *arguments)
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found


def _numbers() -> dict[int, str]:
    is_x86 = os.uname().machine == "x86_64"
    numbers = {name: call[0] if is_x86 else call[1] for name, call in _CALLS.items()}
    return {number: name for name, number in numbers.items() if number >= 0}


def announce(channel: socket.socket) -> None:
    """Have the parent asked about every such call of this process and its children, from now on."""
    numbers = sorted(_numbers())
    code = [_Instruction(_LOAD, 0, 0, 0)]
    for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
        code.append(_Instruction(_EQUAL, left, 0, number))
    code += [_Instruction(_RETURN, 0, 0, _ALLOW), _Instruction(_RETURN, 0, 0, _NOTIFY)]
    program = _Program(len(code), (_Instruction * len(code))(*code))
    _library().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    listener = _system_call(_SECCOMP[os.uname().machine], _SET_FILTER, _NEW_LISTENER, ctypes.byref(program))
    socket.send_fds(channel, [b"!"], [listener])  # sendmsg is not among the calls
    os.close(listener)
    channel.close()


@cache
def can_announce() -> bool:
    """Whether this machine has such notifications and lets us use them."""
    if sys.platform != "linux" or os.uname().machine not in _SECCOMP:
        return False
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            announce(theirs)
        except OSError:
            os._exit(1)
        os._exit(0)
    theirs.close()
    with ours:
        received = socket.recv_fds(ours, 1, 1)[1] if os.waitpid(child, 0)[1] == 0 else []
    for descriptor in received:
        os.close(descriptor)
    return bool(received)


@dataclass
class Supervisor:
    """Counts calls and breaks one of them; runs in a thread of the parent until `stop`."""

    channel: socket.socket
    child: int
    folder: str
    """What lies under it counts."""
    kinds: frozenset[str]
    """Which of READS, WRITES and SOCKETS count."""
    at: int | None
    error: int | None
    """An errno, or None: the process is killed instead."""
    calls: list[str] = field(default_factory=list)
    broken: str = ""
    is_armed: bool = True
    """While it is not, calls go on uncounted."""

    def __post_init__(self) -> None:
        self._names = _numbers()
        self._reading, self._writing = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin once the child runs."""
        self._thread.start()

    def stop(self) -> None:
        """The child has ended."""
        os.write(self._writing, b"!")
        self._thread.join()
        for descriptor in (self._reading, self._writing):
            os.close(descriptor)
        self.channel.close()

    def _run(self) -> None:
        ready, _, _ = select.select([self.channel.fileno(), self._reading], [], [])
        if self._reading in ready:
            return
        _, descriptors, _, _ = socket.recv_fds(self.channel, 1, 1)
        if not descriptors:
            return
        listener = descriptors[0]
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._reading, select.POLLIN)
        notice = bytearray(80)
        try:
            while True:
                events = dict(poll.poll())
                if self._reading in events:
                    return
                if events.get(listener, 0) & select.POLLIN:
                    self._answer(listener, notice)
                elif events:
                    return  # nobody is left who could call
        finally:
            os.close(listener)

    def _answer(self, listener: int, notice: bytearray) -> None:
        notice[:] = bytes(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, notice)
        except OSError:
            return  # the thread was killed while it waited
        cookie, thread, _, number, _, _ = struct.unpack_from("=QIIiIQ", notice)
        arguments = struct.unpack_from("=6Q", notice, 32)
        error, flags = 0, _GO_ON
        target = self._target(thread, self._names[number], arguments) if self.is_armed else None
        if target is not None:
            self.calls.append(target)
            if self.at == len(self.calls):
                self.broken = target
                if self.error is None:
                    os.kill(self.child, signal.SIGKILL)
                    return
                error, flags = -self._errno_for(target), 0
        with suppress(OSError):  # as above
            fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", cookie, 0, error, flags))

    def _errno_for(self, target: str) -> int:
        """The wanted one; for a connection one that a connection can have."""
        assert self.error is not None
        if target.endswith("socket"):
            return errno.ECONNREFUSED if target.startswith("connect") else errno.ECONNRESET
        return self.error

    def _target(self, thread: int, name: str, arguments: tuple[int, ...]) -> str | None:
        """The call and what it is about; None where that does not count."""
        _, _, place, kind = _CALLS[name]
        try:
            if place is _DESCRIPTOR:
                return self._descriptor_target(thread, name, kind, arguments[0] & 0xFFFFFFFF)
            path = _text_at(thread, arguments[0 if place is _PATH_FIRST else 1])
        except OSError:
            return None
        if not path.startswith(self.folder):
            return None
        if name.startswith("open"):
            is_writing = arguments[1 if name == "open" else 2] & _WRITING_FLAGS
            kind = WRITES if is_writing else READS
        return f"{name} {path}" if kind in self.kinds else None

    def _descriptor_target(self, thread: int, name: str, kind: str, descriptor: int) -> str | None:
        path = os.readlink(f"/proc/{thread}/fd/{descriptor}")  # noqa: PTH115 - for every call
        if path.startswith(self.folder):
            return f"{name} {path}" if kind in self.kinds else None
        if path.startswith("socket:") and SOCKETS in self.kinds and _is_internet(self.child, descriptor):
            return f"{name} socket"
        return None


def _text_at(thread: int, address: int) -> str:
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - for every call
        memory.seek(address)
        return memory.read(4096).partition(b"\0")[0].decode("utf-8", "replace")


def _is_internet(process: int, descriptor: int) -> bool:
    """Whether a socket of another process leads to a server, and not to another of its own threads."""
    handle = _system_call(_PIDFD_OPEN, process, 0)
    try:
        copy = _system_call(_PIDFD_GETFD, handle, descriptor, 0)
    except OSError:
        return False
    finally:
        os.close(handle)
    with socket.socket(fileno=copy) as found:
        return found.family in _INTERNET
