"""The access table, cell by cell over HTTP: who, with which token, does what on which index and project."""

from __future__ import annotations

import sqlite3
import time
import xmlrpc.client
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from pypim.core.access import Action, Scope
from pypim.core.tokens import Token, User, split_token, token_text
from pypim.store.catalog import Catalog
from pypim.web.passwords import hash_password
from tests.web.asking import Answer, ask, files_of
from tests.web.conftest import Running
from tests.web.serving import RunningServer
from tests.worlds.archives import archive_of
from tests.worlds.specs import FileSpec, ReleaseSpec

PASSWORD = "correct horse battery"
COMMON = """
[indexes.open]
kind = "hosted"
[indexes.closed]
kind = "hosted"
read = "authenticated"
[indexes.all]
kind = "group"
members = ["closed"]
[access]
failures-per-minute = 1000000
"""
RIGHTS = """
[access.groups]
team = ["alice"]
[[access.rights]]
who = ["team"]
index = "closed"
projects = ["acme-*"]
may = ["read", "upload"]
[[access.rights]]
who = ["alice"]
index = "open"
projects = ["acme-*"]
may = ["yank"]
[[access.rights]]
who = ["root"]
may = ["admin"]
[[access.rights]]
who = ["anyone"]
index = "closed"
projects = ["other"]
may = ["read"]
"""
DONE, ASKED, REFUSED = "done", "401", "403"


class Tokens(NamedTuple):
    """What the tokens of the test are limited to, and how they end."""

    user: str | None
    scope: Scope
    expires_at: float | None = None
    revoked_at: float | None = None


ALL = frozenset({Action.READ, Action.UPLOAD, Action.YANK, Action.DELETE})
TOKENS = {
    "alice, all": Tokens("alice", Scope(actions=ALL)),
    "alice, only reading": Tokens("alice", Scope(actions=frozenset({Action.READ}))),
    "alice, only uploading": Tokens("alice", Scope(actions=frozenset({Action.UPLOAD}))),
    "alice, acme on closed": Tokens("alice", Scope(indexes=("closed",), projects=("Acme.*",), actions=ALL)),
    "alice, administration": Tokens("alice", Scope(actions=frozenset({Action.ADMIN}))),
    "bob, all": Tokens("bob", Scope(actions=ALL)),
    "root, administration": Tokens("root", Scope(actions=frozenset({Action.ADMIN}))),
    "nobody's, all": Tokens(None, Scope(actions=ALL)),
    "nobody's, acme on closed": Tokens(None, Scope(indexes=("closed",), projects=("acme-*",), actions=ALL)),
    "nobody's, administration": Tokens(None, Scope(actions=frozenset({Action.ADMIN}))),
    "expired": Tokens(None, Scope(actions=frozenset(Action)), expires_at=1.0),
    "revoked": Tokens(None, Scope(actions=frozenset(Action)), revoked_at=1.0),
}
TEXTS = {name: token_text(bytes([number] * 6), bytes([number] * 32)) for number, name in enumerate(TOKENS, 1)}


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


