"""Files, secrets and proxies that a configuration refers to: their faults are in the one report, each at its place."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from pypim.config.access import fetch_options
from pypim.config.check import faults_beyond
from pypim.config.load import load_text
from pypim.config.model import Config
from pypim.config.proxies import proxy_faults
from pypim.core.errors import InvalidConfig
from pypim.core.faults import ConfigFault
from pypim.core.inputs import InputFile

_TEXT = """\
[upstreams.a]
url = "https://index.example/simple/"
username = "env:USER_A"
password = "file:password.txt"
ca = "ca.pem"

[upstreams.b]
url = "https://files.example/simple/"
token = "env:TOKEN_B"

[indexes.main]
upstream = "a"
requirements = ["good.txt", "missing.txt", "uv.lock[dev]"]
jbos = 3
"""


def _everything(config: Config) -> list[ConfigFault]:
    return faults_beyond(config, {}, upstreams=config.upstreams.values(), indexes=config.indexes.keys())


def test_every_fault_of_the_file_and_of_what_it_names_is_in_one_report(tmp_path: Path) -> None:
    """Every fault at once, each with its line; those of another file with its name and line."""
    (tmp_path / "good.txt").write_text("flask\n-r more.txt\n-r none.txt\n")
    (tmp_path / "more.txt").write_text("\ndjango>>5\n")
    with pytest.raises(InvalidConfig) as caught:
        load_text(_TEXT, tmp_path / "pypim.toml", look_beyond=_everything)
    config, good, more = str(tmp_path / "pypim.toml"), str(tmp_path / "good.txt"), str(tmp_path / "more.txt")
    assert [(fault.file, fault.line, fault.key) for fault in caught.value.faults] == [
        (config, 3, "upstreams.a.username"),
        (config, 4, "upstreams.a.password"),
        (config, 5, "upstreams.a.ca"),
        (config, 9, "upstreams.b.token"),
        (config, 13, "indexes.main.requirements[3]"),
        (config, 13, "indexes.main.requirements[2]"),
        (config, 14, "indexes.main.jbos"),
        (good, 3, ""),
        (more, 2, ""),
    ]
    by_key = {fault.key: fault for fault in caught.value.faults if fault.key}
    assert by_key["upstreams.a.ca"].message == f"{tmp_path / 'ca.pem'}: no such file"
    assert "missing.txt: No such file" in by_key["indexes.main.requirements[2]"].message
    assert by_key["upstreams.a.username"].remedy == "Set USER_A and try again."
    assert "none.txt cannot be read: No such file or directory. Paths are relative" in caught.value.message
    assert f"{config}:5: upstreams.a.ca: " in caught.value.message


def test_only_what_is_needed_is_looked_at(tmp_path: Path) -> None:
    text = _TEXT.replace("jbos = 3\n", "").replace(', "uv.lock[dev]"', "").replace(', "missing.txt"', "")
    (tmp_path / "good.txt").write_text("flask\n")
    config = load_text(text, tmp_path / "pypim.toml")
    needed = partial(faults_beyond, config, {"TOKEN_B": "x", "HOME": str(tmp_path)})
    assert needed(upstreams=[config.upstreams["b"]], indexes=["main"]) == []
    assert needed(upstreams=[], indexes=[], more_files=[InputFile(path=str(tmp_path / "none.txt"))])[0].file == str(
        tmp_path / "none.txt"
    )


@pytest.mark.parametrize(
    "address",
    [
        "http://proxy.example:3128",
        "HTTPS://me:pw@proxy.example",
        "proxy.example:3128",
        "127.0.0.1",
        "socks5h://[::1]:1080",
        "http://proxy.example:3128/",
        "",
    ],
)
def test_an_address_of_a_proxy_is_accepted(address: str) -> None:
    """Exactly what the HTTP client can read; an empty variable counts as unset."""
    assert proxy_faults({"HTTP_PROXY": address}) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://",
        "://proxy.example",
        "htp://proxy.example:3128",
        "http:proxy.example",
        "http//proxy.example:3128",
        "proxy.example:port",
        "http://proxy.example:99999",
        "http://proxy example:3128",
        "http://[::1",
        " http://proxy.example",
        "proxy.example:3128/",
    ],
)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_read_is_an_error_that_names_its_variable(
    tmp_path: Path, variable: str, address: str
) -> None:
    """The HTTP client would pass over it in silence and go around the proxy."""
    upstream = load_text('[upstreams.a]\nurl = "https://index.example/simple/"\n', tmp_path / "pypim.toml").upstreams[
        "a"
    ]
    with pytest.raises(InvalidConfig) as caught:
        fetch_options(upstream, {variable: address, "HOME": str(tmp_path)})
    (fault,) = caught.value.faults
    assert fault.key == variable
    assert "unset it" in fault.remedy


def test_a_proxy_variable_counts_only_where_the_client_would_ask_it(tmp_path: Path) -> None:
    good = {"HTTP_PROXY": "http://p.example", "https_proxy": "p.example:1"}
    assert proxy_faults({**good, "ALL_PROXY": "socks://old.example"}) == []
    assert [fault.key for fault in proxy_faults({"HTTP_PROXY": "p.example", "all_proxy": "x y"})] == ["all_proxy"]
    text = '[upstreams.a]\nurl = "https://index.example/"\nproxy = ""\n[upstreams.b]\nurl = "./tree"\n'
    for upstream in load_text(text, tmp_path / "pypim.toml").upstreams.values():
        fetch_options(upstream, {"HTTP_PROXY": "x y", "HOME": str(tmp_path)})


def test_a_proxys_password_is_not_shown() -> None:
    (fault,) = proxy_faults({"HTTP_PROXY": "http://me:secret@proxy.example:port"})
    assert "secret" not in str(fault)
    assert "proxy.example:port" in fault.message
