"""How fast an upstream may be asked: what the configuration says, and what counts where it says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.config.access import POLITE_AT_ONCE, POLITE_PER_SECOND, fetch_options, file_host_options
from pypim.config.load import load_text
from pypim.core.errors import InvalidConfig
from pypim.wiring_fetching import Paces

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.config.model import Upstream


def upstream(folder: Path, keys: str, url: str = "https://index.example/simple/") -> Upstream:
    config = load_text(f'[upstreams.up]\nurl = "{url}"\n{keys}\n[indexes.main]\n', folder / "pypim.toml")
    return config.upstreams["up"]


@pytest.mark.parametrize(
    ("url", "is_bound"),
    [
        ("https://index.example/simple/", True),
        ("http://192.0.2.7/simple/", True),
        ("http://127.0.0.1:8080/simple/", False),
        ("http://127.8.8.8/simple/", False),
        ("http://[::1]:8080/simple/", False),
        ("http://localhost:8080/simple/", False),
        ("file:///srv/index/simple/", False),
    ],
)
def test_who_says_nothing_is_polite_to_every_host_but_this_one(url: str, is_bound: bool, tmp_path: Path) -> None:
    options = fetch_options(upstream(tmp_path, "", url), {})
    assert options.requests_per_second == (POLITE_PER_SECOND if is_bound else None)
    assert options.most_requests_saved == POLITE_AT_ONCE


def test_who_says_a_rate_has_that_rate_and_saves_nothing(tmp_path: Path) -> None:
    options = fetch_options(upstream(tmp_path, "requests-per-second = 20"), {})
    assert (options.requests_per_second, options.most_requests_saved) == (20.0, 1.0)
    assert fetch_options(upstream(tmp_path, "requests-per-second = 0"), {}).requests_per_second is None


@pytest.mark.parametrize(
    ("text", "size"), [('"10 MB"', 10_000_000), ('"10 MB/s"', 10_000_000), ('"1 MiB / s"', None), ("5000", 5000)]
)
def test_a_rate_is_a_size_per_second(text: str, size: int | None, tmp_path: Path) -> None:
    if size is None:
        with pytest.raises(InvalidConfig, match=r"max-rate"):
            upstream(tmp_path, f"max-rate = {text}")
    else:
        assert fetch_options(upstream(tmp_path, f"max-rate = {text}"), {}).bytes_per_second == size


def test_a_rate_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="at this rate nothing ever comes"):
        upstream(tmp_path, "max-rate = 0")


def test_file_hosts_end_with_a_slash_and_are_named_once(tmp_path: Path) -> None:
    texts = '["https://a.example", "https://a.example/", "http://b.example/pypi/packages/", "http://b.example:81/x"]'
    assert upstream(tmp_path, f"file-hosts = {texts}").file_hosts == (
        "https://a.example/",
        "http://b.example/pypi/",
        "http://b.example:81/x/",
    )


def test_file_hosts_are_told_nothing_of_who_we_are(tmp_path: Path) -> None:
    keys = 'username = "me"\npassword = "secret"\nheaders = {X-Team = "build"}\nretries = 7\nmax-rate = "1 MB"'
    options = file_host_options(fetch_options(upstream(tmp_path, keys), {}))
    assert (options.username, options.password, options.headers, options.retries) == (None, None, {}, 0)
    assert options.bytes_per_second == 1_000_000


def test_all_workers_of_a_server_keep_one_rate_together(tmp_path: Path) -> None:
    """Each has its share; and all proxies of one upstream in a worker share that."""
    one = upstream(tmp_path, 'max-rate = "8 MB"')
    paces, options = Paces(4), fetch_options(one, {})
    assert paces.pace(one, options) is paces.pace(one, options)
    assert paces.pace(one, options) is not paces.pace(msgspec.structs.replace(one, name="other"), options)
    assert paces.pace(one, options).bounds_bytes
