"""`[server]`, `[access]` and the indexes that only a server has: what they mean, and every fault at its line."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from packaging.utils import NormalizedName

from pypim.config.check import faults_beyond, server_faults
from pypim.config.kinds import SERVER_PATHS
from pypim.config.load import load_text
from pypim.config.model import Config, GroupIndex, HostedIndex, Overwrite, ProxyIndex, Read
from pypim.config.show import shown, shown_as_toml
from pypim.core.access import Action
from pypim.core.errors import InvalidConfig
from pypim.core.faults import ConfigFault
from pypim.core.patterns import ProjectPatterns

_WHOLE = """
[upstreams.main]
url = "https://index.example/simple/"

[indexes.chosen]
kind = "mirror"
read = "anyone"
[indexes.cache]
kind = "proxy"
upstream = "main"
max-age = "30 minutes"
stale-while-revalidate = "0 seconds"
stale-if-error = "P7D"
negative-max-age = "10 s"
max-size = "50 GB"
pinned = ["NumPy>=2", "acme.*"]
offline = true
metadata = false
read = "anyone"
[indexes.cache.filters]
exclude = ["torch>=3"]
min-age = "3 days"
[indexes.private]
kind = "hosted"
overwrite = "development"
create = ["ada", "packagers"]
reserve = ["acme-*"]
max-file-size = "100 MB"
max-project-size = 5000
local-versions = false
platform-tags = ["any", "manylinux_*"]
[indexes.inner]
kind = "group"
members = ["cache", "chosen"]
read = "anyone"
[indexes.all]
kind = "group"
members = ["private", "inner"]
merge = ["torch"]

[server]
host = "0.0.0.0"
port = 0
workers = 3
default-index = "all"
root-path = "/pypi/"
trusted-proxies = ["10.0.0.0/8", "::1"]
tls-certificate = "server.pem"
tls-key = "server.key"
unix-socket = "run/pypim.sock"
accelerated = "/held"
max-upload-size = "2 GiB"
request-timeout = 5
header-timeout = 2.5
backlog = 64
audit-log = "audit.jsonl"

