"""The API's answers about users and tokens, for administrators of the whole server."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from pypim.core.access import Action, scope_of
from pypim.core.access_errors import NotPermitted
from pypim.core.account_rows import token_row, user_row
from pypim.core.errors import NotFound, PypimError
from pypim.core.tokens import ID_BYTES, PREFIX, SECRET_BYTES, ends_at, made_token
from pypim.web.answers import headers_of
from pypim.web.api_indexes import telling_of
from pypim.web.api_shapes import NewToken, RevokedToken, TokenBody, Tokens, Users
from pypim.web.forwarded import peer_of

if TYPE_CHECKING:
    from pypim.core.access import Visitor
    from pypim.web.api_endpoint import Asked

SERVER = "this server"
"""Stands where a refusal names an index; no index can be called so, so that only a right on all of them counts."""


async def list_tokens(asked: Asked) -> Tokens:
    """Those that can be used, or all."""
    await _administrator(asked, "list-tokens")
    now = asked.context.clock.now().timestamp()
    found = telling_of(asked).accounts.tokens()
    return Tokens(tokens=tuple(token_row(one, now) for one in found if asked.query.all or one.is_valid(now)))


async def create_token(asked: Asked) -> NewToken:
    """Make one. Raises NotFound where there is no such user or index, InvalidRequirement."""
    visitor = await _administrator(asked, "create-token")
    body: TokenBody = asked.body
    for name in body.indexes:
        if name not in asked.context.indexes:
            raise NotFound(f"there is no index named {name!r}", hint="See GET /api/v1/indexes.")
    now = asked.context.clock.now().timestamp()
    text, kept = made_token(
        secrets.token_bytes(ID_BYTES + SECRET_BYTES),
        scope_of(body.indexes, body.projects, body.may, "projects"),
        now,
        user=body.user,
        label=body.label,
        expires_at=ends_at(body.expires, now, "expires"),
    )
    await asked.context.background.run(partial(telling_of(asked).written.keep_token, kept))
    await _tell(asked, visitor.name, "create-token", f"token {kept.id}")
    return NewToken(token=text, kept=token_row(kept, now))


async def revoke_token(asked: Asked) -> RevokedToken:
    """Make one useless. Raises NotFound."""
    visitor = await _administrator(asked, "revoke-token")
    token_id = asked.request.path_params["id"].removeprefix(PREFIX).partition(".")[0]
    now = asked.context.clock.now().timestamp()
    if not await asked.context.background.run(partial(telling_of(asked).written.revoke_token, token_id, now)):
        raise NotFound(f"there is no token {token_id[:100]!r}", hint="See GET /api/v1/tokens?all=true.")
    await _tell(asked, visitor.name, "revoke-token", f"token {token_id}")
    return RevokedToken(id=token_id, revoked=True)


async def list_users(asked: Asked) -> Users:
    """All of them."""
    await _administrator(asked, "list-users")
    accounts, now = telling_of(asked).accounts, asked.context.clock.now().timestamp()
    tokens, rules = accounts.tokens(), asked.context.doorkeeper.rules
    return Users(users=tuple(user_row(one, tokens, rules, now) for one in accounts.users()))


async def _administrator(asked: Asked, action: str) -> Visitor:
    """Who sends this. Raises what the doorkeeper raises, once the audit log has it."""
    context, scope = asked.context, asked.request.scope
    peer = peer_of(scope, context.trusted_proxies)
    try:
        visitor = await context.doorkeeper.admit(headers_of(scope), peer, Action.ADMIN, SERVER, None)
        if not context.doorkeeper.rules.administers(visitor):
            raise NotPermitted(visitor.name, Action.ADMIN.value, SERVER, None)
    except PypimError as refusal:
        await _tell(asked, refusal.who if isinstance(refusal, NotPermitted) else "", action, refusal)
        raise
    return visitor


async def _tell(asked: Asked, visitor: str, action: str, outcome: PypimError | str) -> None:
    peer = peer_of(asked.request.scope, asked.context.trusted_proxies)
    await asked.context.doorkeeper.tell(outcome, visitor, peer, action, "")
