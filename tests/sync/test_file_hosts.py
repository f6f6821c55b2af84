"""`file-hosts`: nearby mirrors are asked for files first; their word counts for nothing, no sync fails by them."""

from __future__ import annotations

import http.client
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.sync.mirror import Document, Mirror, pypim
from tests.web.asking import ask
from tests.web.serving import RunningServer
from tests.worlds import faults
from tests.worlds.specs import project, release, sdist, wheel
from tests.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld
    from tests.worlds.server import WorldServer

NAMES = tuple(f"p{number}" for number in range(12))
WORLD = World.of(*(project(name, release("1.0", wheel(payload=600_000))) for name in NAMES))
PACKAGES = dict.fromkeys(NAMES, ">=0")


def root_of(server: WorldServer) -> str:
    return server.url.removesuffix("simple/")


def files_asked(server: WorldServer) -> list[str]:
    return [request.path for request in server.requests if request.path.endswith(".whl")]


def mirror_of(folder: Path, upstream: WorldServer, *hosts: str, jobs: int = 1) -> Mirror:
    return Mirror(folder).configure(
        upstream.url,
        upstream={"file-hosts": list(hosts), "read-timeout": 0.4},
        packages=PACKAGES,
        dependencies={"follow": False},
        jobs=jobs,
    )


def synced(mirror: Mirror) -> Document:
    """The only host's part of the report of a sync that did all it had to."""
    report = mirror.sync()
    assert report["fetched_files"] == len(NAMES)
    mirror.run("verify").expect()
    (host,) = report["file_hosts"]
    assert isinstance(host, dict)
    return host


def test_files_come_from_the_host_at_the_same_path_below_packages(serve: ServeWorld, tmp_path: Path) -> None:
    upstream, near = serve(WORLD), serve(WORLD)
    host = synced(mirror_of(tmp_path, upstream, root_of(near)))
    assert (host["files"], host["absent"], host["failed"], host["is_left_out"]) == (len(NAMES), 0, 0, False)
    assert files_asked(upstream) == []
    assert sorted(files_asked(near)) == sorted(f"/{file.path}" for file in WORLD.files)


def test_what_the_host_lacks_comes_from_the_upstream(serve: ServeWorld, tmp_path: Path) -> None:
    upstream, near = serve(WORLD), serve(World.of(*(WORLD.spec(name) for name in NAMES[::2])))
    host = synced(mirror_of(tmp_path, upstream, root_of(near)))
    assert (host["files"], host["absent"], host["failed"], host["is_left_out"]) == (6, 6, 0, False)
    assert len(files_asked(upstream)) == 6


@pytest.mark.parametrize(
    ("fault", "most_asked"),
    [
        (faults.wrong_bytes(), 3),
        (faults.cut_after(1000), 3),
        (faults.shorter(100), 3),
        (faults.longer(100), 3),
        (faults.no_answer(), 3),
        (faults.status(503), 3),
        (faults.status(403), 3),
        (faults.status(500), 3),
        (faults.instead(b"<html>log in</html>", "text/html"), 3),
        (faults.drip(1, 0.2), 3),
        (faults.endless_redirect(), 33),
    ],
    ids=["wrong", "cut", "shorter", "longer", "silent", "503", "403", "500", "html", "drip", "redirect"],
)
def test_a_host_that_fails_or_lies_costs_nothing_but_its_attempts(
    fault: faults.Fault, most_asked: int, serve: ServeWorld, tmp_path: Path
) -> None:
    """Any failure or wrong hash falls back to the upstream and is counted; after three in a row it is left out."""
    upstream, near = serve(WORLD), serve(WORLD)
    near.misbehave("*.whl*", fault)
    mirror = mirror_of(tmp_path, upstream, root_of(near))
    host = synced(mirror)
    assert (host["files"], host["failed"], host["is_left_out"]) == (0, 3, True)
    assert len(near.requests) <= most_asked
    assert len(files_asked(upstream)) >= len(NAMES)


