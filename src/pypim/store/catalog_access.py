"""The accounts of a catalog: its users and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pypim.core.access import Action, Scope
from pypim.core.errors import Conflict, NotFound
from pypim.core.tokens import Token, User
from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypim.store.database import Database

PROOF_SECONDS = 30 * 86400.0
"""How long after it expired the proof of a token is remembered; no identity token lives nearly as long."""

_decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_actions = msgspec.json.Decoder(frozenset[Action]).decode


@told_as_damage
class CatalogAccounts:
    """The Accounts of a catalog. What gives or takes access is durable when the call returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def user(self, name: str) -> User | None:
        """That user."""
        row = self._database.row("user", (name,))
        return None if row is None else _user(row)

    def users(self) -> list[User]:
        """All of them, by name."""
        return [_user(row) for row in self._database.rows("users")]

    def keep_user(self, user: User) -> None:
        """Add a user, or replace the one of that name."""
        with self._database.transaction(is_durable=True):
            self._database.run("keep_user", (user.name, user.password_hash, user.created_at, user.changed_at))

    def remove_user(self, name: str) -> bool:
        """Remove a user and all of the user's tokens."""
        with self._database.transaction(is_durable=True):
            found = self._database.row("user", (name,)) is not None
            self._database.run("remove_user", (name,))
        return found

    def token(self, token_id: str) -> Token | None:
        """That token."""
        row = self._database.row("token", (token_id,))
        return None if row is None else token_of(row)

    def tokens(self) -> list[Token]:
        """All of them, the oldest first."""
        return [token_of(row) for row in self._database.rows("tokens")]

    def keep_token(self, token: Token) -> None:
        """Add a token. Raises Conflict or NotFound."""
        with self._database.transaction(is_durable=True):
            if token.user is not None and self._database.row("user", (token.user,)) is None:
                raise no_user(token.user)
            self._database.run("forget_proven_tokens", (token.created_at - PROOF_SECONDS,))
            if token.proof is not None and self._database.row("token_of_proof", (token.proof,)) is not None:
                raise used_proof()
            self._database.run("keep_token", _row(token))

    def revoke_token(self, token_id: str, at: float) -> bool:
        """Make it useless from that time on."""
        with self._database.transaction(is_durable=True):
            found = self._database.row("token", (token_id,)) is not None
            self._database.run("revoke_token", (at, token_id))
        return found

    def note_use(self, token_id: str, at: float) -> None:
        """It was shown at that time."""
        with self._database.transaction(is_durable=False):
            self._database.run("note_use", (at, token_id))

    def is_empty(self) -> bool:
        """Whether there is neither a user nor a token."""
        return self._database.rows("has_accounts") == [(0,)]


def no_user(name: str) -> NotFound:
    """The error for a token of nobody."""
    return NotFound(f"there is no user {name!r}", hint=f"Add the user first: `pypim user add {name}`.")


def used_proof() -> Conflict:
    """The error for an identity token that comes again."""
    return Conflict("this identity token was used before", hint="Ask the issuer for a new one.")


def _user(row: Sequence[Any]) -> User:
    name, password_hash, created_at, changed_at = row
    return User(name=name, password_hash=password_hash, created_at=created_at, changed_at=changed_at)


def _row(token: Token) -> tuple[object, ...]:
    scope = token.scope
    lists = (list(scope.indexes), list(scope.projects), sorted(scope.actions))
    return (
        token.id,
        token.secret_sha256,
        token.user,
        token.label,
        *(msgspec.json.encode(texts).decode() for texts in lists),
        token.created_at,
        token.expires_at,
        token.revoked_at,
        token.used_at,
        token.proof,
    )


def token_of(row: Sequence[Any]) -> Token:
    """The token of a row of its table. Raises what decoding raises where its values were damaged."""
    token_id, secret_sha256, user, label, indexes, projects, actions, *times, proof = row
    created_at, expires_at, revoked_at, used_at = times
    return Token(
        id=token_id,
        secret_sha256=secret_sha256,
        user=user,
        label=label,
        scope=Scope(indexes=_decode_texts(indexes), projects=_decode_texts(projects), actions=_decode_actions(actions)),
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        used_at=used_at,
        proof=proof,
    )
