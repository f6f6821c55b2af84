"""Accounts in memory: the twin that the same contract suite verifies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.store.catalog_access import PROOF_SECONDS, no_user, used_proof

if TYPE_CHECKING:
    from pypim.core.tokens import Token, User


class MemoryAccounts:
    """Accounts in dictionaries."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self._tokens: dict[str, Token] = {}

    def user(self, name: str) -> User | None:
        """That user."""
        return self._users.get(name)

    def users(self) -> list[User]:
        """All of them, by name."""
        return [self._users[name] for name in sorted(self._users)]

    def keep_user(self, user: User) -> None:
        """Add a user, or replace the one of that name."""
        known = self._users.get(user.name, user)
        self._users[user.name] = msgspec.structs.replace(user, created_at=known.created_at)

    def remove_user(self, name: str) -> bool:
        """Remove a user and all of the user's tokens."""
        self._tokens = {token_id: token for token_id, token in self._tokens.items() if token.user != name}
        return self._users.pop(name, None) is not None

    def token(self, token_id: str) -> Token | None:
        """That token."""
        return self._tokens.get(token_id)

    def tokens(self) -> list[Token]:
        """All of them, the oldest first."""
        return sorted(self._tokens.values(), key=lambda token: (token.created_at, token.id))

    def keep_token(self, token: Token) -> None:
        """Add a token. Raises Conflict or NotFound."""
        if token.user is not None and token.user not in self._users:
            raise no_user(token.user)
        oldest = token.created_at - PROOF_SECONDS
        self._tokens = {
            token_id: known
            for token_id, known in self._tokens.items()
            if known.proof is None or known.expires_at is None or known.expires_at >= oldest
        }
        if token.proof is not None and any(known.proof == token.proof for known in self._tokens.values()):
            raise used_proof()
        self._tokens[token.id] = token

    def revoke_token(self, token_id: str, at: float) -> bool:
        """Make it useless from that time on."""
        token = self._tokens.get(token_id)
        if token is not None and token.revoked_at is None:
            self._tokens[token_id] = msgspec.structs.replace(token, revoked_at=at)
        return token is not None

    def note_use(self, token_id: str, at: float) -> None:
        """It was shown at that time."""
        if token := self._tokens.get(token_id):
            self._tokens[token_id] = msgspec.structs.replace(token, used_at=max(token.used_at or 0.0, at))

    def is_empty(self) -> bool:
        """Whether there is neither a user nor a token."""
        return not self._users and not self._tokens