def test_a_host_that_nobody_answers_at_is_left_out_and_said_to_be(serve: ServeWorld, tmp_path: Path) -> None:
    upstream = serve(WORLD)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        mirror = mirror_of(tmp_path, upstream, url)
        outcome = mirror.run("sync", "--json").expect()
    (host,) = outcome.document["indexes"][0]["file_hosts"]
    assert (host["failed"], host["is_left_out"]) == (3, True)
    assert f"the file host {url} is left out from now on" in outcome.stderr


def test_faults_now_and_then_do_not_leave_a_host_out(serve: ServeWorld, tmp_path: Path) -> None:
    upstream, near = serve(WORLD), serve(WORLD)
    for name in NAMES[::3]:
        near.misbehave(f"*/{name}-*.whl", faults.wrong_bytes())
    host = synced(mirror_of(tmp_path, upstream, root_of(near)))
    assert (host["files"], host["failed"], host["is_left_out"]) == (8, 4, False)


def test_hosts_are_asked_in_their_order(serve: ServeWorld, tmp_path: Path) -> None:
    upstream, first, second = serve(WORLD), serve(World.of()), serve(WORLD)
    mirror = mirror_of(tmp_path, upstream, root_of(first) + "packages/", root_of(second).rstrip("/"))
    report = mirror.sync()
    assert [(host["files"], host["absent"]) for host in report["file_hosts"]] == [(0, 12), (12, 0)]
    assert files_asked(upstream) == []


def test_only_files_with_a_known_hash_come_from_elsewhere(serve: ServeWorld, tmp_path: Path) -> None:
    for number, hashes in enumerate(("none", "md5")):
        upstream, near = serve(WORLD, hashes=hashes, json_api=False), serve(WORLD)
        mirror_of(tmp_path / str(number), upstream, root_of(near)).sync()
        assert near.requests == []


def test_files_that_are_read_for_their_metadata_come_from_the_host_too(serve: ServeWorld, tmp_path: Path) -> None:
    """An sdist is read whole to learn what it requires, and kept for the transfer."""
    world = World.of(project("app", release("1.0", sdist(), requires=["lib"])), project("lib", release("1.0", sdist())))
    upstream, near = serve(world), serve(world)
    mirror = Mirror(tmp_path).configure(
        upstream.url,
        upstream={"file-hosts": [root_of(near)]},
        packages={"app": "latest"},
        dependencies={"build": False},
    )
    assert mirror.sync()["fetched_files"] == 2
    assert [request.path for request in upstream.requests if request.path.endswith(".tar.gz")] == []
    assert len([request.path for request in near.requests if request.path.endswith(".tar.gz")]) == 2


def test_credentials_of_the_upstream_do_not_go_to_its_hosts(serve: ServeWorld, tmp_path: Path) -> None:
    upstream, near = serve(WORLD, basic_auth=("me", "secret")), serve(WORLD)
    mirror = Mirror(tmp_path).configure(
        upstream.url,
        upstream={
            "file-hosts": [root_of(near)],
            "username": "me",
            "password": "secret",
            "headers": {"X-Team": "build"},
        },
        packages=PACKAGES,
    )
    synced(mirror)
    assert near.requests
    for request in near.requests:
        assert "authorization" not in request.headers
        assert "x-team" not in request.headers


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("mirror", "not the http or https URL of a host"),
        ("ftp://mirror.example/", "not the http or https URL of a host"),
        ("file:///srv/mirror", "not the http or https URL of a host"),
        ("https://me:secret@mirror.example/", "neither user name nor query"),
        ("https://mirror.example/?token=1", "neither user name nor query"),
    ],
)
def test_what_is_no_host_is_a_fault_of_the_configuration(host: str, said: str, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path).configure("https://index.example/simple/", upstream={"file-hosts": [host]})
    error = mirror.run("config", "check", "--json").expect(2).error
    assert said in str(error["faults"])
    assert "file-hosts" in str(error["faults"])


