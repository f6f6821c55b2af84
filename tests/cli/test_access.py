"""`pypim user` and `pypim token`: what they write, what they say, and what they never say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pypim.core.access import Action, Scope
from pypim.core.tokens import split_token
from pypim.store.catalog import Catalog
from pypim.store.lock import StoreLock
from pypim.web.passwords import is_password
from tests.clients.clients import clean_environ

CONFIGURATION = """
[indexes.internal]
kind = "hosted"
[indexes.other]
kind = "hosted"
[access.groups]
team = ["alice"]
"""
PASSWORD = "correct horse battery"


class Place:
    """A folder with a configuration, and the program run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "data"
        (folder / "pypim.toml").write_text(CONFIGURATION)

    def run(self, *arguments: str, status: int = 0, text: str = "") -> subprocess.CompletedProcess[str]:
        found = subprocess.run(
            [sys.executable, "-m", "pypim", *arguments],
            cwd=self.folder,
            env={**clean_environ(str(self.folder)), "COLUMNS": "200"},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert found.returncode == status, (found.stdout, found.stderr)
        return found

    def add(self, name: str = "alice") -> None:
        self.run("user", "add", name, "--password-stdin", text=PASSWORD + "\n")

    def create(self, *arguments: str) -> str:
        """The text of a new token; nothing else stands on standard output."""
        [text] = self.run("token", "create", *arguments).stdout.split()
        assert split_token(text)
        return text

    def everything_written(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_user_is_added_with_a_slow_hash(place: Place) -> None:
    place.add()
    with Catalog.open(place.store / "catalog.sqlite", writable=False) as catalog:
        user = catalog.accounts.user("alice")
    assert user is not None
    assert user.password_hash.startswith("$argon2id$")
    assert is_password(user.password_hash, PASSWORD)
    listed = place.run("user", "list").stdout
    assert "alice" in listed
    assert "team" in listed
    assert PASSWORD.encode() not in place.everything_written()


def test_a_user_is_added_once(place: Place) -> None:
    place.add()
    found = place.run("user", "add", "alice", "--password-stdin", text=PASSWORD, status=5)
    assert "pypim user password alice" in found.stderr


@pytest.mark.parametrize(
    ("password", "reason"),
    [("", "shorter than 8"), ("1234567", "shorter than 8"), ("pypim-secret", "cannot begin"), ("x" * 1025, "longer")],
)
def test_a_password_that_cannot_be_is_refused(place: Place, password: str, reason: str) -> None:
    found = place.run("user", "add", "alice", "--password-stdin", text=password + "\n", status=2)
    assert reason in found.stderr
    assert "no users" in place.run("user", "list").stdout


def test_names_are_checked(place: Place) -> None:
    for name in ("anyone", "a b", "team", "__token__"):
        place.run("user", "add", name, "--password-stdin", text=PASSWORD, status=2)


def test_a_password_is_no_argument(place: Place) -> None:
    """What stands in arguments can be read by everybody on the machine."""
    found = place.run("user", "add", "alice", status=2)
    assert "--password-stdin" in found.stderr
    place.run("user", "add", "alice", PASSWORD, status=2)


def test_a_password_is_changed(place: Place) -> None:
    place.add()
    place.run("user", "password", "alice", "--password-stdin", text="another password\n")
    with Catalog.open(place.store / "catalog.sqlite", writable=False) as catalog:
        user = catalog.accounts.user("alice")
    assert user is not None
    assert is_password(user.password_hash, "another password")
    place.run("user", "password", "bob", "--password-stdin", text=PASSWORD, status=3)


def test_on_a_terminal_it_is_asked_for_twice_and_not_shown(place: Place) -> None:
    """With a real terminal between."""
    import pty

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "pypim", "user", "add", "alice"]
    environment = clean_environ(str(place.folder))
    started = subprocess.Popen(command, cwd=place.folder, env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    for question in (b"Password: ", b"confirmation: "):
        while question not in shown:
            shown += os.read(master, 1000)
        time.sleep(0.1)  # getpass empties what was typed before it switched the echo off
        os.write(master, PASSWORD.encode() + b"\n")
    assert started.wait(30) == 0
    shown += os.read(master, 1000)
    os.close(master)
    assert b"added user alice" in shown
    assert PASSWORD.encode() not in shown


def test_a_user_is_removed_with_all_tokens(place: Place) -> None:
    place.add()
    place.create("--user", "alice", "--may", "read")
    assert "1 token" in place.run("user", "remove", "alice").stdout
    assert "no tokens" in place.run("token", "list", "--all").stdout
    place.run("user", "remove", "alice", status=3)


def test_a_token_is_shown_once_and_kept_as_a_hash(place: Place) -> None:
    place.add()
    before = time.time()
    text = place.create(
        "--user", "alice", "--index", "internal", "--project", "Acme_*", "--may", "read", "--may", "upload",
        "--expires", "90 days", "--label", "of the laptop",
    )  # fmt: skip
    token_id, secret_sha256 = split_token(text) or ("", "")
    with Catalog.open(place.store / "catalog.sqlite", writable=False) as catalog:
        token = catalog.accounts.token(token_id)
    assert token is not None
    assert token.secret_sha256 == secret_sha256
    assert token.scope == Scope(
        indexes=("internal",), projects=("Acme_*",), actions=frozenset({Action.READ, Action.UPLOAD})
    )
    assert token.expires_at is not None
    assert 0 <= token.expires_at - 90 * 86400 - before < 60
    secret = text.partition(".")[2]
    said = place.run("token", "list", "--all", "--json").stdout + place.run("token", "list").stdout
    assert token_id in said
    assert secret not in said
    assert secret.encode() not in place.everything_written()


def test_with_json_it_is_in_the_document(place: Place) -> None:
    import json

    document: dict[str, Any] = json.loads(place.run("token", "create", "--may", "read", "--json").stdout)
    assert document["kept"]["id"] == (split_token(document["token"]) or ("",))[0]
    assert document["kept"]["user"] is None
    assert document["kept"]["expires_at"] is None
    assert document["kept"]["indexes"] == ["*"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--may", "read", "--user", "bob"), 3, "pypim user add bob"),
        (("--may", "read", "--index", "nowhere"), 2, "internal"),
        (("--may", "read", "--project", "acme>=1"), 2, "not to releases"),
        (("--may", "read", "--expires", "soon"), 2, "not a duration"),
        (("--may", "write"), 2, "read"),
        ((), 2, "--may"),
    ],
)
def test_a_token_that_cannot_be_is_refused(place: Place, arguments: tuple[str, ...], status: int, said: str) -> None:
    found = place.run("token", "create", *arguments, status=status)
    assert said in found.stderr
    assert found.stdout == ""
    assert "no tokens" in place.run("token", "list", "--all").stdout


def test_a_token_is_revoked(place: Place) -> None:
    token_id = (split_token(place.create("--may", "read")) or ("",))[0]
    place.run("token", "revoke", token_id)
    assert "no tokens" in place.run("token", "list").stdout
    assert "revoked" in place.run("token", "list", "--all").stdout
    place.run("token", "revoke", "0" * 12, status=3)
    other = place.create("--may", "read")
    assert split_token(other)
    revoked = place.run("token", "revoke", other).stdout
    assert other.partition(".")[2] not in revoked


def test_the_audit_log_has_every_change_and_no_secret(place: Place) -> None:
    place.add()
    place.run("user", "password", "alice", "--password-stdin", text="another " + PASSWORD + "\n")
    token = place.create("--may", "read")
    token_id, secret = split_token(token) or ("", "")
    place.run("token", "revoke", token_id)
    place.run("user", "remove", "alice")
    place.run("user", "remove", "alice", status=3)
    text = (place.store / "audit.jsonl").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    deeds = ["add-user", "set-password", "create-token", "revoke-token", "remove-user"]
    assert [entry["action"] for entry in entries] == deeds
    assert {entry["outcome"] for entry in entries} == {"done"}
    assert all(entry["peer"].startswith("local") for entry in entries)
    assert all(entry["time"].endswith("Z") for entry in entries), "as the server writes it"
    assert entries[2]["reason"] == entries[3]["reason"] == f"token {token_id}"
    assert secret not in text
    assert PASSWORD not in text


def test_a_run_that_holds_the_store_is_not_in_the_way(place: Place) -> None:
    """A sync may take hours; a token is made meanwhile."""
    place.add()
    with StoreLock(place.store):
        place.create("--user", "alice", "--may", "read")
        assert "alice" in place.run("user", "list").stdout


def test_listing_makes_no_store(place: Place) -> None:
    place.run("user", "list")
    place.run("token", "list")
    assert not place.store.exists()