SENDERS: dict[str, str | None] = {
    "nobody": None,
    "a stranger": basic("mallory", PASSWORD),
    "alice, wrong password": basic("alice", "wrong"),
    "an unknown token": f"Bearer {token_text(b'x' * 6, b'y' * 32)}",
    "garbage": "Negotiate abc",
    "alice": basic("alice", PASSWORD),
    "bob": basic("bob", PASSWORD),
    "root": basic("root", PASSWORD),
    **{name: basic("__token__", text) for name, text in TEXTS.items()},
}
WRONG = ("a stranger", "alice, wrong password", "an unknown token", "garbage", "expired", "revoked")
DEEDS = ("list", "read", "file", "upload", "yank", "delete", "administer")
PLACES = (("open", "acme-app"), ("open", "other"), ("closed", "acme-app"), ("closed", "other"), ("all", "acme-app"))
# One row for each sender; in it, for each place, a letter for each deed: "y" done, "u" 401, "n" 403.
WITHOUT_RIGHTS = {
    "nobody": "yyyuuuu yyyuuuu uuuuuuu uuuuuuu uuuuuuu",
    "wrong": "yyynnnn yyynnnn uuunnnn uuunnnn uuunnnn",
    "alice": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "bob": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "root": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "alice, all": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "alice, only reading": "yyynnnn yyynnnn yyynnnn yyynnnn yyynnnn",
    "alice, only uploading": "yyyynnn yyyynnn nnnynnn nnnynnn nnnynnn",
    "alice, acme on closed": "yyynnnn yyynnnn yyyyyyn ynnnnnn nnnyyyn",
    "alice, administration": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "bob, all": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "root, administration": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "nobody's, all": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "nobody's, acme on closed": "yyynnnn yyynnnn yyyyyyn ynnnnnn nnnyyyn",
    "nobody's, administration": "yyyyyyy yyyyyyy yyyyyyy yyyyyyy yyyyyyy",
}
WITH_RIGHTS = {
    "nobody": "yyyuuuu yyyuuuu uuuuuuu uyyuuuu uuuuuuu",
    "wrong": "yyynnnn yyynnnn uuunnnn uuunnnn uuunnnn",
    "alice": "yyynynn yyynnnn yyyynnn yyynnnn nnnynnn",
    "bob": "yyynnnn yyynnnn nnnnnnn nyynnnn nnnnnnn",
    "root": "yyyyyyy yyyyyyy yyyyyyy yyyyyyy yyyyyyy",
    "alice, all": "yyynynn yyynnnn yyyynnn yyynnnn nnnynnn",
    "alice, only reading": "yyynnnn yyynnnn yyynnnn yyynnnn nnnnnnn",
    "alice, only uploading": "yyynnnn yyynnnn nnnynnn nyynnnn nnnynnn",
    "alice, acme on closed": "yyynnnn yyynnnn yyyynnn yyynnnn nnnynnn",
    "alice, administration": "yyynynn yyynnnn yyyynnn yyynnnn nnnynnn",
    "bob, all": "yyynnnn yyynnnn nnnnnnn nyynnnn nnnnnnn",
    "root, administration": "yyyyyyy yyyyyyy yyyyyyy yyyyyyy yyyyyyy",
    "nobody's, all": "yyyyyyn yyyyyyn yyyyyyn yyyyyyn yyyyyyn",
    "nobody's, acme on closed": "yyynnnn yyynnnn yyyyyyn yyynnnn nnnyyyn",
    "nobody's, administration": "yyyyyyy yyyyyyy yyyyyyy yyyyyyy yyyyyyy",
}
OUTCOMES = {"y": DONE, "u": ASKED, "n": REFUSED}