[access]
open-on-loopback = true
read = "authenticated"
failures-per-minute = 3
[access.groups]
packagers = ["ada", "grace"]
[[access.rights]]
who = "packagers"
index = ["private"]
projects = ["acme-*", "widgets"]
may = ["upload", "yank"]
[[access.rights]]
who = ["anyone"]
may = ["read"]
[access.publishers.widgets]
issuer = "https://ci.example"
audience = "acme"
claims = { repository = "acme/widgets", ref = ["refs/heads/main", "refs/tags/v1"] }
index = "private"
projects = "widgets"
"""


@pytest.fixture(scope="module")
def whole() -> Config:
    return load_text(_WHOLE, Path("/srv/pypim.toml"))


def _means(patterns: ProjectPatterns, name: str) -> bool:
    return bool(patterns.about(NormalizedName(name)))


def test_a_proxy_has_its_times_in_seconds_and_its_size_in_bytes(whole: Config) -> None:
    cache = whole.indexes["cache"]
    assert isinstance(cache, ProxyIndex)
    assert cache.upstream.url == "https://index.example/simple/"
    ages = (cache.max_age_seconds, cache.stale_while_revalidate_seconds, cache.stale_if_error_seconds)
    assert (*ages, cache.negative_max_age_seconds) == (1800.0, 0.0, 7 * 86400.0, 10.0)
    assert cache.max_size_bytes == 50 * 10**9
    assert (cache.is_offline, cache.computes_metadata) == (True, False)
    assert (cache.filters.exclude, cache.filters.min_age) == (("torch>=3",), "3 days")
    assert _means(cache.pinned, "numpy")
    assert _means(cache.pinned, "acme-tools")
    assert not _means(cache.pinned, "scipy")


def test_a_hosted_index(whole: Config) -> None:
    private = whole.indexes["private"]
    assert isinstance(private, HostedIndex)
    assert (private.overwrite, private.takes_local_versions) == (Overwrite.DEVELOPMENT, False)
    assert private.creators == frozenset({"ada", "packagers"})
    assert (private.max_file_size_bytes, private.max_project_size_bytes) == (10**8, 5000)
    assert private.platform_tags.first_match(("manylinux_2_28_x86_64",)) == "manylinux_*"
    assert private.platform_tags.first_match(("win_amd64",)) is None
    assert _means(private.reserved, "acme-tools")


def test_what_is_left_out_of_the_kinds_has_the_documented_default() -> None:
    text = (
        '[indexes.p]\nkind = "proxy"\n[indexes.h]\nkind = "hosted"\ncreate = "nobody"\n[indexes.g]\nkind = "hosted"\n'
    )
    config = load_text(text, Path("pypim.toml"))
    cache, closed, private = config.indexes.values()
    assert isinstance(cache, ProxyIndex)
    assert isinstance(closed, HostedIndex)
    assert isinstance(private, HostedIndex)
    ages = (cache.max_age_seconds, cache.stale_while_revalidate_seconds, cache.stale_if_error_seconds)
    assert (*ages, cache.negative_max_age_seconds) == (600.0, 300.0, 86400.0, 60.0)
    assert (cache.max_size_bytes, cache.is_offline, cache.computes_metadata) == (None, False, True)
    assert cache.upstream.name == "pypi"
    assert not _means(cache.pinned, "numpy")
    assert (closed.creators, private.creators) == (frozenset(), None)
    assert (private.overwrite, private.takes_local_versions) == (Overwrite.NEVER, True)
    assert (private.max_file_size_bytes, private.max_project_size_bytes) == (None, None)
    assert not private.platform_tags
    assert not private.reserved
    assert config.server.default_index is None
    assert config.access.rules.open_indexes == {"p", "h", "g"}


def test_a_group_asks_for_credentials_where_a_member_does(whole: Config) -> None:
    """What is closed by itself is not opened by being a member of something."""
    group, inner = whole.indexes["all"], whole.indexes["inner"]
    assert isinstance(group, GroupIndex)
    assert group.members == ("private", "inner")
    assert _means(group.merged, "torch")
    assert (group.read, inner.read, whole.indexes["private"].read) == (
        Read.AUTHENTICATED,
        Read.ANYONE,
        Read.AUTHENTICATED,
    )
    assert whole.access.rules.open_indexes == {"chosen", "cache", "inner"}


def test_a_group_is_closed_by_a_member_of_a_member() -> None:
    text = """
