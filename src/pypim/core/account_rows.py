"""Users and tokens as they are shown: by the command line and by the server's API, without anything secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.access import Action
from pypim.core.measures import describe_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypim.core.access import Rules
    from pypim.core.tokens import Token, User


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """One user of `user list`; times as in 2026-11-01T12:00:00+00:00."""

    name: str
    groups: tuple[str, ...]
    """Those of the configuration that name the user."""
    tokens: int
    """How many are neither revoked nor expired."""
    created_at: str
    changed_at: str
    """When the password was set."""


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """One token, without its secret; times as in 2026-11-01T12:00:00+00:00."""

    id: str
    user: str | None
    """None for a token that has no user: its scope alone says what it may."""
    label: str
    indexes: tuple[str, ...]
    projects: tuple[str, ...]
    may: tuple[str, ...]
    state: str
    """"valid", "expired" or "revoked"."""
    created_at: str
    expires_at: str | None
    used_at: str | None
    """Exact to a minute or so."""


def user_row(user: User, tokens: Iterable[Token], rules: Rules, now: float) -> UserRow:
    """A user, with what the configuration and the tokens say of them; `now` in seconds since the epoch."""
    return UserRow(
        name=user.name,
        groups=tuple(sorted(rules.names_of(user.name) - {user.name})),
        tokens=sum(token.user == user.name and token.is_valid(now) for token in tokens),
        created_at=describe_time(user.created_at),
        changed_at=describe_time(user.changed_at),
    )


def token_row(kept: Token, now: float) -> TokenRow:
    """A token as it is at a time, in seconds since the epoch."""
    state = "revoked" if kept.revoked_at is not None else "valid" if kept.is_valid(now) else "expired"
    return TokenRow(
        id=kept.id,
        user=kept.user,
        label=kept.label,
        indexes=kept.scope.indexes,
        projects=kept.scope.projects,
        may=tuple(action.value for action in Action if action in kept.scope.actions),
        state=state,
        created_at=describe_time(kept.created_at),
        expires_at=None if kept.expires_at is None else describe_time(kept.expires_at),
        used_at=None if kept.used_at is None else describe_time(kept.used_at),
    )
