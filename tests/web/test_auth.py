"""The doorkeeper, asked directly: credentials in every form, and what becomes of wrong ones."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypim.core.access import Action, Right, Rules, Scope
from pypim.core.access_errors import CredentialsNeeded, NotPermitted, TooManyAttempts, WrongCredentials
from pypim.core.audit import AuditEntry
from pypim.core.errors import Refused
from pypim.core.names import parse_name
from pypim.core.tokens import Token, User, split_token, token_text
from pypim.store.memory_access import MemoryAccounts
from pypim.web.auth import ANONYMOUS, Doorkeeper
from pypim.web.auth import LOOPBACK as VISITOR
from pypim.web.credentials import Password, ShownToken, Unreadable, read_credentials
from pypim.web.failures import Failures
from pypim.web.passwords import hash_password

T = TypeVar("T")
READ, UPLOAD = Action.READ, Action.UPLOAD
APP, OTHER = parse_name("acme-app"), parse_name("other")
PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)
TEXT = token_text(b"\x01" * 6, b"\x02" * 32)
PEER = "192.0.2.7"
ALL = Scope(actions=frozenset(Action))


class Thread:
    """The Background of the test: the work is done in a thread, as in the server."""

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)


class Hands:
    """A Clock that the test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Lines:
    """An Audit in a list."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def append(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


class House:
    """A doorkeeper with a user alice, and what he is asked."""

    def __init__(self, rules: Rules | None = None, *, failures_per_minute: int = 10, is_fresh: bool = False) -> None:
        self.clock = Hands()
        self.accounts = MemoryAccounts()
        told = rules or Rules(open_indexes=frozenset({"open"}))
        self.rules = msgspec.structs.replace(told, failures_per_minute=failures_per_minute)
        self.audit = Lines()
        self.doorkeeper = Doorkeeper(self.rules, self.accounts, self.accounts, Thread(), self.clock, self.audit)
        if not is_fresh:
            self.accounts.keep_user(User(name="alice", password_hash=HASH, created_at=1.0, changed_at=1.0))

    def add_token(self, scope: Scope = ALL, user: str | None = "alice", **more: object) -> None:
        parts = split_token(TEXT)
        assert parts is not None
        token = Token(id=parts[0], secret_sha256=parts[1], user=user, scope=scope, created_at=1.0)
        self.accounts.keep_token(msgspec.structs.replace(token, **more))

    async def ask(
        self, authorization: str | None, action: Action = READ, index: str = "closed", peer: str = PEER, **headers: str
    ) -> str:
        """Who was admitted, or the code of the refusal."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if authorization is not None:
            sent["authorization"] = authorization
        try:
            return (await self.doorkeeper.admit(sent, peer, action, index, APP)).name
        except Refused as refusal:
            return refusal.code


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.doorkeeper.settle()


@given(st.text() | st.binary().map(lambda raw: "Basic " + b64encode(raw).decode()))
def test_any_header_is_read_and_shows_no_secret(header: str) -> None:
    found = read_credentials(header)
    match found:
        case ShownToken(text):
            assert repr(found) == "ShownToken(…)"
            assert split_token(text) is None or text.startswith("pypim-")
        case Password(user, password):
            assert repr(found) == f"Password({user!r}, …)"
            assert not password.startswith("pypim-")
        case _:
            assert isinstance(found, Unreadable)


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60))
def test_no_minute_takes_more_failures_than_twice_the_limit(attempts: list[tuple[float, bool]]) -> None:
    """A bucket that was empty may be filled at once, and leaks as much within the minute."""
    clock = Hands()
    taken: list[float] = []
    waits: list[int] = []
    failures = Failures(5, lambda: clock.now().timestamp())
    for wait, is_wrong in attempts:
        clock.move(wait)
        try:
            failures.check(PEER)
        except TooManyAttempts as refusal:
            waits.append(refusal.retry_after_seconds)
            continue
        if is_wrong:
            failures.count(PEER)
            taken.append(clock.now().timestamp())
    assert all(1 <= wait <= 60 for wait in waits)
    for start in taken:
        assert sum(start <= at < start + 60 for at in taken) <= 10


def test_an_open_index_costs_nothing(house: House) -> None:
    assert house.doorkeeper.is_open("open")
    assert not house.doorkeeper.is_open("closed")


