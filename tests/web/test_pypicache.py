"""pypicache's paths, as its clients and scripts ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from packaging.utils import NormalizedName

from pypim.core.errors import UpstreamUnavailable
from pypim.core.model import DistFile, Page
from pypim.core.served import file_path
from pypim.web import pypicache
from tests.conftest import ServeWorld
from tests.index.shelf import Shelf, dist_file
from tests.web.asking import Answer, ask, files_of
from tests.web.conftest import Running
from tests.web.serving import RunningServer
from tests.web.shelves import ShelfServer, context_of, serving
from tests.web.uploading import egg
from tests.worlds.specs import project, release, sdist, wheel
from tests.worlds.world import World

FOO = NormalizedName("foo-bar")
SDIST, EGG, WHEEL = (dist_file(f"Foo.Bar-1.0{end}") for end in (".tar.gz", "-py2.7.egg", "-py3-none-any.whl"))
WORLD = World.of(project("acme-tool", release("1.0", wheel(), sdist()), release("2.0", wheel())))

CONFIG = """
[store]
path = "data"
[server]
default-index = "{default}"
[access]
open-on-loopback = true
[indexes.private]
kind = "hosted"
[indexes.other]
kind = "hosted"
"""


@pytest.fixture
def shelf() -> Iterator[tuple[ShelfServer, Shelf]]:
    made = Shelf("main", Page(name=FOO, files=(SDIST, EGG)))
    with serving(context_of(made), pypicache.routes) as running:
        yield running, made


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("source/F/Foo.Bar/Foo.Bar-1.0.tar.gz", SDIST),
        ("source/f/foo-bar/foo_bar-1.0.tar.gz", SDIST),
        ("2.7/f/FOO_BAR/Foo.Bar-1.0-py2.7.egg", EGG),
        ("foo-bar/Foo.Bar-1.0.tar.gz", SDIST),
    ],
)
def test_old_addresses_of_files_lead_to_them(shelf: tuple[ShelfServer, Shelf], path: str, file: DistFile) -> None:
    """`/packages/{pytag}/{letter}/{name}/{file}`: 302 to the canonical address; names in any case, eggs too."""
    answer = shelf[0].ask(f"/packages/{path}")
    assert (answer.status, answer.headers["location"]) == (302, f"/main/{quote(file_path(file))}")


@pytest.mark.parametrize("path", ["source/f/foo-bar/foo-bar-2.0.tar.gz", "source/x/nothing/nothing-1.0.tar.gz", "a/b"])
def test_what_no_page_lists_is_404(shelf: tuple[ShelfServer, Shelf], path: str) -> None:
    assert shelf[0].ask(f"/packages/{path}").status == 404


def test_an_upstream_that_fails_is_no_404(shelf: tuple[ShelfServer, Shelf]) -> None:
    shelf[1].fault = UpstreamUnavailable("https://index.example", "503")
    assert shelf[0].ask("/packages/source/f/foo-bar/Foo.Bar-1.0.tar.gz").status == 502


def test_without_an_index_that_takes_uploads_there_is_no_local(shelf: tuple[ShelfServer, Shelf]) -> None:
    assert shelf[0].ask("/local/").status == 404
    assert shelf[0].ask("/packages/source/f/foo/foo-1.0.tar.gz", "PUT", body=b"x").status == 404
    assert shelf[0].ask("/uploadpackage/", "POST", body=b"x").status == 404


@pytest.fixture(params=["private", "other"])
def server(running: Running, request: pytest.FixtureRequest) -> RunningServer:
    return running(CONFIG.format(default=request.param))


def form(name: str, filename: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'.encode()
    return head + content + b"\r\n--x--\r\n", {"Content_Type": "multipart/form-data; boundary=x"}


def put(server: RunningServer, path: str, content: bytes) -> Answer:
    return ask(f"{server.url}/packages/{path}", "PUT", content)


def test_files_are_put_where_their_address_says(server: RunningServer, request: pytest.FixtureRequest) -> None:
    """`PUT /packages/source/m/name/file` stores into the hosted index; the file is listed before the answer."""
    index = request.node.callspec.params["server"]
    content = WORLD.file("acme_tool-1.0.tar.gz").content
    answer = put(server, "source/a/Acme_Tool/acme_tool-1.0.tar.gz", content)
    assert (answer.status, answer.document) == (200, {"uploaded": "ok"})
    listed = files_of(f"{server.url}/{index}/simple/acme-tool/")
    assert ask(listed["acme_tool-1.0.tar.gz"]["url"]).body == content
    moved = ask(f"{server.url}/packages/source/a/acme-tool/Acme-Tool-1.0.tar.gz")
    assert moved.status == 302
    assert ask(server.url + moved.headers["location"]).body == content
    assert put(server, "source/a/acme-tool/acme_tool-1.0.tar.gz", content).status == 200, "again: nothing to do"
    wheel_name = "acme_tool-2.0-py3-none-any.whl"
    assert put(server, f"py3/a/acme-tool/{wheel_name}", WORLD.file(wheel_name).content).status == 200
    assert put(server, "py3/a/other/other-2.0-py3-none-any.whl", WORLD.file(wheel_name).content).status == 400
    assert put(server, "source/a/acme-tool/acme_tool-1.0.tar.gz", b"other bytes").status in {400, 409}


@pytest.mark.parametrize("way", ["put", "form"])
def test_eggs_are_stored_too(server: RunningServer, way: str) -> None:
    """`PUT /packages/2.7/M/My-Proj/My_Proj-1.0-py2.7.egg`; names in any case, of the project and of the file."""
    upload = egg("My-Proj")
    if way == "put":
        answer = put(server, f"2.7/M/My-Proj/{upload.filename}", upload.content)
    else:
        body, headers = form("sdist", upload.filename, upload.content)
        answer = ask(f"{server.url}/uploadpackage/", "POST", body, **headers)
    assert (answer.status, answer.document) == (200, {"uploaded": "ok"})
    for path in (f"2.7/M/My-Proj/{upload.filename}", "2.7/m/my_proj/MY_PROJ-1.0-PY2.7.EGG"):
        moved = ask(f"{server.url}/packages/{path}")
        assert moved.status == 302
        assert ask(server.url + moved.headers["location"]).body == upload.content
    assert put(server, "2.7/M/My-Proj/My_Proj-1.1-py2.7.egg", upload.content).status == 400
    assert put(server, f"2.7/M/My-Proj/{upload.filename}", upload.content[:-1]).status == 400


def test_names_of_files_are_found_in_any_case(server: RunningServer) -> None:
    content = WORLD.file("acme_tool-1.0.tar.gz").content
    assert put(server, "source/a/acme-tool/acme_tool-1.0.tar.gz", content).status == 200
    moved = ask(f"{server.url}/packages/source/A/ACME_TOOL/ACME_TOOL-1.0.TAR.GZ")
    assert moved.status == 302
    assert ask(server.url + moved.headers["location"]).body == content


def test_what_is_nowhere_is_404_though_another_index_is_closed(running: Running) -> None:
    """Of an index that nobody named, and that is closed to who asks, nothing is said."""
    config = CONFIG.format(default="private").replace(
        '[indexes.other]\nkind = "hosted"', '[indexes.other]\nkind = "hosted"\nread = "authenticated"'
    )
    server = running(config)
    content = WORLD.file("acme_tool-1.0.tar.gz").content
    body, headers = form("content", "acme_tool-1.0.tar.gz", content)
    fields = b'--x\r\nContent-Disposition: form-data; name=":action"\r\n\r\nfile_upload\r\n'
    assert ask(f"{server.url}/other/legacy/", "POST", fields + body, **headers).status == 200
    for name in ("nothing/nothing-1.0.tar.gz", "acme-tool/acme_tool-1.0.tar.gz"):
        assert ask(f"{server.url}/packages/source/x/{name}").status == 404
    wrong = ask(f"{server.url}/packages/source/n/nothing/nothing-1.0.tar.gz", Authorization="Bearer nonsense")
    assert wrong.status == 401
    closed = running(config.replace('default-index = "private"', 'default-index = "other"'))
    assert ask(f"{closed.url}/packages/source/n/nothing/nothing-1.0.tar.gz").status == 401


def test_local_is_what_was_uploaded(server: RunningServer, request: pytest.FixtureRequest) -> None:
    index = request.node.callspec.params["server"]
    for path, target in {"": "", "Acme.Tool/": "acme-tool/", "Acme.Tool": "acme-tool/"}.items():
        answer = ask(f"{server.url}/local/{path}")
        assert (answer.status, answer.headers["location"]) == (302, f"/{index}/simple/{target}")


def test_a_form_with_the_part_sdist_is_an_upload(server: RunningServer) -> None:
    """`POST /uploadpackage/`: the file as the part `sdist`; {"uploaded": "ok"}."""
    body, headers = form("sdist", "acme_tool-1.0.tar.gz", WORLD.file("acme_tool-1.0.tar.gz").content)
    answer = ask(f"{server.url}/uploadpackage/", "POST", body, **headers)
    assert (answer.status, answer.document) == (200, {"uploaded": "ok"})
    assert ask(f"{server.url}/simple/acme-tool/").status == 200
    for broken in (form("other", "a.tar.gz", b"x"), form("sdist", "acme_tool-1.0.tar.gz", b"x")):
        answer = ask(f"{server.url}/uploadpackage/", "POST", broken[0], **broken[1])
        assert answer.status == 400
        assert answer.document["error"] is True


def test_writes_need_credentials(running: Running) -> None:
    server = running(CONFIG.format(default="private").replace("open-on-loopback = true", ""))
    assert put(server, "source/a/acme-tool/acme_tool-1.0.tar.gz", b"x").status in {401, 403}
    body, headers = form("sdist", "acme_tool-1.0.tar.gz", b"x")
    assert ask(f"{server.url}/uploadpackage/", "POST", body, **headers).status in {401, 403}


def test_a_requirements_file_is_held_beforehand(running: Running, serve: ServeWorld) -> None:
    """`POST /requirements.txt` fills the proxy: afterwards the upstream is not asked for the files."""
    upstream = serve(WORLD)
    server = running(f"""
