"""Trusted Publishing: a build shows the identity that its CI service gave it, and gets a token for minutes.

The two paths and the shape of their answers are those of PyPI, for publishing clients know them by heart.
"""

from __future__ import annotations

import logging
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from pypim.core.access_errors import IdentityRejected
from pypim.core.errors import Conflict
from pypim.core.tokens import ID_BYTES, SECRET_BYTES, Token, split_token, token_text
from pypim.web.forwarded import peer_of
from pypim.web.identity import Issuer, has_audience, proof_of, unchecked_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from pypim.config.model import Publisher
    from pypim.ports import Accounts, Background, Clock, Fetcher
    from pypim.web.auth import Doorkeeper
    from pypim.web.context import Context

LIFE_SECONDS = 900.0
"""PyPI's tokens of this kind live as long."""
_MOST_BYTES = 64 * 1024
_MOST_SUBJECT_CHARS = 200
_log = logging.getLogger("pypim.server")


class Publishing:
    """Makes tokens for publishers of the configuration."""

    def __init__(
        self,
        publishers: Iterable[Publisher],
        open_fetcher: Callable[[str], AbstractAsyncContextManager[Fetcher]],
        written: Accounts,
        background: Background,
        clock: Clock,
        doorkeeper: Doorkeeper,
    ) -> None:
        """There is at least one publisher. `open_fetcher` opens a client for the URL of an issuer.

        `written` are the accounts, for `background` to write.
        """
        self._publishers = tuple(publishers)
        self._written = written
        self._background = background
        self._clock = clock
        self._doorkeeper = doorkeeper
        self._issuers = {one.issuer: Issuer(one.issuer, open_fetcher, self._now) for one in self._publishers}

    @property
    def audience(self) -> str:
        """What clients ask their CI service for; a publisher with another one is for clients that are told it."""
        return self._publishers[0].audience

    async def mint(self, text: str, peer: str) -> tuple[str, float]:
        """(token, when it expires in seconds since the epoch) for an identity token, which counts once.

        Raises IdentityRejected, TooManyAttempts, or UpstreamFault where the issuer does not answer.
        """
        self._doorkeeper.failures.check(peer)
        try:
            return await self._mint(text, peer)
        except IdentityRejected as rejected:
            self._doorkeeper.failures.count(peer)
            _log.warning("an identity token from %s was refused: %s", peer or "a socket", rejected.description)
            await self._doorkeeper.tell(rejected, "", peer, "token", "")
            raise

    async def _mint(self, text: str, peer: str) -> tuple[str, float]:
        issuer = self._issuers.get(str(unchecked_claims(text).get("iss")))
        if issuer is None:
            raise _no_publisher("its issuer is not known here")
        claims = await issuer.verify(text)
        publisher = next((one for one in self._publishers if _is_of(one, claims)), None)
        if publisher is None:
            raise _no_publisher("no publisher has its audience and its claims")
        made = token_text(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
        parts = split_token(made)
        assert parts is not None
        now = self._now()
        token = Token(
            id=parts[0],
            secret_sha256=parts[1],
            label=f"publisher {publisher.name}",
            scope=publisher.scope,
            created_at=now,
            expires_at=now + LIFE_SECONDS,
            proof=proof_of(text, claims),
        )
        try:
            await self._background.run(partial(self._written.keep_token, token))
        except Conflict:
            raise IdentityRejected("invalid-reuse-token", "invalid token: it was used before") from None
        told = f"token {token.id} for {str(claims.get('sub'))[:_MOST_SUBJECT_CHARS]}"
        await self._doorkeeper.tell(told, token.label, peer, "token", ",".join(publisher.scope.indexes))
        return made, now + LIFE_SECONDS

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _is_of(publisher: Publisher, claims: dict[str, Any]) -> bool:
    """Whether a token that its issuer signed is one of that publisher; without claims nothing is."""
    return (
        claims.get("iss") == publisher.issuer
        and has_audience(claims, publisher.audience)
        and bool(publisher.claims)
        and all(_text_of(claims.get(name)) in values for name, values in publisher.claims.items())
    )


def _text_of(value: object) -> str | None:
    """A claim as the configuration can write it; None for one that is not there, or is more than one word."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def _no_publisher(reason: str) -> IdentityRejected:
    return IdentityRejected("invalid-publisher", f"valid token, but no corresponding publisher: {reason}")


def routes(context: Context) -> list[BaseRoute]:
    """The two paths that publishing clients know; none where no publisher is configured."""
    publishing = context.publishing
    if publishing is None:
        return []

    async def audience(request: Request) -> Response:
        del request
        return _answer({"audience": publishing.audience})

    async def mint_token(request: Request) -> Response:
        try:
            text = await _shown(request)
            made, expires = await publishing.mint(text, peer_of(request.scope, context.trusted_proxies))
        except IdentityRejected as rejected:
            fault = {"code": rejected.reason, "description": rejected.description}
            return _answer({"message": "Token request failed", "errors": [fault]}, rejected.http_status)
        return _answer({"success": True, "token": made, "expires": int(expires)})

    return [
        Route("/_/oidc/audience", audience, methods=["GET"]),
        Route("/_/oidc/mint-token", mint_token, methods=["POST"]),
    ]


async def _shown(request: Request) -> str:
    """The identity token of a request. Raises IdentityRejected for a body that has none."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise IdentityRejected("invalid-payload", "the body is too long")
    try:
        return msgspec.json.decode(body, type=dict[str, str])["token"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        raise IdentityRejected("invalid-payload", 'the body is not JSON like {"token": "…"}') from None


def _answer(document: object, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")