async def test_reading_an_open_index_needs_nobody(house: House) -> None:
    for authorization in (None, basic("alice", "wrong"), basic("alice", PASSWORD), "Bearer nonsense"):
        assert await house.ask(authorization, index="open") == ANONYMOUS.name


async def test_who_says_nothing_is_asked(house: House) -> None:
    """RFC 9110, 15.5.2: a 401 has a WWW-Authenticate header."""
    for action in Action:
        assert await house.ask(None, action) == "credentials-needed"
    with pytest.raises(CredentialsNeeded) as caught:
        await house.doorkeeper.admit({}, PEER, READ, "closed", None)
    assert caught.value.http_status == 401
    assert caught.value.http_headers == {"www-authenticate": 'Basic realm="pypim"'}


@pytest.mark.parametrize(
    "authorization",
    [
        basic("__token__", TEXT),
        basic("alice", TEXT),
        basic("anybody", TEXT),
        basic("", TEXT),
        basic(TEXT, ""),
        f"Bearer {TEXT}",
        f"bearer  {TEXT} ",
        basic("alice", PASSWORD),
        basic("alice", PASSWORD).replace("Basic", "BASIC"),
    ],
)
@pytest.mark.parametrize("action", [READ, UPLOAD])
async def test_a_user_is_known_by_password_and_by_token(house: House, authorization: str, action: Action) -> None:
    house.add_token()
    assert await house.ask(authorization, action) == "alice"


WRONG = [
    basic("alice", "wrong"),
    basic("alice", ""),
    basic("", ""),
    basic("bob", PASSWORD),
    basic("__token__", PASSWORD),
    basic("__token__", TEXT[:-1] + ("A" if TEXT[-1] != "A" else "B")),
    basic(TEXT, "x"),
    basic("alice", "x" * 100_000),
    "Bearer " + TEXT.upper(),
    "Bearer",
    "Basic",
    "Basic ####",
    "Basic " + b64encode(b"\xff\xfe:a").decode(),
    "Basic " + b64encode(b"alice").decode(),
    "Digest username=alice",
    "",
]


@pytest.mark.parametrize("authorization", WRONG)
async def test_wrong_credentials_are_no_anonymity(house: House, authorization: str) -> None:
    """Protocol: an upload with wrong credentials is answered 403, as PyPI does; a read 401."""
    house.add_token()
    assert await house.ask(authorization) == "credentials-needed"
    assert await house.ask(authorization, UPLOAD) == "wrong-credentials"


async def test_they_are_none_either_where_anyone_may_read_some_projects() -> None:
    house = House(Rules(rights=(Right(("anyone",), Scope(projects=("acme-*",), actions=frozenset({READ}))),)))
    assert await house.ask(None) == ANONYMOUS.name
    assert await house.ask(basic("alice", "wrong")) == "credentials-needed"


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
async def test_a_token_that_is_over_is_wrong(house: House, end: str) -> None:
    house.add_token(ALL, "alice", **{end: 5.0})
    assert await house.ask(f"Bearer {TEXT}", UPLOAD) == "wrong-credentials"


async def test_what_is_changed_counts_at_once(house: House) -> None:
    house.add_token()
    assert await house.ask(basic("alice", PASSWORD)) == "alice"
    assert await house.ask(f"Bearer {TEXT}") == "alice"
    changed = User(name="alice", password_hash=hash_password("another one"), created_at=1.0, changed_at=2.0)
    house.accounts.keep_user(changed)
    assert await house.ask(basic("alice", PASSWORD)) == "credentials-needed"
    assert await house.ask(basic("alice", "another one")) == "alice"
    house.accounts.remove_user("alice")
    assert await house.ask(basic("alice", "another one")) == "credentials-needed"
    assert await house.ask(f"Bearer {TEXT}") == "credentials-needed"


async def test_the_scope_of_a_token_limits_its_user(house: House) -> None:
    house.add_token(Scope(indexes=("closed",), projects=("acme-*",), actions=frozenset({UPLOAD})))
    assert await house.ask(f"Bearer {TEXT}", UPLOAD) == "alice"
    assert await house.ask(f"Bearer {TEXT}", READ) == "not-permitted"
    assert await house.ask(f"Bearer {TEXT}", UPLOAD, index="another") == "not-permitted"
    visitor = await house.doorkeeper.admit({"authorization": f"Bearer {TEXT}"}, PEER, UPLOAD, "closed", None)
    assert visitor.token == "01" * 6
    assert house.doorkeeper.permit(visitor, UPLOAD, "closed", APP) == visitor
    with pytest.raises(NotPermitted, match="alice may not upload 'other' of the index 'closed'"):
        house.doorkeeper.permit(visitor, UPLOAD, "closed", OTHER)