[indexes.outer]
kind = "group"
members = ["inner"]
[indexes.inner]
kind = "group"
members = ["private"]
[indexes.private]
kind = "hosted"
read = "authenticated"
"""
    config = load_text(text, Path("pypim.toml"))
    assert {index.read for index in config.indexes.values()} == {Read.AUTHENTICATED}
    assert list(config.indexes) == ["outer", "inner", "private"], "in the order of the file"
    with pytest.raises(InvalidConfig, match="anyone would read private here") as caught:
        load_text(text.replace('["inner"]', '["inner"]\nread = "anyone"'), Path("pypim.toml"))
    assert [fault.line for fault in caught.value.faults] == [5]


def test_the_server_has_absolute_paths_and_bytes(whole: Config) -> None:
    server = whole.server
    assert (server.host, server.port, server.workers, server.backlog) == ("0.0.0.0", 0, 3, 64)
    assert (server.default_index, server.root_path, server.accelerated) == ("all", "/pypi", "/held")
    assert server.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert (server.tls_certificate, server.tls_key) == (Path("/srv/server.pem"), Path("/srv/server.key"))
    assert (server.unix_socket, server.audit_log) == (Path("/srv/run/pypim.sock"), Path("/srv/audit.jsonl"))
    assert server.max_upload_size_bytes == 2 * 1024**3
    assert (server.request_timeout, server.header_timeout) == (5.0, 2.5)


def test_who_may_do_what(whole: Config) -> None:
    access = whole.access
    assert (access.rules.is_open_on_loopback, access.rules.failures_per_minute) == (True, 3)
    assert access.rules.groups == {"packagers": ("ada", "grace")}
    packagers, anyone = access.rules.rights
    assert (packagers.who, packagers.scope.indexes) == (("packagers",), ("private",))
    assert packagers.scope.actions == {Action.UPLOAD, Action.YANK}
    assert packagers.scope.covers(Action.UPLOAD, "private", NormalizedName("acme-tools"))
    assert not packagers.scope.covers(Action.UPLOAD, "private", NormalizedName("other"))
    assert (anyone.scope.indexes, anyone.scope.projects) == (("*",), ("*",))
    publisher = access.publishers["widgets"]
    assert (publisher.name, publisher.issuer, publisher.audience) == ("widgets", "https://ci.example", "acme")
    assert publisher.claims == {
        "repository": frozenset({"acme/widgets"}),
        "ref": frozenset({"refs/heads/main", "refs/tags/v1"}),
    }
    assert publisher.scope.actions == {Action.UPLOAD}
    assert publisher.scope.covers(Action.UPLOAD, "private", NormalizedName("widgets"))


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("", None),
        ("[indexes.a]\n", "a"),
        ("[indexes.a]\n[indexes.b]\n", None),
        ('[indexes.a]\n[indexes.b]\nkind = "group"\nmembers = ["a"]\n', "b"),
        (
            '[indexes.a]\n[indexes.b]\nkind = "group"\nmembers = ["a"]\n[indexes.c]\nkind = "group"\nmembers = ["a"]\n',
            None,
        ),
        ('[indexes.a]\n[indexes.b]\n[server]\ndefault-index = "b"\n', "b"),
    ],
)
def test_the_default_index_is_the_only_one_or_the_only_group(text: str, default: str | None) -> None:
    assert load_text(text, Path("pypim.toml")).server.default_index == default


_FAULTY = """\
[indexes.cache]
kind = "proxy"
publish = "public"
max-age = "soon"
max-size = "big"
pinned = ["numpy>=2", "num/py", "torch=>2"]
maxage = "1 day"
read = "everyone"
[indexes.cache.filters]
formats = ["wheels"]
[indexes.private]
kind = "hosted"
upstream = "pypi"
overwrite = "always"
create = ["ada", "nobody"]
reserve = ["acme>1"]
max-file-size = "1 XB"
[indexes.a]
kind = "group"
members = ["b", "a", "privat", "cache", "cache"]
filters = { exclude = ["torch"] }
[indexes.b]
kind = "group"
members = ["a"]
merge = ["torch==2"]
[indexes.empty]
kind = "group"
[indexes.Simple]
[indexes.main]
members = ["cache"]
[indexes.odd]
kind = "cash"
publish = "public"
max-age = "1 day"
[indexes.typed]
kind = 3