def form(project: str, version: str) -> tuple[bytes, str]:
    """An upload as twine sends it: body and content type."""
    spec = FileSpec()
    content, _ = archive_of(project, ReleaseSpec(version=version, files=(spec,)), spec)
    filename = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "filetype": "bdist_wheel",
        "pyversion": "py3",
        "metadata_version": "2.1",
        "name": project,
        "version": version,
    }
    parts = [
        f'--part\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--part\r\nContent-Disposition: form-data; name="content"; filename="{filename}"\r\n'
    parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n--part--\r\n")
    return b"".join(parts), "multipart/form-data; boundary=part"


class Site:
    """A server with accounts, and a release of each project on each index."""

    def __init__(self, server: RunningServer, store: Path) -> None:
        self.url = server.url
        self.store = store
        self.root = basic("__token__", TEXTS["nobody's, administration"])
        self._versions = iter(range(2, 1_000_000))
        with Catalog.open(store / "catalog.sqlite") as catalog:
            for name in ("alice", "bob", "root"):
                hashed = hash_password(PASSWORD)
                catalog.accounts.keep_user(User(name=name, password_hash=hashed, created_at=1.0, changed_at=1.0))
            for name, (user, scope, expires_at, revoked_at) in TOKENS.items():
                token_id, secret_sha256 = split_token(TEXTS[name]) or ("", "")
                token = Token(
                    id=token_id,
                    secret_sha256=secret_sha256,
                    user=user,
                    scope=scope,
                    created_at=1.0,
                    expires_at=expires_at,
                    revoked_at=revoked_at,
                )
                catalog.accounts.keep_token(token)
        for index in ("open", "closed"):
            for project in ("acme-app", "other"):
                assert self.upload(self.root, index, project, "1").status == 200
        self.files = {
            (index, project): files_of(f"{self.url}/{index}/simple/{project}/", Authorization=self.root)
            for index, project in PLACES
        }

    def upload(self, authorization: str | None, index: str, project: str, version: str) -> Answer:
        body, content_type = form(project, version)
        return self.send(authorization, f"/{index}/legacy/", "POST", body, Content_Type=content_type)

    def send(
        self, authorization: str | None, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answer:
        given = {} if authorization is None else {"Authorization": authorization}
        return ask(self.url + path, method, body, **given, **headers)

    def attempt(self, authorization: str | None, deed: str, index: str, project: str) -> Answer:
        change = f"/api/v1/indexes/{index}/projects/{project}"
        match deed:
            case "list":
                return self.send(authorization, f"/{index}/simple/", Accept="text/html")
            case "read":
                return self.send(authorization, f"/{index}/simple/{project}/", Accept="text/html")
            case "file":
                return ask(self.files[index, project][f"{project.replace('-', '_')}-1-py3-none-any.whl"]["url"],
                           **({} if authorization is None else {"Authorization": authorization}))  # fmt: skip
            case "upload":
                return self.upload(authorization, index, project, str(next(self._versions)))
            case "yank":
                return self.send(authorization, f"{change}/1/yank", "POST", b'{"reason": "a test"}')
            case "delete":
                version = str(next(self._versions))
                assert self.upload(self.root, index, project, version).status == 200
                return self.send(
                    authorization, f"{change}/files/{project.replace('-', '_')}-{version}-py3-none-any.whl", "DELETE"
                )
            case _:
                return self.send(authorization, f"{change}/status", "PUT", b'{"status": "active"}')


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """One server without rights, and one with."""
    with_both = {}
    servers = []
    for name, text in (("without", COMMON), ("with", COMMON + RIGHTS)):
        folder = tmp_path_factory.mktemp(name)
        (folder / "pypim.toml").write_text(text)
        server = RunningServer(folder / "pypim.toml")
        server.__enter__()
        servers.append(server)
        with_both[name] = Site(server, folder / "data")
    yield with_both
    for server in servers:
        server.__exit__()


def outcome(answer: Answer) -> str:
    if answer.status == 200:
        return DONE
    assert answer.status in {401, 403}, answer
    assert ("www-authenticate" in answer.headers) == (answer.status == 401)
    if answer.status == 401:
        assert answer.headers["www-authenticate"] == 'Basic realm="pypim"'
    return str(answer.status)


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize(("site", "rows"), [("without", WITHOUT_RIGHTS), ("with", WITH_RIGHTS)])
def test_the_table(sites: dict[str, Site], site: str, rows: dict[str, str], sender: str) -> None:
    """Case 37: 401 with WWW-Authenticate: Basic where nobody said who they are; 403 where that is not enough."""
    row = rows["wrong" if sender in WRONG else sender]
    found = " ".join(
        "".join(
            next(
                letter
                for letter, meaning in OUTCOMES.items()
                if meaning == outcome(sites[site].attempt(SENDERS[sender], deed, index, project))
            )
            for deed in DEEDS
        )
        for index, project in PLACES
    )
    assert found == row


@pytest.mark.parametrize("sender", ["alice", "nobody's, all"])
def test_every_way_to_show_who_one_is(sites: dict[str, Site], sender: str) -> None:
    text = TEXTS.get(sender, TEXTS["alice, all"])
    forms = [basic("__token__", text), basic("whoever", text), basic(text, ""), f"Bearer {text}", f"bearer {text}"]
    for authorization in forms:
        assert sites["without"].attempt(authorization, "read", "closed", "other").status == 200
        assert sites["without"].attempt(authorization, "upload", "closed", "other").status == 200


@pytest.mark.parametrize("path", ["simple/missing/", "simple/other/", "pypi/other/json", "pypi/missing/json"])
def test_what_one_may_not_read_is_never_called_missing(sites: dict[str, Site], path: str) -> None:
    """A 404 would make pip and uv look for the project on another index; protocol 1.8: 401 and 403 stop uv."""
    assert sites["with"].send(SENDERS["bob"], f"/closed/{path}").status in ({403} if "missing" in path else {200})
    assert sites["with"].send(SENDERS["alice, only uploading"], f"/all/{path}").status == 403
    assert sites["without"].send(None, f"/closed/{path}").status == 401
    assert sites["without"].send(SENDERS["alice, acme on closed"], f"/closed/{path}").status == 403


@pytest.mark.parametrize(("sender", "is_limited"), [("nobody's, acme on closed", True), ("nobody's, all", False)])
def test_the_changelog_tells_nothing_of_what_one_may_not_read(
    sites: dict[str, Site], sender: str, *, is_limited: bool
) -> None:
    """Names are not secret where the list may be read; versions and filenames are."""
    call = xmlrpc.client.dumps((0,), "changelog_since_serial").encode()
    answer = sites["without"].send(SENDERS[sender], "/closed/pypi", "POST", call, Content_Type="text/xml")
    (rows,), _ = xmlrpc.client.loads(answer.body)
    told = cast("list[list[object]]", rows)
    assert any(row[0] == "acme-app" and row[1] is not None for row in told)
    others = {(row[1], row[3]) for row in told if row[0] == "other"}
    assert (others == {(None, "change")}) is is_limited


def test_an_upload_with_wrong_credentials_is_answered_as_pypi_does(sites: dict[str, Site]) -> None:
    """Protocol 5.3: 403 "Invalid or non-existent authentication information"; uv reads exactly application/json."""
    body, content_type = form("acme-app", "77")
    for sender in WRONG:
        answer = sites["without"].send(
            SENDERS[sender],
            "/closed/legacy/",
            "POST",
            body,
            Content_Type=content_type,
            Accept="application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7",
        )
        assert answer.status == 403
        assert answer.headers["content-type"] == "application/json"
        assert "Invalid or non-existent authentication information" in answer.document["message"]


def test_too_many_failures_are_told_when_to_come_back(running: Running) -> None:
    server = running(COMMON.replace("1000000", "3"))
    answers = [ask(f"{server.url}/closed/simple/", Authorization=basic("alice", str(number))) for number in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
    assert ask(f"{server.url}/closed/simple/").status == 401
    assert ask(f"{server.url}/open/simple/").status == 200


def test_a_fresh_store_on_this_machine_is_open_until_the_first_account(running: Running, tmp_path: Path) -> None:
    text = COMMON.replace("[access]", "[access]\nopen-on-loopback = true")
    server = running(text)
    body, content_type = form("acme-app", "1")

    def upload(**headers: str) -> int:
        return ask(f"{server.url}/open/legacy/", "POST", body, Content_Type=content_type, **headers).status

    assert upload() == 200
    assert upload(Authorization=basic("any", "thing")) == 200
    assert upload(Origin="https://site.example") == 401
    assert upload(X_Forwarded_For="192.0.2.1") == 401
    assert ask(f"{server.url}/api/v1/tokens", "POST", b'{"may": ["read"]}').status in {401, 403}
    assert ask(f"{server.url}/closed/simple/").status == 401
    with Catalog.open(tmp_path / "server" / "data" / "catalog.sqlite") as catalog:
        catalog.accounts.keep_user(User(name="alice", password_hash="x", created_at=1.0, changed_at=1.0))
    assert upload() == 401
    assert upload(Authorization=basic("any", "thing")) == 403


def test_the_last_use_is_recorded(sites: dict[str, Site]) -> None:
    site, before = sites["without"], time.time()
    token_id = (split_token(TEXTS["alice, only reading"]) or ("",))[0]
    site.attempt(SENDERS["alice, only reading"], "read", "closed", "other")
    used_at = None
    while used_at is None and time.time() - before < 20:
        with Catalog.open(site.store / "catalog.sqlite", writable=False) as catalog:
            token = catalog.accounts.token(token_id)
            used_at = token.used_at if token else None
    assert used_at is not None
    assert abs(used_at - before) < 120


def test_no_secret_is_anywhere(sites: dict[str, Site], caplog: pytest.LogCaptureFixture) -> None:
    """Tokens and passwords appear in no answer, no log, no audit log and no file of the store."""
    caplog.set_level("DEBUG")
    secrets = [PASSWORD, *(text.partition(".")[2] for text in TEXTS.values())]
    encoded = [b64encode(f"__token__:{text}".encode()).decode() for text in TEXTS.values()]
    said = []
    for sender, authorization in SENDERS.items():
        for deed in DEEDS if sender in WRONG else ("read", "upload"):
            answer = sites["with"].attempt(authorization, deed, "closed", "acme-app")
            said.append(answer.body + repr(answer.headers).encode())
    assert "wrong credentials from 127.0.0.1" in caplog.text
    files = [path for site in sites.values() for path in site.store.rglob("*") if path.is_file()]
    assert any(path.name == "audit.jsonl" for path in files)
    everything = b"".join([*said, caplog.text.encode(), *(path.read_bytes() for path in files)])
    for secret in (*secrets, *encoded):
        assert secret.encode() not in everything
    with sqlite3.connect(sites["with"].store / "catalog.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM tokens").fetchone() == (len(TOKENS),)
    connection.close()