[store]
path = "data"
[server]
default-index = "cache"
[upstreams.up]
url = "{upstream.url}"
[indexes.cache]
kind = "proxy"
upstream = "up"
""")
    lines = b"acme.tool==1.0\nnothing-here\nacme-tool>=9\nacme-tool>=\n"
    answer = ask(f"{server.url}/requirements.txt", "POST", lines)
    assert answer.status == 200
    told = answer.text.splitlines()
    assert told[0] == "held acme.tool==1.0: 1.0, 2 files"
    assert told[1].startswith("failed nothing-here: ")
    assert told[2] == "failed acme-tool>=9: cache has no release that matches"
    assert told[3].startswith("unparseable acme-tool>=: ")
    listed = files_of(f"{server.url}/simple/acme-tool/")
    upstream.forget_requests()
    assert ask(listed["acme_tool-1.0.tar.gz"]["url"]).body == WORLD.file("acme_tool-1.0.tar.gz").content
    assert upstream.asked() == []
    body, headers = form("requirements", "requirements.txt", b"acme-tool==1.0\n-r x\nacme-tool==7\n")
    answer = ask(f"{server.url}/requirements.txt", "POST", body, **headers)
    assert answer.document["cached"] == ["acme-tool==1.0"]
    assert (len(answer.document["unparseable"]), answer.document["failed"]) == (1, ["acme-tool==7"])


def test_a_file_that_is_here_already_is_held(shelf: tuple[ShelfServer, Shelf], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    shelf[1].paths = dict.fromkeys((SDIST.filename,), path)
    shelf[1].put(Page(name=FOO, files=(SDIST,)))
    answer = shelf[0].ask("/requirements.txt", "POST", body=b"\xef\xbb\xbfFoo.bar\n")
    assert answer.body == b"held Foo.bar: 1.0, 1 files\n"
    answer = shelf[0].ask("/requirements.txt", "POST", body=b"--index-url https://u:p@index.example/simple\nfoo.bar\n")
    told = answer.body.decode().splitlines()
    assert told[0].startswith("ignored --index-url: files come from the index that was asked")
    assert told[1] == "held foo.bar: 1.0, 1 files"
    assert shelf[0].ask("/requirements.txt", "POST", body=b"#" * (1 << 20) + b"\n").status == 413
