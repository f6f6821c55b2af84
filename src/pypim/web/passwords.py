"""Passwords: hashed slowly with Argon2id (RFC 9106), a few at a time, beside the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from functools import cache
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pypim.core.access_errors import TooManyAttempts
from pypim.core.errors import InvalidUsage
from pypim.core.tokens import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = 8
LONGEST_BYTES = 1024
_MOST_REMEMBERED = 1024
_REMEMBERED_SECONDS = 60.0
_MOST_WAITING = 64
"""Comparisons that wait or run; one takes about 20 ms."""

# 19 MiB and two passes are the least that OWASP's guide takes; more of it would show in the memory of the server.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """What is kept of a password. Raises InvalidUsage where it is too short, too long, or looks like a token."""
    if len(password) < SHORTEST:
        raise InvalidUsage(f"the password is shorter than {SHORTEST} characters", hint="Choose a longer one.")
    if len(password.encode()) > LONGEST_BYTES:
        raise InvalidUsage(f"the password is longer than {LONGEST_BYTES} bytes", hint="Choose a shorter one.")
    if password.startswith(PREFIX):
        raise InvalidUsage(f"a password cannot begin with {PREFIX!r}, for tokens do", hint="Choose another one.")
    return _hasher.hash(password)


@cache
def _nobodys_hash() -> str:
    """What is compared where there is no such user, so that the time does not tell."""
    return _hasher.hash(secrets.token_urlsafe(32))


def is_password(known_hash: str | None, password: str) -> bool:
    """Compare in the same time for a user who is not there (None)."""
    if len(password.encode(errors="surrogatepass")) > LONGEST_BYTES:
        return False
    try:
        return _hasher.verify(known_hash or _nobodys_hash(), password) and known_hash is not None
    except (VerificationError, InvalidHashError):
        return False


class PasswordCheck:
    """Compares passwords for a server: at most `parallel` at once, and what was right is right for a minute.

    A pair is remembered under a keyed hash that includes the kept hash: a new password counts at once.
    """

    def __init__(self, now: Callable[[], float], *, parallel: int = 2) -> None:
        """`now` in seconds."""
        self._now = now
        self._room = asyncio.Semaphore(parallel)
        self._key = secrets.token_bytes(32)
        self._right_until: dict[bytes, float] = {}
        self._running: dict[bytes, asyncio.Task[bool]] = {}

    def is_known(self, known_hash: str | None, user: str, password: str) -> bool:
        """Whether this was right within the last minute."""
        return self._right_until.get(self._name(known_hash, user, password), 0.0) > self._now()

    async def is_right(self, known_hash: str | None, user: str, password: str) -> bool:
        """Whether the password has that hash; None stands for a user who is not there.

        Requests that ask the same at once wait for one comparison. Raises TooManyAttempts while too many others wait.
        """
        name = self._name(known_hash, user, password)
        if self._right_until.get(name, 0.0) > self._now():
            return True
        task = self._running.get(name)
        if task is None:
            if len(self._running) >= _MOST_WAITING:
                raise TooManyAttempts("many addresses", 1)
            task = self._running[name] = asyncio.create_task(self._compare(known_hash, password))
            task.add_done_callback(lambda _: self._running.pop(name, None))
        if not await asyncio.shield(task):
            return False
        while len(self._right_until) >= _MOST_REMEMBERED:
            del self._right_until[next(iter(self._right_until))]
        self._right_until[name] = self._now() + _REMEMBERED_SECONDS
        return True

    async def _compare(self, known_hash: str | None, password: str) -> bool:
        async with self._room:
            return await asyncio.to_thread(is_password, known_hash, password)

    def _name(self, known_hash: str | None, user: str, password: str) -> bytes:
        parts = "\0".join((known_hash or "", user, password)).encode(errors="surrogatepass")
        return hashlib.blake2b(parts, key=self._key, digest_size=32).digest()
