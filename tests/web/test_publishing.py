"""Trusted Publishing over HTTP, with an issuer that the test itself runs."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from pypim.core.access import Action, Scope
from pypim.core.access_errors import IdentityRejected
from pypim.core.errors import UpstreamMalformed
from pypim.core.records import FetchOptions
from pypim.core.tokens import split_token
from pypim.net.fetchers import open_fetcher
from pypim.store.catalog import Catalog
from pypim.web import identity as web_identity
from tests.web.conftest import Running
from tests.web.issuer import Issuer
from tests.web.test_auth import Hands

CONFIGURATION = """
[upstreams.up]
url = "https://index.example/simple/"
[indexes.mirror]
upstream = "up"
[indexes.internal]
kind = "hosted"
[access]
failures-per-minute = 1000
[access.publishers.widgets]
issuer = "{issuer}"
claims = {{ repository = ["acme/widgets", "acme/gadgets"], ref_protected = "true" }}
index = "internal"
projects = ["widgets", "acme-*"]
"""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as made:
        yield made


@pytest.fixture
def url(issuer: Issuer, running: Running) -> str:
    return running(CONFIGURATION.format(issuer=issuer.url)).url


def ask(address: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(address, data=body, headers={"Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


def mint(url: str, token: str) -> tuple[int, dict[str, Any]]:
    return ask(f"{url}/_/oidc/mint-token", json.dumps({"token": token}).encode())


def reason(answer: tuple[int, dict[str, Any]]) -> str:
    """The code of a 422 in the shape that publishing clients print."""
    status, document = answer
    assert status == 422
    assert document["message"] == "Token request failed"
    [fault] = document["errors"]
    assert fault["description"]
    return str(fault["code"])


def test_the_audience_is_told(url: str) -> None:
    """GET /_/oidc/audience → {"audience": …}"""
    assert ask(f"{url}/_/oidc/audience") == (200, {"audience": "pypim"})


@pytest.mark.parametrize("key", [0, 1], ids=["RS256", "ES256"])
def test_an_identity_becomes_a_token_for_minutes(url: str, issuer: Issuer, tmp_path: Path, key: int) -> None:
    """POST /_/oidc/mint-token → {"success": true, "token": …, "expires": <unix>}"""
    status, made = mint(url, issuer.token(issuer.keys[key]))
    assert (status, made["success"]) == (200, True)
    assert 800 < made["expires"] - time.time() <= 900
    parts = split_token(made["token"])
    assert parts is not None
    with Catalog.open(tmp_path / "server" / "data" / "catalog.sqlite", writable=False) as catalog:
        token = catalog.accounts.token(parts[0])
    assert token is not None
    assert token.secret_sha256 == parts[1]
    assert token.user is None
    assert token.scope == Scope(
        indexes=("internal",), projects=("widgets", "acme-*"), actions=frozenset({Action.UPLOAD})
    )


def test_an_identity_counts_once(url: str, issuer: Issuer) -> None:
    for token in (issuer.token(jti="one"), issuer.token()):
        assert mint(url, token)[0] == 200
        assert reason(mint(url, token)) == "invalid-reuse-token"
    assert reason(mint(url, issuer.token(jti="one"))) == "invalid-reuse-token"


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "acme/other"},
        {"repository": None},
        {"repository": ["acme/widgets"]},
        {"ref_protected": False},
        {"aud": "pypi"},
        {"aud": None},
        {"iss": "https://issuer.example"},
        {"iss": None},
    ],
    ids=str,
)
def test_other_claims_are_nobodys(url: str, issuer: Issuer, changes: dict[str, Any]) -> None:
    assert reason(mint(url, issuer.token(**changes))) == "invalid-publisher"


@pytest.mark.parametrize("changes", [{"aud": ["other", "pypim"]}, {"repository": "acme/gadgets"}], ids=str)
def test_one_of_several_is_enough(url: str, issuer: Issuer, changes: dict[str, Any]) -> None:
    assert mint(url, issuer.token(**changes))[0] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"nbf": int(time.time()) + 3600},
        {"iat": int(time.time()) + 3600},
    ],
    ids=["expired", "endless", "text", "true", "not yet", "from the future"],
)
def test_its_time_counts(url: str, issuer: Issuer, changes: dict[str, Any]) -> None:
    assert reason(mint(url, issuer.token(**changes))) == "invalid-token"


def test_what_another_signed_is_refused(url: str, issuer: Issuer) -> None:
    """Only RS256 and ES256 by a key of the issuer: no other key, no "none", no HMAC with the public key."""
    stranger = RSAKey.generate_key(2048, {"kid": "first"})
    good = issuer.token()
    head, claims, signature = good.split(".")
    unsigned, numbered = encoded(b'{"alg":"none"}'), encoded(b'{"alg":"RS256","kid":7}')
    critical = encoded(b'{"alg":"RS256","kid":"first","crit":["b64"],"b64":false}')
    public = issuer.keys[0].as_pem(private=False)
    with_public = jwt.encode({"alg": "HS256", "kid": "first"}, {"iss": issuer.url}, OctKey.import_key(public[27:300]))
    changed = encoded(b'{"iss":"' + issuer.url.encode() + b'"}')
    for token in (
        issuer.token(stranger),
        f"{head}.{claims}.{signature[:-8]}AAAAAAAA",
        f"{head}.{claims}.",
        f"{head}.{changed}.{signature}",
        f"{unsigned}.{claims}.",
        with_public,
        f"{numbered}.{claims}.{signature}",
        f"{critical}.{claims}.{signature}",
    ):
        assert reason(mint(url, token)) == "invalid-token", token


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"token": 1}', b"\xff", b'{"token": "' + b"a" * 100_000 + b'"}'],
    ids=["empty", "nothing", "a list", "a number", "no text", "too long"],
)
def test_a_body_without_a_token(url: str, body: bytes) -> None:
    assert reason(ask(f"{url}/_/oidc/mint-token", body)) == "invalid-payload"


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "ä.b.c", "....", "a." + "b" * 20_000 + ".c"])
def test_what_is_no_identity_token(url: str, token: str) -> None:
    assert reason(mint(url, token)) == "invalid-token"


def test_the_keys_are_fetched_once_and_again_for_a_key_that_is_new(url: str, issuer: Issuer) -> None:
    for _ in range(3):
        assert mint(url, issuer.token(jti=str(time.monotonic_ns())))[0] == 200
    assert issuer.requests == ["/.well-known/openid-configuration", "/keys"]


async def test_new_keys_are_found_and_old_ones_serve_while_the_issuer_fails(issuer: Issuer) -> None:
    clock = Hands()
    clock.time = datetime.now(UTC)
    options = FetchOptions(retries=0)
    known = web_identity.Issuer(issuer.url, lambda url: open_fetcher(url, options), lambda: clock.now().timestamp())
    await asyncio.gather(*(known.verify(issuer.token()) for _ in range(5)))
    assert len(issuer.requests) == 2, "one fetch for all who wait"
    old = issuer.token(exp=int(clock.now().timestamp()) + 10 * 86400)
    issuer.keys[0] = RSAKey.generate_key(2048, {"kid": "second"})
    new = issuer.token(exp=int(clock.now().timestamp()) + 10 * 86400)
    with pytest.raises(IdentityRejected):
        await known.verify(new)
    assert len(issuer.requests) == 2, "it is not asked again and again for keys that do not exist"
    clock.move(31)
    assert (await known.verify(new))["repository"] == "acme/widgets"
    with pytest.raises(IdentityRejected):
        await known.verify(old)
    issuer.status = 404
    clock.move(3700)
    await known.verify(new)
    clock.move(86400)
    with pytest.raises(UpstreamMalformed, match="answers 404"):
        await known.verify(new)


def test_an_issuer_that_fails_is_not_the_clients_fault(url: str, issuer: Issuer) -> None:
    """A 5xx: the client may try again; nothing was decided."""
    issuer.configuration["issuer"] = "https://other.example"
    status, document = mint(url, issuer.token())
    assert status == 502
    assert "another issuer" in document["message"]
    issuer.configuration["issuer"] = issuer.url
    assert mint(url, issuer.token())[0] == 200


def test_without_publishers_there_is_nothing(running: Running) -> None:
    """Clients that look for it (`--trusted-publishing automatic`) go on without."""
    url = running('[indexes.internal]\nkind = "hosted"\n').url
    for address, body in ((f"{url}/_/oidc/audience", None), (f"{url}/_/oidc/mint-token", b"{}")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=20)
        with caught.value:
            assert caught.value.code == 404