async def test_the_last_use_is_recorded_at_most_once_a_minute(house: House) -> None:
    house.add_token()
    seen = []
    for seconds in (0.0, 30.0, 29.0, 2.0):
        house.clock.move(seconds)
        await house.ask(f"Bearer {TEXT}")
        await house.doorkeeper.settle()
        token = house.accounts.token("01" * 6)
        assert token is not None
        seen.append(token.used_at)
    start = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    assert seen == [start, start, start, start + 61]


async def test_too_many_wrong_credentials_are_no_longer_looked_at() -> None:
    house = House(failures_per_minute=3)
    house.add_token()
    for _ in range(3):
        assert await house.ask(basic("alice", "wrong")) == "credentials-needed"
    assert await house.ask(basic("alice", "wrong")) == "too-many-attempts"
    assert await house.ask(basic("alice", PASSWORD)) == "too-many-attempts"
    assert await house.ask("Bearer nonsense", UPLOAD) == "too-many-attempts"
    assert await house.ask(f"Bearer {TEXT}") == "alice", "nobody guesses a token"
    assert await house.ask(basic("alice", PASSWORD), peer="192.0.2.8") == "alice", "another address"
    assert await house.ask(basic("alice", PASSWORD)) == "alice", "it was right within the last minute"
    assert await house.ask(None) == "credentials-needed"
    with pytest.raises(TooManyAttempts) as caught:
        await house.doorkeeper.admit({"authorization": "Bearer x"}, PEER, READ, "closed", None)
    assert caught.value.http_status == 429
    assert caught.value.http_headers == {"retry-after": str(caught.value.retry_after_seconds)}
    house.clock.move(caught.value.retry_after_seconds)
    assert await house.ask(basic("alice", "wrong")) == "credentials-needed"


def test_the_count_of_failures_stays_small_and_knows_networks() -> None:
    clock = Hands()
    failures = Failures(2, lambda: clock.now().timestamp())
    for number in range(30_000):
        failures.count(f"2001:db8:{number % 0xFFFF:x}::1")
    assert len(failures._levels) <= 10_000
    failures.count("2001:db8:0:1::1")
    failures.count("2001:db8:0:1:ffff::2")
    with pytest.raises(TooManyAttempts):
        failures.check("2001:db8:0:1::3")
    failures.check("2001:db8:0:2::3")
    for peer in ("::ffff:192.0.2.1", "192.0.2.1"):
        failures.count(peer)
    with pytest.raises(TooManyAttempts):
        failures.check("192.0.2.1")
    clock.move(31.0)
    failures.check("192.0.2.1")


async def test_many_requests_with_one_password_cost_one_comparison(house: House) -> None:
    """uv sends fifty requests at once."""
    found = await asyncio.gather(*(house.ask(basic("alice", PASSWORD)) for _ in range(200)))
    assert set(found) == {"alice"}


async def test_very_many_different_ones_are_turned_away() -> None:
    house = House(failures_per_minute=0)
    asked = [house.ask(basic("alice", str(number)), peer=f"192.0.2.{number}") for number in range(80)]
    found = await asyncio.gather(*asked)
    assert found.count("too-many-attempts") == 80 - 64
    assert found.count("credentials-needed") == 64


LOOPBACK = Rules(is_open_on_loopback=True)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("authorization", [None, basic("any", "thing")])
async def test_a_fresh_store_takes_writes_from_this_machine(peer: str, authorization: str | None) -> None:
    house = House(LOOPBACK, is_fresh=True)
    assert await house.ask(authorization, UPLOAD, peer=peer) == "loopback"


@pytest.mark.parametrize("peer", [PEER, "", "localhost", "2001:db8::1", "10.0.0.1"])
async def test_it_takes_none_from_elsewhere(peer: str) -> None:
    house = House(LOOPBACK, is_fresh=True)
    assert await house.ask(None, UPLOAD, peer=peer) == "credentials-needed"