[server]
port = 65536
workers = 0
default-index = "mian"
root-path = "pypi"
accelerated = "/held/../x"
trusted-proxies = ["10.0.0.1/8", "gateway"]
tls-key = "server.key"
max-upload-size = "much"
request-timeout = "1 minute"
hots = "::"
[access]
read = "nobody"
failures-per-minute = 0
[access.groups]
anyone = ["ada"]
packagers = ["testers", "Authenticated"]
testers = []
[[access.rights]]
index = "mian"
projects = "acme>1"
[[access.rights]]
who = "anyone"
may = ["read", "upload"]
[[access.rights]]
who = ["ada", "__token__", "authenticated"]
may = ["publish"]
[access.publishers.widgets]
issuer = "http://ci.example"
index = "cache"
[access.publishers.tools]
issuer = "ci.example"
index = "private"
projects = "*"
claims = { repository = [] }
[access.publishers.none]
"""

_EXPECTED = [
    (3, 'an index of kind "proxy" has no \'publish\', which is a key of kind "mirror"'),
    (4, "'soon': this is not a duration"),
    (5, "'big': this is not a size"),
    (6, "'torch=>2': '=>2' is not a specifier"),
    (6, "'num/py': this is no name, glob or requirement"),
    (7, "unknown key 'maxage', did you mean 'max-age'?"),
    (8, "'everyone' is none of 'anyone', 'authenticated'"),
    (10, "'wheels': there is no such format"),
    (13, 'an index of kind "hosted" has no \'upstream\', which is a key of kind "mirror" or "proxy"'),
    (14, "'always' is none of 'never', 'development'"),
    (15, "'nobody' means something else, so nobody has that name"),
    (16, "'acme>1': versions have no meaning here"),
    (17, "'1 XB': this is not a size"),
    (20, "a group cannot hold itself: a holds b holds a"),
    (20, "a group cannot hold itself: a holds a"),
    (20, "unknown index 'privat', did you mean 'private'?"),
    (20, "cache is named twice"),
    (21, 'an index of kind "group" has no \'filters\', which is a key of kind "mirror" or "proxy"'),
    (24, "a group cannot hold itself: b holds a holds b"),
    (25, "'torch==2': versions have no meaning here"),
    (26, "a group needs members"),
    (28, "/Simple/ is a path of the server itself"),
    (30, 'an index of kind "mirror" has no \'members\', which is a key of kind "group"'),
    (32, "unknown kind 'cash' (known: group, hosted, mirror, proxy)"),
    (36, 'expected a string, found an integer: write it as "3"'),
    (39, "expected an integer <= 65535"),
    (40, "expected an integer >= 1"),
    (41, "unknown index 'mian', did you mean 'main'?"),
    (42, "'pypi' is no path of a URL"),
    (43, "'/held/../x' is no path of a URL"),
    (44, "10.0.0.1/8 has host bits set"),
    (44, "'gateway' does not appear to be an IPv4 or IPv6 network"),
    (45, "a key needs a tls-certificate"),
    (46, "'much': this is not a size"),
    (47, "expected a number, found a string"),
    (48, "unknown key 'hots', did you mean 'host'?"),
    (50, "'nobody' is none of 'anyone', 'authenticated'"),
    (51, "expected an integer >= 1"),
    (53, "'anyone' means something else"),
    (54, "'testers' is a group, and groups hold users only"),
    (54, "'Authenticated' means something else"),
    (56, "this right is for nobody"),
    (56, "this right allows nothing"),
    (57, "unknown index 'mian', did you mean 'main'?"),
    (58, "'acme>1': versions have no meaning here"),
    (61, '"anyone" may only read'),
    (63, "'__token__' means something else"),
    (64, "'publish' is none of 'read', 'upload', 'yank', 'delete', 'admin'"),
    (65, "without claims every build that the issuer knows could upload"),
    (65, "it is not said what it uploads"),
    (66, "its keys would not come by TLS"),
    (67, "unknown hosted index 'cache'"),
    (69, "'ci.example' is no URL of an issuer"),
    (72, "an empty list allows nothing"),
    (73, "a publisher needs an issuer"),
    (73, "without claims"),
    (73, "it is not said where it uploads to. Name some of: private."),
    (73, "it is not said what it uploads"),
]


def test_every_fault_is_named_at_once_with_its_line() -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_text(_FAULTY, Path("pypim.toml"))
    found = [(fault.line or 0, fault.sentence) for fault in caught.value.faults]
    missing = [
        (line, part) for line, part in _EXPECTED if not any(line == at and part in sentence for at, sentence in found)
    ]
    more = [
        (at, sentence) for at, sentence in found if not any(line == at and part in sentence for line, part in _EXPECTED)
    ]
    assert (missing, more) == ([], [])


@pytest.mark.parametrize("name", sorted(SERVER_PATHS))
def test_no_index_takes_a_path_of_the_server(name: str) -> None:
    """What stands first in the path decides who answers."""
    with pytest.raises(InvalidConfig, match="is a path of the server itself"):
        load_text(f'[indexes."{name}"]\n', Path("pypim.toml"))


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("request-timeout = 1e308", "<= 86400"),
        ("request-timeout = 10000000", "<= 86400"),
        ("header-timeout = 1e300", "<= 86400"),
        ("backlog = 9999999999", "<= 65535"),
        ("workers = 100000", "<= 256"),
    ],
)
def test_no_number_is_larger_than_the_system_takes(line: str, limit: str) -> None:
    """Sockets count milliseconds and connections with 32 bits, and a process has so many files."""
    with pytest.raises(InvalidConfig, match=limit):
        load_text(f"[server]\n{line}\n", Path("pypim.toml"))


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(InvalidConfig, match=r"server\.tls-certificate: a certificate needs its key"):
        load_text('[server]\ntls-certificate = "server.pem"\n', Path("pypim.toml"))


def test_a_file_that_is_taken_can_arrive() -> None:
    text = '[indexes.a]\nkind = "hosted"\nmax-file-size = "2 GB"\n'
    with pytest.raises(
        InvalidConfig, match=r"no file so large arrives: server\.max-upload-size is 1,000,000,000 bytes"
    ):
        load_text(text, Path("pypim.toml"))
    load_text(f'{text}[server]\nmax-upload-size = "3 GB"\n', Path("pypim.toml"))


@pytest.mark.parametrize(
    "issuer", ["https://ci.example/path", "http://127.0.0.1:8081", "http://[::1]", "http://localhost"]
)
def test_an_issuer_answers_by_tls_or_from_this_machine(issuer: str) -> None:
    text = '[indexes.a]\nkind = "hosted"\n[access.publishers.b]\nclaims = { c = "d" }\nindex = "a"\nprojects = "*"\n'
    config = load_text(f'{text}issuer = "{issuer}"\n', Path("pypim.toml"))
    assert config.access.publishers["b"].issuer == issuer


def test_the_servers_files_are_looked_for_where_it_is_about_the_server(tmp_path: Path) -> None:
    (tmp_path / "server.key").touch()
    text = '[indexes.a]\n[server]\ntls-certificate = "server.pem"\ntls-key = "server.key"\n'
    config = load_text(text, tmp_path / "pypim.toml")

    def faults(*, is_serving: bool) -> list[ConfigFault]:
        return faults_beyond(config, {}, upstreams=[], indexes=["a"], is_serving=is_serving)

    assert faults(is_serving=False) == []
    (fault,) = faults(is_serving=True)
    assert (fault.line, fault.key) == (3, "server.tls-certificate")
    assert fault.message == f"{tmp_path / 'server.pem'}: no such file"


def test_a_server_needs_the_secrets_of_its_proxies_only(tmp_path: Path) -> None:
    upstreams = "".join(
        f'[upstreams.{name}]\nurl = "https://{name}.example/"\ntoken = "env:{name.upper()}"\n' for name in "abc"
    )
    indexes = (
        '[indexes.a]\nupstream = "a"\nrequirements = ["none.txt"]\n[indexes.b]\nkind = "proxy"\nupstream = "b"\n'
        '[indexes.c]\nkind = "proxy"\nupstream = "c"\noffline = true\n'
    )
    config = load_text(upstreams + indexes, tmp_path / "pypim.toml")
    assert [fault.key for fault in server_faults(config, {"HOME": str(tmp_path)})] == ["upstreams.b.token"]


def test_what_is_shown_can_be_loaded_again_and_is_the_same(whole: Config) -> None:
    again = load_text(shown_as_toml(whole), Path("/elsewhere/pypim.toml"))
    assert shown(again) == shown(whole)
    assert again.indexes == whole.indexes
    assert again.server == whole.server
    assert again.access == whole.access
