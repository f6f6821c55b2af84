"""What a request shows of who sends it: the Authorization header, read (RFC 7617 Basic, RFC 6750 Bearer)."""

from __future__ import annotations

import binascii
from base64 import b64decode

import msgspec

from pypim.core.tokens import PREFIX

TOKEN_USER = "__token__"  # noqa: S105 - a user name that says that the password is a token


class Password(msgspec.Struct, frozen=True):
    """A user name with its password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Password({self.user!r}, …)"


class ShownToken(msgspec.Struct, frozen=True):
    """The text of a token, or of what is meant as one."""

    text: str

    def __repr__(self) -> str:
        return "ShownToken(…)"


class Unreadable(msgspec.Struct, frozen=True):
    """Credentials of a kind that is not known, or that are not written as they should be."""


Credentials = Password | ShownToken | Unreadable


def read_credentials(header: str | None) -> Credentials | None:
    """The credentials of an Authorization header; None where there is no header."""
    if header is None:
        return None
    scheme, _, value = header.strip().partition(" ")
    match scheme.lower():
        case "basic":
            return _basic(value.strip())
        case "bearer":
            return ShownToken(value.strip())
        case _:
            return Unreadable()


def _basic(value: str) -> Credentials:
    """A token may be the password of any user name, or the user name of an empty password."""
    try:
        text = b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return Unreadable()
    user, colon, password = text.partition(":")
    if not colon:
        return Unreadable()
    if user == TOKEN_USER or password.startswith(PREFIX):
        return ShownToken(password)
    if user.startswith(PREFIX) and not password:
        return ShownToken(user)
    return Password(user, password)