async def test_it_takes_none_on_behalf_of_others() -> None:
    """A web site in somebody's browser, or a proxy on this machine whose clients are elsewhere."""
    house = House(LOOPBACK, is_fresh=True)
    for header in (
        *("origin", "forwarded", "via", "x_real_ip", "x_client_ip", "cf_connecting_ip"),
        *("x_forwarded_for", "x_forwarded_proto", "x_forwarded_host", "x_forwarded_prefix"),
    ):
        assert await house.ask(None, UPLOAD, peer="127.0.0.1", **{header: "x"}) == "credentials-needed"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_it_takes_none_that_a_browser_sends_for_another_site(site: str) -> None:
    """Sec-Fetch-Site says so also where there is no Origin (W3C Fetch Metadata Request Headers, 2.4)."""
    house = House(LOOPBACK, is_fresh=True)
    assert await house.ask(None, UPLOAD, peer="127.0.0.1", sec_fetch_site=site) == "credentials-needed"


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_it_takes_what_a_person_does_in_a_browser_of_this_machine(site: str) -> None:
    """From our own pages, or typed into the address bar: no other site has a part in it."""
    house = House(LOOPBACK, is_fresh=True)
    assert await house.ask(None, UPLOAD, peer="127.0.0.1", sec_fetch_site=site) == "loopback"


async def test_it_makes_no_administrators() -> None:
    """Whoever gets in by it may do what there is to do with an index; a token would outlast it."""
    house = House(LOOPBACK, is_fresh=True)
    for action in set(Action) - {Action.READ}:
        assert await house.ask(None, action, peer="127.0.0.1") == "loopback"
    assert not LOOPBACK.administers(VISITOR)


async def test_it_takes_none_with_a_token_that_it_does_not_know() -> None:
    house = House(LOOPBACK, is_fresh=True)
    assert await house.ask(f"Bearer {TEXT}", UPLOAD, peer="127.0.0.1") == "wrong-credentials"


async def test_reading_is_not_open_with_it() -> None:
    house = House(LOOPBACK, is_fresh=True)
    assert await house.ask(None, READ, peer="127.0.0.1") == "credentials-needed"


async def test_the_first_account_ends_it() -> None:
    house = House(LOOPBACK, is_fresh=True)
    house.add_token(user=None)
    assert await house.ask(None, UPLOAD, peer="127.0.0.1") == "credentials-needed"
    assert await House(LOOPBACK).ask(None, UPLOAD, peer="127.0.0.1") == "credentials-needed"
    assert await House(Rules(), is_fresh=True).ask(None, UPLOAD, peer="127.0.0.1") == "credentials-needed"


async def test_who_is_refused_to_read_is_in_the_audit_log(house: House) -> None:
    """Not who has not yet said who they are: clients begin so. Refused writes are told by those who know of what."""
    house.add_token(Scope(indexes=("other",), actions=frozenset({READ})))
    for authorization in (None, basic("alice", "wrong"), f"Bearer {TEXT}"):
        await house.ask(authorization)
        await house.ask(authorization, UPLOAD)
    await house.doorkeeper.settle()
    found = [(entry.visitor, entry.action, entry.index, entry.project, entry.outcome) for entry in house.audit.entries]
    assert found == [
        ("", "read", "closed", "acme-app", "credentials-needed"),
        ("alice", "read", "closed", "acme-app", "not-permitted"),
    ]
    assert {entry.peer for entry in house.audit.entries} == {PEER}
    assert house.audit.entries[0].time == "2026-11-01T00:00:00.000000Z", "as of uploads"


async def test_no_secret_is_said(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Tokens and passwords appear in no log and in no error."""
    caplog.set_level(logging.DEBUG)
    house.add_token(revoked_at=2.0)
    said = []
    for authorization in (basic("__token__", TEXT), basic("alice", "hunter2!"), f"Bearer {TEXT}", basic(TEXT, "")):
        for action in (READ, UPLOAD):
            try:
                await house.doorkeeper.admit({"authorization": authorization}, PEER, action, "closed", APP)
            except (CredentialsNeeded, WrongCredentials) as refusal:
                said.append(f"{refusal} {refusal!r} {vars(refusal)}")
    assert len(said) == 8
    text = caplog.text + "".join(said)
    assert "wrong credentials from 192.0.2.7" in text
    for secret in (TEXT, TEXT.partition(".")[2], "hunter2!", b64encode(TEXT.encode()).decode()[:20]):
        assert secret not in text
