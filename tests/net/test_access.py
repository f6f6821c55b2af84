"""Credentials, certificates and proxies: what goes to whom."""

from __future__ import annotations

import ssl
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
import trustme

from pypim.core.errors import InvalidConfig, UpstreamMalformed, UpstreamUnavailable
from pypim.core.records import FetchOptions
from pypim.net.fetchers import open_fetcher
from tests.net.server import Request, Server, answer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

HOSTS = "machine 127.0.0.1 login neta password netb\nmachine files.example login c password d\n"
DEFAULT = "default login everyone password secret\n"


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.fixture
async def own() -> AsyncIterator[Server]:
    async with Server() as server:
        server.files["/x"] = b"ok"
        yield server


@pytest.fixture
async def other() -> AsyncIterator[Server]:
    async with Server() as server:
        server.files["/x"] = b"ok"
        yield server


async def sent(own: Server, options: FetchOptions, url: str | None = None, upstream: str | None = None) -> None:
    async with open_fetcher(upstream or own.url, options) as fetcher:
        assert (await fetcher.fetch(url or own.url + "/x", {}, limit_bytes=100)).body == b"ok"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (FetchOptions(proxy="", username="mé", password="p:w"), basic("mé:p:w")),
        (FetchOptions(proxy="", token="abc"), "Bearer abc"),
        (FetchOptions(proxy="", username="__token__", token="abc"), basic("__token__:abc")),
        (FetchOptions(proxy=""), None),
    ],
)
async def test_configured_credentials_are_sent_to_the_upstream(
    own: Server, options: FetchOptions, expected: str | None
) -> None:
    await sent(own, options)
    assert own.requests[0].headers.get("authorization") == expected


async def test_credentials_and_headers_go_to_the_upstreams_own_origin_only(own: Server, other: Server) -> None:
    options = FetchOptions(proxy="", token="abc", headers={"X-Key": "k"})
    await sent(own, options, other.url + "/x")
    await sent(own, options)
    assert not {"authorization", "x-key"} & other.requests[0].headers.keys()
    assert own.requests[0].headers["x-key"] == "k"
    assert own.requests[0].headers["authorization"] == "Bearer abc"


async def test_a_redirect_to_another_origin_drops_them_and_one_back_finds_them_again(
    own: Server, other: Server
) -> None:
    own.scripts["/away"] = answer(302, Location=other.url + "/back")
    other.scripts["/back"] = answer(302, Location=own.url + "/x")
    await sent(own, FetchOptions(proxy="", username="u", password="p"), own.url + "/away")
    assert [request.headers.get("authorization") for request in own.requests] == [basic("u:p"), basic("u:p")]
    assert "authorization" not in other.requests[0].headers


async def test_credentials_in_a_url_are_sent_decoded_and_never_shown(own: Server) -> None:
    upstream = own.url.replace("://", "://us%40er:pa%3Ass@")
    await sent(own, FetchOptions(proxy=""), upstream=upstream)
    async with open_fetcher(own.url, FetchOptions(proxy="")) as fetcher:
        fetched = await fetcher.fetch(upstream + "/x", {}, limit_bytes=100)
    assert fetched.url == own.url + "/x"
    assert {request.headers["authorization"] for request in own.requests} == {basic("us@er:pa:ss")}


