"""Identity tokens of CI services (OpenID Connect Core 1.0; RFC 7519), checked with the keys of their issuer."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from pypim.core.access_errors import IdentityRejected
from pypim.core.errors import UpstreamFault, UpstreamMalformed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from pypim.ports import Fetcher

ALGORITHMS = ("RS256", "ES256")
LEEWAY_SECONDS = 30.0
"""How far the clocks of two machines may be apart."""
_KEYS_SECONDS = 3600.0
_STALE_SECONDS = 86400.0
_ASK_AGAIN_SECONDS = 3.0
"""After a token with an unknown key, the issuer is not asked more often than that."""
_MOST_BYTES = 1 << 20
_LONGEST_TOKEN = 16 * 1024
_KEY_TYPES = frozenset({"RSA", "EC"})

Claims = dict[str, Any]


def unchecked_claims(text: str) -> Claims:
    """What a token says of itself, before anything of it is believed. Raises IdentityRejected."""
    parts = text.split(".")
    if len(parts) != 3 or len(text) > _LONGEST_TOKEN or not text.isascii():  # noqa: PLR2004 - header, claims, signature
        raise _malformed()
    try:
        return msgspec.json.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        raise _malformed() from None


class Issuer:
    """One issuer, and its keys as long as they may be believed."""

    def __init__(
        self,
        url: str,
        open_fetcher: Callable[[str], AbstractAsyncContextManager[Fetcher]],
        now: Callable[[], float],
    ) -> None:
        """`url` as the issuer writes it into its tokens; `now` in seconds."""
        self.url = url
        self._open_fetcher = open_fetcher
        self._now = now
        self._keys: KeySet | None = None
        self._asked_at = 0.0
        self._fetching: asyncio.Task[KeySet] | None = None

    async def verify(self, text: str) -> Claims:
        """The claims of a token that this issuer signed and that is valid now, whatever its audience.

        Raises IdentityRejected, or UpstreamFault where the issuer's keys cannot be had.
        """
        keys = await self._keys_for(_key_id(text))
        try:
            claims = jwt.decode(text, keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, TypeError, KeyError):
            raise IdentityRejected("invalid-token", "malformed or invalid token: its signature is not right") from None
        _check_times(claims, self._now())
        if claims.get("iss") != self.url:
            raise IdentityRejected("invalid-token", "malformed or invalid token: another issuer")
        return claims

    async def _keys_for(self, key_id: str | None) -> KeySet:
        """The keys that are known, or fetched once for all who wait; while the issuer fails, the old ones for a day."""
        age = self._now() - self._asked_at
        if self._keys is not None and age < (_KEYS_SECONDS if _has(self._keys, key_id) else _ASK_AGAIN_SECONDS):
            return self._keys
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_keys())
            self._fetching.add_done_callback(self._forget_fetching)
        try:
            self._keys = await asyncio.shield(self._fetching)
        except UpstreamFault:
            if self._keys is None or age > _STALE_SECONDS:
                raise
            return self._keys
        self._asked_at = self._now()
        return self._keys

    def _forget_fetching(self, task: asyncio.Task[KeySet]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # it is raised to those who wait; where all have gone, nobody need hear of it

    async def _fetch_keys(self) -> KeySet:
        """OpenID Connect Discovery 1.0, 4: the configuration names the issuer itself, and where its keys are."""
        address = f"{self.url.rstrip('/')}/.well-known/openid-configuration"
        async with self._open_fetcher(self.url) as fetcher:
            configuration = await _fetch_json(fetcher, address)
            place = configuration.get("jwks_uri")
            if configuration.get("issuer") != self.url:
                raise UpstreamMalformed(address, "it is the configuration of another issuer")
            if not isinstance(place, str) or not (place.startswith("https://") or self.url.startswith("http://")):
                raise UpstreamMalformed(address, "it does not say where the keys are, or they would not come by TLS")
            document = await _fetch_json(fetcher, place)
        return _key_set(document, place)


def _has(keys: KeySet, key_id: str | None) -> bool:
    return key_id is None or any(key.kid == key_id for key in keys.keys)


def _key_set(document: Mapping[str, Any], place: str) -> KeySet:
    """Keys of kinds that are not used here are left out."""
    listed = document.get("keys")
    usable = [
        key
        for key in (listed if isinstance(listed, list) else [])
        if isinstance(key, dict) and key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"
    ]
    try:
        keys = KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise UpstreamMalformed(place, f"a key cannot be read: {error}") from error
    if not keys.keys:
        raise UpstreamMalformed(place, f"it has no key for {' or '.join(ALGORITHMS)}")
    return keys


async def _fetch_json(fetcher: Fetcher, url: str) -> dict[str, Any]:
    found = await fetcher.fetch(url, {"accept": "application/json"}, limit_bytes=_MOST_BYTES)
    if found.status != 200:  # noqa: PLR2004 - HTTP OK
        raise UpstreamMalformed(url, f"the issuer answers {found.status}")
    try:
        return msgspec.json.decode(found.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UpstreamMalformed(url, f"this is no JSON object: {error}") from error


def _key_id(text: str) -> str | None:
    """Of the key that signed, as the header says."""
    head = text.partition(".")[0]
    try:
        header = msgspec.json.decode(urlsafe_b64decode(head + "=" * (-len(head) % 4)), type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        raise _malformed() from None
    key_id = header.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise _malformed()
    return key_id


def _check_times(claims: Claims, now: float) -> None:
    """RFC 7519, 4.1.4 to 4.1.6: exp must be there; nbf and iat count where they are."""
    expires = _seconds(claims, "exp")
    if expires is None or expires < now - LEEWAY_SECONDS:
        raise IdentityRejected("invalid-token", "malformed or invalid token: it has expired")
    for name in ("nbf", "iat"):
        begins = _seconds(claims, name)
        if begins is not None and begins > now + LEEWAY_SECONDS:
            raise IdentityRejected("invalid-token", "malformed or invalid token: it is not valid yet")


def _seconds(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed()
    return float(value)


def has_audience(claims: Claims, audience: str) -> bool:
    """RFC 7519, 4.1.3: one text, or a list of them."""
    told = claims.get("aud")
    return told == audience or (isinstance(told, list) and audience in told)


def proof_of(text: str, claims: Claims) -> str:
    """What tells that an identity token comes again: its jti, else all of it that is signed."""
    identity = claims.get("jti")
    told = f"{claims.get('iss')}\0{identity}" if identity else text.rpartition(".")[0]
    return hashlib.sha256(told.encode()).hexdigest()


def _malformed() -> IdentityRejected:
    return IdentityRejected("invalid-token", "malformed or invalid token")