# --- the proxy ------------------------------------------------------------------------------------------------------
def proxy(folder: Path, upstream: WorldServer, *hosts: WorldServer) -> RunningServer:
    listed = ", ".join(f'"{root_of(host)}"' for host in hosts)
    config = folder / "pypim.toml"
    config.write_text(
        f'[upstreams.up]\nurl = "{upstream.url}"\nretries = 0\nfile-hosts = [{listed}]\n'
        '[indexes.cache]\nkind = "proxy"\nupstream = "up"\n'
    )
    return RunningServer(config)


def test_a_proxy_asks_the_hosts_first(serve: ServeWorld, tmp_path: Path) -> None:
    upstream, near = serve(WORLD), serve(WORLD)
    with proxy(tmp_path, upstream, near) as server:
        for file in WORLD.files:
            answer = ask(f"{server.url}/cache/{file.path}")
            assert (answer.status, answer.body) == (200, file.content)
    assert files_asked(upstream) == []
    assert len(files_asked(near)) == len(NAMES)


@pytest.mark.parametrize("fault", [faults.shorter(100), faults.status(503), faults.cut_after(1000)])
def test_a_proxy_goes_on_at_the_upstream(fault: faults.Fault, serve: ServeWorld, tmp_path: Path) -> None:
    """What the host has sent of a file is gone on with; a client sees none of it."""
    upstream, near = serve(WORLD), serve(WORLD)
    near.misbehave("*.whl", fault)
    with proxy(tmp_path, upstream, near) as server:
        for file in WORLD.files:
            answer = ask(f"{server.url}/cache/{file.path}")
            assert (answer.status, answer.body) == (200, file.content)
    assert len(files_asked(near)) == 3


def test_a_host_that_lies_to_a_proxy_is_not_asked_for_that_file_again(serve: ServeWorld, tmp_path: Path) -> None:
    """Wrong bytes are never given out as whole or kept; whoever asks again gets the right ones."""
    upstream, near = serve(WORLD), serve(WORLD)
    near.misbehave("*.whl", faults.wrong_bytes())
    (file,) = WORLD.files_of("p1")
    with proxy(tmp_path, upstream, near) as server:
        with suppress(http.client.IncompleteRead):  # where some of it was on its way to the client
            assert ask(f"{server.url}/cache/{file.path}").status >= 500
        answer = ask(f"{server.url}/cache/{file.path}")
        assert (answer.status, answer.body) == (200, file.content)
    assert len(files_asked(near)) == 1


# --- the rate -------------------------------------------------------------------------------------------------------
def test_max_rate_holds_for_a_sync(serve: ServeWorld, tmp_path: Path) -> None:
    """`--max-rate` of the command line in place of the key: a 7 MB sync at 20 MB/s cannot be done at once."""
    upstream = serve(WORLD)
    mirror = mirror_of(tmp_path, upstream, jobs=8)
    assert mirror.sync("--max-rate", "20 MB/s")["seconds"] >= 0.05
    said = mirror.run("sync", "--max-rate", "soon", "--json").expect(2).error["message"]
    assert "--max-rate 'soon': this is not a size" in said
    assert (
        "at this rate nothing ever comes" in mirror.run("sync", "--max-rate", "0", "--json").expect(2).error["message"]
    )


def test_a_rate_is_remembered_with_to(serve: ServeWorld, tmp_path: Path) -> None:
    upstream = serve(WORLD)
    pypim("sync", "p1", "--upstream", upstream.url, "--max-rate", "5 MB", "--to", tmp_path).expect()
    assert 'max-rate = "5 MB"' in (tmp_path / ".pypim/pypim.toml").read_text()
    pypim("sync", "p2", "--to", tmp_path).expect()
    assert 'max-rate = "5 MB"' in (tmp_path / ".pypim/pypim.toml").read_text()
