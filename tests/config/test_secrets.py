"""Secrets may be written as "env:NAME" or "file:PATH"; they are read when used and never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypim.config.access import fetch_options
from pypim.config.environment import netrc_path, user_config_folder
from pypim.config.load import load_text
from pypim.config.show import masked_url, shown, shown_as_toml
from pypim.core.errors import InvalidConfig

_TEXT = """\
[upstreams.internal]
url = "https://user:hidden-a@index.example/simple/"
username = "env:INDEX_USER"
password = "file:secret.txt"
token = "hidden-b"
proxy = "http://me:hidden-c@proxy.example:3128"
ca = "ca.pem"
headers = { X-Key = "hidden-d" }
contact = "ops@mirror.example"
retries = 1
[indexes.main]
"""


def test_references_are_resolved_when_the_upstream_is_used(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("from-file\n")
    (tmp_path / ".netrc").touch()
    config = load_text(_TEXT, tmp_path / "pypim.toml")
    options = fetch_options(config.upstreams["internal"], {"INDEX_USER": "from-env", "HOME": str(tmp_path)})
    assert (options.username, options.password, options.token) == ("from-env", "from-file", "hidden-b")
    assert options.headers == {"X-Key": "hidden-d"}
    assert options.ca_file == str(tmp_path / "ca.pem")
    assert options.netrc_file == str(tmp_path / ".netrc")
    assert options.retries == 1


def test_a_secret_that_cannot_be_had_is_named_with_its_line(tmp_path: Path) -> None:
    upstream = load_text(_TEXT, tmp_path / "pypim.toml").upstreams["internal"]
    with pytest.raises(InvalidConfig, match=r"pypim\.toml:3: upstreams\.internal\.username: .*INDEX_USER is not set"):
        fetch_options(upstream, {"HOME": str(tmp_path)})
    with pytest.raises(InvalidConfig, match=r"pypim\.toml:4: upstreams\.internal\.password: .*No such file"):
        fetch_options(upstream, {"INDEX_USER": "me", "HOME": str(tmp_path)})


def test_nothing_that_is_shown_holds_a_secret(tmp_path: Path) -> None:
    config = load_text(_TEXT, tmp_path / "pypim.toml")
    for text in (shown_as_toml(config), str(shown(config)), repr(config.upstreams["internal"].token)):
        assert "hidden" not in text
    assert shown(config)["upstreams"]["internal"]["password"] == "file:secret.txt"


@pytest.mark.parametrize(
    "line",
    [
        'url = "gopher://me:hidden@index.example/"',
        'url = "file://me:hidden@index.example/"',
        'url = "https://me:hidden@index.example:port/"',
        'url = "pypi"\nfile-hosts = ["https://me:hidden@mirror.example/"]',
    ],
)
def test_no_fault_of_an_address_shows_its_password(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_text(f"[upstreams.internal]\n{line}\n[indexes.main]\n", tmp_path / "pypim.toml")
    assert "hidden" not in str(caught.value)


def test_netrc_is_where_its_variable_says(tmp_path: Path) -> None:
    upstream = load_text("[indexes.main]\n", tmp_path / "pypim.toml").upstreams["pypi"]
    (tmp_path / "mine").touch()
    assert fetch_options(upstream, {"NETRC": str(tmp_path / "mine")}).netrc_file == str(tmp_path / "mine")
    assert fetch_options(upstream, {"HOME": str(tmp_path)}).netrc_file is None


def test_masking_leaves_other_urls_alone() -> None:
    assert masked_url("https://index.example/simple/") == "https://index.example/simple/"
    assert masked_url("https://me:x@index.example:81/s/") == "https://me:********@index.example:81/s/"
    assert masked_url("https://token@index.example/") == "https://********@index.example/", "tokens are sent as names"


@pytest.mark.skipif(os.name != "posix", reason="the rights of folders are those of POSIX here")
def test_a_home_that_is_not_ours_to_see_has_no_netrc(tmp_path: Path) -> None:
    """As of a service that runs with the HOME of another user."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").touch()
    home.chmod(0)
    before = os.geteuid()
    os.seteuid(before or 65534)
    try:
        assert netrc_path({"HOME": str(home)}) is None
    finally:
        os.seteuid(before)
        home.chmod(0o700)
    assert netrc_path({"HOME": str(home)}) == home / ".netrc"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be another user for a while")
def test_a_user_of_whom_nobody_has_heard_has_no_netrc(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is told to run as any number."""
    monkeypatch.delenv("HOME")
    os.setresuid(54321, -1, 0)
    try:
        assert netrc_path({}) is None
        assert user_config_folder({}) == Path("/.config/pypim")
    finally:
        os.setresuid(0, 0, 0)
