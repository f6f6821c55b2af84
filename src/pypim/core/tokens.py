"""What is kept of users and of tokens, from which nobody can make the password or the text again."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode

import msgspec

from pypim.core.access import RESERVED_NAMES, Scope
from pypim.core.errors import InvalidRequirement, InvalidUsage
from pypim.core.measures import parse_duration

PREFIX = "pypim-"
"""What begins so is meant as a token, wherever it stands; scanners for leaked secrets look for it as well."""
ID_BYTES = 6
SECRET_BYTES = 32
_LONGEST_SECONDS = 100 * 366 * 24 * 3600.0
_TEXT = re.compile(r"pypim-(?P<id>[0-9a-f]{12})\.(?P<secret>[A-Za-z0-9_-]{43})")


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a password; times in seconds since the epoch."""

    name: str
    password_hash: str
    """Argon2id with its parameters and salt (RFC 9106), as the library writes it."""
    created_at: float
    changed_at: float
    """When the password was set."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is kept; times in seconds since the epoch."""

    id: str
    """Public: lists and logs name a token by it."""
    secret_sha256: str
    """The secret has 256 random bits, so that a plain hash keeps it as well as a slow one would."""
    user: str | None = None
    """Whose rights limit it further; None where its scope alone counts."""
    label: str = ""
    """What people wrote to know it again, or which publisher it was made for."""
    scope: Scope
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    used_at: float | None = None
    """Exact to a minute or so."""
    proof: str | None = None
    """SHA-256 of the identity token that it was made for (Trusted Publishing), which counts only once."""

    def is_valid(self, now: float) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_USER_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?")


def parse_user_name(text: str) -> str:
    """Accept a name for a user: it fits into a URL, a log and a header as it is. Raises InvalidUsage."""
    if _USER_NAME.fullmatch(text) is None or text.lower() in RESERVED_NAMES or text.lower().startswith(PREFIX):
        raise InvalidUsage(
            f"{text!r} cannot be the name of a user",
            hint="A name has ASCII letters, digits and . _ @ + - inside, at most 64; some words are taken.",
        )
    return text


def token_text(token_id: bytes, secret: bytes) -> str:
    """The text for random bytes: ID_BYTES and SECRET_BYTES of them."""
    return f"{PREFIX}{token_id.hex()}.{urlsafe_b64encode(secret).decode().rstrip('=')}"


def split_token(text: str) -> tuple[str, str] | None:
    """(id, SHA-256 of the secret); None for what is no token."""
    found = _TEXT.fullmatch(text)
    return None if found is None else (found["id"], hashlib.sha256(found["secret"].encode()).hexdigest())


def is_same_secret(known_sha256: str, shown_sha256: str) -> bool:
    """In a time that does not tell where they differ."""
    return hmac.compare_digest(known_sha256.encode(), shown_sha256.encode())


def made_token(
    random: bytes,
    scope: Scope,
    now: float,
    *,
    user: str | None = None,
    label: str = "",
    expires_at: float | None = None,
) -> tuple[str, Token]:
    """The text that is shown once, and what is kept; `random` has ID_BYTES + SECRET_BYTES."""
    text = token_text(random[:ID_BYTES], random[ID_BYTES:])
    parts = split_token(text)
    assert parts is not None, "it was just made"
    kept = Token(
        id=parts[0],
        secret_sha256=parts[1],
        user=user,
        label=label,
        scope=scope,
        created_at=now,
        expires_at=expires_at,
    )
    return text, kept


def ends_at(expires: str | None, now: float, where: str) -> float | None:
    """When a token ends that is to last so long ("90 days"), in seconds since the epoch; None where it never does.

    Raises InvalidRequirement for what is no duration, or one beyond any sense; `where` is what people wrote it into.
    """
    if expires is None:
        return None
    try:
        seconds = parse_duration(expires, where).total_seconds()
    except OverflowError:
        seconds = _LONGEST_SECONDS + 1
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise InvalidRequirement(where, expires, "a token lasts a second to a hundred years", hint="Leave it out.")
    return now + seconds