async def test_a_netrc_file_gives_each_host_its_own(own: Server, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(HOSTS)
    options = FetchOptions(proxy="", netrc_file=str(tmp_path / "netrc"))
    await sent(own, options)
    await sent(own, options, upstream="https://index.example/simple/")
    assert {request.headers["authorization"] for request in own.requests} == {basic("neta:netb")}


async def test_what_is_configured_comes_before_netrc(own: Server, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(HOSTS)
    await sent(own, FetchOptions(proxy="", token="abc", netrc_file=str(tmp_path / "netrc")))
    assert own.requests[0].headers["authorization"] == "Bearer abc"


async def test_netrcs_default_is_for_the_upstream_itself_only(own: Server, other: Server, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(DEFAULT)
    options = FetchOptions(proxy="", netrc_file=str(tmp_path / "netrc"))
    await sent(own, options)
    await sent(own, options, other.url + "/x")
    assert own.requests[0].headers["authorization"] == basic("everyone:secret")
    assert "authorization" not in other.requests[0].headers


def test_a_broken_netrc_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine a login b password c\nnonsense here\n")
    with pytest.raises(InvalidConfig, match=r"netrc:2: ") as caught:
        open_fetcher("https://index.example/", FetchOptions(netrc_file=str(tmp_path / "netrc")))
    assert "nonsense" not in str(caught.value), "it may be a password"
    open_fetcher("https://index.example/", FetchOptions(netrc_file=str(tmp_path / "missing")))


# --- TLS ------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    other = trustme.CA()
    path = tmp_path / "ca.pem"
    path.write_bytes(other.cert_pem.bytes() + authority.cert_pem.bytes())
    return str(path)


def context_of(authority: trustme.CA, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if wants_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_certificate_of_an_unknown_authority_is_refused_with_a_remedy(authority: trustme.CA) -> None:
    async with (
        Server.over_tls(context_of(authority)) as server,
        open_fetcher(server.url, FetchOptions(proxy="")) as own,
    ):
        with pytest.raises(UpstreamUnavailable, match="certificate") as caught:
            await own.fetch(server.url + "/x", {}, limit_bytes=100)
    assert "PEM" in caught.value.hint
    assert not caught.value.is_transient


async def test_an_authority_of_ones_own_is_trusted_from_a_bundle(authority: trustme.CA, ca_file: str) -> None:
    async with Server.over_tls(context_of(authority)) as server:
        server.files["/x"] = b"ok"
        await sent(server, FetchOptions(proxy="", ca_file=ca_file))


async def test_a_client_certificate_is_shown(authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    mine = authority.issue_cert("me@corp.example")
    certificate, key = tmp_path / "me.pem", tmp_path / "me.key"
    certificate.write_bytes(b"".join(pem.bytes() for pem in mine.cert_chain_pems))
    key.write_bytes(mine.private_key_pem.bytes())
    async with Server.over_tls(context_of(authority, wants_client=True)) as server:
        server.files["/x"] = b"ok"
        with_it = FetchOptions(
            proxy="", ca_file=ca_file, client_certificate=str(certificate), client_key=str(key), retries=0
        )
        await sent(server, with_it)
        async with open_fetcher(server.url, FetchOptions(proxy="", ca_file=ca_file, retries=0)) as without:
            with pytest.raises(UpstreamUnavailable):
                await without.fetch(server.url + "/x", {}, limit_bytes=100)


async def test_a_redirect_from_https_to_http_is_refused(authority: trustme.CA, ca_file: str, own: Server) -> None:
    async with Server.over_tls(context_of(authority)) as server:
        server.scripts["/x"] = answer(302, Location=own.url + "/x")
        async with open_fetcher(server.url, FetchOptions(proxy="", ca_file=ca_file)) as fetcher:
            with pytest.raises(UpstreamMalformed, match="from https to"):
                await fetcher.fetch(server.url + "/x", {}, limit_bytes=100)
    assert own.requests == []


@pytest.mark.parametrize("field", ["ca_file", "client_certificate"])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, field: str) -> None:
    path = tmp_path / "some.pem"
    for content in (None, b"no certificate"):
        if content:
            path.write_bytes(content)
        options = FetchOptions(**{field: str(path)})  # type: ignore[arg-type] # which field is the point
        with pytest.raises(InvalidConfig, match=r"some\.pem"):
            open_fetcher("https://index.example/", options)


# --- proxies --------------------------------------------------------------------------------------------------------
@pytest.fixture
async def proxy() -> AsyncIterator[Server]:
    """Answers for any host itself: that the request came here at all is what is checked."""

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"ok", Connection="close"))
        await writer.drain()

    async with Server() as server:
        for host in ("index.example", "direct.invalid"):
            server.scripts[f"http://{host}/x"] = script
        yield server


async def test_a_configured_proxy_is_used(proxy: Server) -> None:
    options = FetchOptions(proxy=proxy.url.replace("://", "://me:pw@"))
    await sent(proxy, options, "http://index.example/x")
    assert proxy.requests[0].target == "http://index.example/x"
    assert proxy.requests[0].headers["proxy-authorization"] == basic("me:pw")


async def test_https_goes_through_a_proxys_tunnel(proxy: Server) -> None:
    proxy.scripts["index.example:443"] = answer(403)
    async with open_fetcher("https://index.example/", FetchOptions(proxy=proxy.url, retries=0)) as fetcher:
        with pytest.raises(UpstreamUnavailable, match="cannot connect"):
            await fetcher.fetch("https://index.example/x", {}, limit_bytes=100)
    assert (proxy.requests[0].method, proxy.requests[0].target) == ("CONNECT", "index.example:443")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_the_usual_environment_variables_name_the_proxy(
    proxy: Server, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, proxy.url)
    await sent(proxy, FetchOptions(), "http://index.example/x")
    assert len(proxy.requests) == 1
    monkeypatch.setenv("NO_PROXY", "direct.invalid,127.0.0.1")
    async with open_fetcher("http://direct.invalid/", FetchOptions(retries=0)) as fetcher:
        with pytest.raises(UpstreamUnavailable, match="cannot be resolved"):
            await fetcher.fetch("http://direct.invalid/x", {}, limit_bytes=100)
    assert len(proxy.requests) == 1


def test_a_proxy_that_is_no_url_is_an_error_of_the_configuration() -> None:
    with pytest.raises(InvalidConfig, match="not usable as proxy"):
        open_fetcher("https://index.example/", FetchOptions(proxy="http://"))
