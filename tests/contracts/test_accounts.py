"""The contract of Accounts, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.access import Action, Scope
from pypim.core.errors import Conflict, NotFound
from pypim.core.tokens import Token, User
from pypim.store.catalog import Catalog
from pypim.store.memory_access import MemoryAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Accounts

ALICE = User(name="alice", password_hash="$argon2id$…", created_at=1.0, changed_at=1.0)
TOKEN = Token(
    id="0123456789ab",
    secret_sha256="a" * 64,
    label="of the build",
    scope=Scope(indexes=("main",), projects=("acme-*",), actions=frozenset({Action.READ, Action.UPLOAD})),
    created_at=5.5,
    expires_at=99.0,
)
DAY = 86400.0


def token(token_id: str, **changes: object) -> Token:
    return msgspec.structs.replace(TOKEN, id=token_id, **changes)


@pytest.fixture(params=["catalog", "memory"])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Accounts]:
    if request.param == "memory":
        yield MemoryAccounts()
        return
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        yield catalog.accounts


def test_nobody_is_there_at_first(accounts: Accounts) -> None:
    assert accounts.is_empty()
    assert (accounts.users(), accounts.tokens()) == ([], [])
    assert (accounts.user("alice"), accounts.token(TOKEN.id)) == (None, None)
    assert not accounts.remove_user("alice")
    assert not accounts.revoke_token(TOKEN.id, 1.0)
    accounts.note_use(TOKEN.id, 1.0)
    assert accounts.is_empty()


def test_a_user_comes_back_as_it_was_kept(accounts: Accounts) -> None:
    accounts.keep_user(msgspec.structs.replace(ALICE, name="bob"))
    accounts.keep_user(ALICE)
    assert accounts.user("alice") == ALICE
    assert [user.name for user in accounts.users()] == ["alice", "bob"]
    assert not accounts.is_empty()


def test_a_new_password_replaces_the_old_one_and_keeps_the_tokens(accounts: Accounts) -> None:
    accounts.keep_user(ALICE)
    accounts.keep_token(token("a", user="alice"))
    changed = msgspec.structs.replace(ALICE, password_hash="$argon2id$other", created_at=7.0, changed_at=7.0)
    accounts.keep_user(changed)
    assert accounts.user("alice") == msgspec.structs.replace(changed, created_at=1.0)
    assert len(accounts.tokens()) == 1


def test_a_token_comes_back_as_it_was_kept(accounts: Accounts) -> None:
    accounts.keep_token(TOKEN)
    accounts.keep_token(token("ff", created_at=1.0, scope=Scope(actions=frozenset()), expires_at=None))
    assert accounts.token(TOKEN.id) == TOKEN
    assert [one.id for one in accounts.tokens()] == ["ff", TOKEN.id]
    assert not accounts.is_empty()


def test_a_token_belongs_to_a_user_who_is_there(accounts: Accounts) -> None:
    with pytest.raises(NotFound, match="no user 'alice'"):
        accounts.keep_token(token("a", user="alice"))
    assert accounts.is_empty()


def test_with_a_user_go_the_tokens(accounts: Accounts) -> None:
    accounts.keep_user(ALICE)
    accounts.keep_token(token("a", user="alice"))
    accounts.keep_token(token("b"))
    assert accounts.remove_user("alice")
    assert [one.id for one in accounts.tokens()] == ["b"]


def test_a_revoked_token_stays_so_from_the_first_time(accounts: Accounts) -> None:
    accounts.keep_token(TOKEN)
    assert accounts.revoke_token(TOKEN.id, 7.0)
    assert accounts.revoke_token(TOKEN.id, 8.0)
    found = accounts.token(TOKEN.id)
    assert found == token(TOKEN.id, revoked_at=7.0)
    assert not found.is_valid(7.0)


def test_the_last_use_is_the_latest(accounts: Accounts) -> None:
    accounts.keep_token(TOKEN)
    for at in (7.0, 6.0):
        accounts.note_use(TOKEN.id, at)
    assert accounts.token(TOKEN.id) == token(TOKEN.id, used_at=7.0)


def test_a_proof_counts_once_and_is_remembered_for_a_month(accounts: Accounts) -> None:
    accounts.keep_token(token("a", proof="b" * 64))
    with pytest.raises(Conflict, match="used before"):
        accounts.keep_token(token("b", proof="b" * 64))
    accounts.keep_token(token("c", proof="c" * 64, created_at=20 * DAY, expires_at=20 * DAY))
    accounts.keep_token(token("d", created_at=40 * DAY, expires_at=None))
    assert [one.id for one in accounts.tokens()] == ["c", "d"]


def test_what_is_kept_is_there_for_others_at_once(tmp_path: Path) -> None:
    """A running server sees what the command line does."""
    path = tmp_path / "catalog.sqlite"
    Catalog.open(path).close()
    with Catalog.open(path, writable=False) as server, Catalog.open(path) as command:
        assert server.accounts.is_empty()
        command.accounts.keep_user(ALICE)
        command.accounts.keep_token(token("a", user="alice"))
        assert server.accounts.token("a") is not None
        command.accounts.remove_user("alice")
        assert server.accounts.is_empty()
