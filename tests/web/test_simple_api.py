"""The Simple API of a mirror, over a real socket. Numbers are those of docs/cases.md."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import pypim
from tests.web.asking import HTML, JSON, PIP, UV, ask, files_of
from tests.web.conftest import Running
from tests.web.serving import RunningServer
from tests.worlds.world import World, project, release, sdist, wheel

REASON = 'broken "badly" <see> & weep'
WORLD = World.of(
    project(
        "foo-bar-baz",
        release("1.0", wheel(payload=2000), sdist(), requires_python=">=3.7,<4"),
        release("2.0", wheel(), yanked=True),
        release("3.0", wheel(), yanked=REASON),
        release("4.0", wheel()),
    ),
    project("held", release("1.0", wheel()), status="quarantined"),
    project("old", release("1.0", wheel()), status="archived"),
)
PACKAGES = {"foo-bar-baz": ["1.0", "2.0", "3.0", "4.0"], "held": ["latest"], "old": ["latest"]}


def configuration(url: str, packages: dict[str, list[str]], *, filters: str = "") -> str:
    rules = "\n".join(f"{name} = [{', '.join(f'{rule!r}' for rule in rules)}]" for name, rules in packages.items())
    return f"""
[upstreams.up]
url = "{url}"
[indexes.main]
kind = "mirror"
[indexes.main.filters]
formats = ["wheel", "sdist"]
{filters}
[indexes.main.packages]
{rules}
"""


@pytest.fixture
def server(serve: ServeWorld, running: Running, tmp_path: Path) -> RunningServer:
    text = configuration(serve(WORLD).url, PACKAGES)
    found = running(text)
    pypim("-c", tmp_path / "server" / "pypim.toml", "sync", "--keep-going")
    return found


@pytest.mark.parametrize("written", ["Foo.Bar__Baz/", "foo_bar-baz", "foo-bar-baz", "FOO-BAR-BAZ/"])
def test_other_spellings_of_a_name_lead_to_the_page(server: RunningServer, written: str) -> None:
    """Case 1 (PEP 503)."""
    answer = ask(f"{server.url}/main/simple/{written}?format=x")
    assert answer.status in {301, 308}
    assert answer.headers["location"] == "/main/simple/foo-bar-baz/?format=x"


def test_the_list_without_its_slash(server: RunningServer) -> None:
    """Case 2: bandersnatch asks so."""
    assert ask(f"{server.url}/simple", Accept=JSON).headers["location"] == "/simple/"
    assert ask(f"{server.url}/main/simple").headers["location"] == "/main/simple/"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "text/html"),  # case 3
        ("*/*", "text/html"),  # case 3
        (PIP, JSON),  # case 4
        (UV, JSON),  # case 4
        ("application/vnd.pypi.simple.latest+json", JSON),  # case 5
        (f"{JSON};q=0, text/html", "text/html"),  # case 6
        (HTML, HTML),
        ("text/html", "text/html"),
        ("application/*", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),  # a browser
        (f"*/*, {JSON};q=0", "text/html"),
        (f"{JSON}, {HTML}, text/html", JSON),
    ],
)
@pytest.mark.parametrize("path", ["simple/", "simple/foo-bar-baz/"])
def test_what_is_acceptable_decides(server: RunningServer, path: str, accept: str | None, media_type: str) -> None:
    """PEP 691, and cases 3 to 6."""
    answer = ask(f"{server.url}/{path}", **({"Accept": accept} if accept is not None else {}))
    assert answer.status == 200
    assert answer.media_type == media_type
    assert "Accept" in answer.headers["vary"]


def test_no_form_is_acceptable(server: RunningServer) -> None:
    """Case 7: never 300."""
    answer = ask(f"{server.url}/simple/old/", Accept="application/vnd.pypi.simple.v2+json")
    assert answer.status == 406
    assert "application/vnd.pypi.simple.v1+json" in answer.text


def test_the_format_in_the_address_counts_first(server: RunningServer) -> None:
    """Case 8."""
    url = f"{server.url}/simple/old/"
    assert ask(f"{url}?format={JSON.replace('+', '%2B')}", Accept="text/html").media_type == JSON
    assert ask(f"{url}?format=bogus", Accept="text/html").media_type == "text/html"


def test_json_is_never_called_plain_json(server: RunningServer) -> None:
    """Case 9: pip and uv refuse `application/json`; who asks for it gets what anybody gets."""
    assert ask(f"{server.url}/simple/old/", Accept="application/json").media_type == "text/html"


def test_each_form_and_encoding_has_its_own_validator(server: RunningServer) -> None:
    """Cases 10 and 11."""
    url = f"{server.url}/simple/foo-bar-baz/"
    forms = (JSON, HTML, "text/html")
    answers = [ask(url, Accept=accept) for accept in forms]
    answers += [ask(url, Accept=accept, Accept_Encoding="gzip") for accept in forms]
    assert len({answer.headers["etag"] for answer in answers}) == 6
    assert not any(answer.headers["etag"].startswith("W/") for answer in answers)
    json_tag, html_tag = (answer.headers["etag"] for answer in answers[:2])
    assert ask(url, Accept=HTML, If_None_Match=json_tag).status == 200
    unchanged = ask(url, Accept=HTML, If_None_Match=f'"x", W/{html_tag}')
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert ask(url, Accept=HTML, If_None_Match="*").status == 304
    for name in ("etag", "cache-control", "vary"):
        assert unchanged.headers[name] == answers[1].headers[name]


def test_head_tells_what_get_would_send(server: RunningServer) -> None:
    for path in ("simple/", "simple/foo-bar-baz/"):
        whole, head = (ask(f"{server.url}/{path}", method, Accept=PIP) for method in ("GET", "HEAD"))
        assert head.body == b""
        assert head.headers["content-length"] == str(len(whole.body))
        assert head.headers["etag"] == whole.headers["etag"]


def test_html_never_says_more_than_1_4(server: RunningServer) -> None:
    """Case 12 (PEP 833)."""
    assert '<meta name="pypi:repository-version" content="1.4">' in ask(f"{server.url}/simple/old/").text
    assert ask(f"{server.url}/simple/old/", Accept=JSON).document["meta"]["api-version"] == "1.4"


def test_yanked_is_said_both_ways(server: RunningServer) -> None:
    """Cases 16 and 18: true without a reason; with one it is escaped, and comes back as it was."""
    files = files_of(f"{server.url}/simple/foo-bar-baz/")
    assert files["foo_bar_baz-2.0-py3-none-any.whl"]["yanked"] is True
    assert files["foo_bar_baz-3.0-py3-none-any.whl"]["yanked"] == REASON
    html = ask(f"{server.url}/simple/foo-bar-baz/").text
    assert re.search(r'<a [^>]*2\.0-py3[^>]* data-yanked=""', html)
    assert "broken &quot;badly&quot; &lt;see&gt; &amp; weep" in html


def test_requires_python_is_escaped(server: RunningServer) -> None:
    """Case 19: one simple pattern still finds every link."""
    html = ask(f"{server.url}/simple/foo-bar-baz/").text
    assert 'data-requires-python="&gt;=3.7,&lt;4"' in html
    names = re.findall(r"<a [^>]+>([^<]+)</a>", html)
    assert len(names) == len(files_of(f"{server.url}/simple/foo-bar-baz/")) == 5


def test_metadata_is_offered_where_it_is_there_and_nowhere_else(server: RunningServer) -> None:
    """Case 20: no attribute beside an sdist; beside each wheel one whose bytes answer."""
    files = files_of(f"{server.url}/simple/foo-bar-baz/")
    for filename, entry in files.items():
        claim = entry["core-metadata"]
        assert bool(claim) is filename.endswith(".whl")
        assert (ask(f"{entry['url']}.metadata").status == 200) is bool(claim)
    html = ask(f"{server.url}/simple/foo-bar-baz/").text
    assert html.count("data-core-metadata=") == sum(name.endswith(".whl") for name in files)


def test_pages_say_how_long_they_count(server: RunningServer) -> None:
    """Case 33, and 81: a Date, no Age, and no Last-Modified by which a client would guess."""
    for path in ("simple/", "simple/foo-bar-baz/"):
        headers = ask(f"{server.url}/{path}").headers
        assert headers["cache-control"] == "max-age=600, public"
        assert "last-modified" not in headers
        assert "date" in headers
        assert "age" not in headers


def test_what_is_not_there_is_not_found(server: RunningServer) -> None:
    assert ask(f"{server.url}/simple/nothing/").status == 404
    assert ask(f"{server.url}/simple/no%20name/").status == 404
    assert ask(f"{server.url}/none/simple/").status == 404
    assert ask(f"{server.url}/main/elsewhere").status == 404


def test_every_entry_has_a_serial(server: RunningServer) -> None:
    """Case 39: without one bandersnatch skips the project."""
    answer = ask(f"{server.url}/simple/", Accept=JSON)
    assert int(answer.headers["x-pypi-last-serial"]) >= 1
    assert answer.document["meta"]["_last-serial"] >= 1
    assert {entry["name"] for entry in answer.document["projects"]} >= {"foo-bar-baz", "old"}
    assert all(isinstance(entry["_last-serial"], int) for entry in answer.document["projects"])
    assert int(ask(f"{server.url}/simple/old/").headers["x-pypi-last-serial"]) >= 1


def test_a_quarantined_project_offers_nothing(server: RunningServer) -> None:
    """Case 43 (PEP 792)."""
    answer = ask(f"{server.url}/simple/held/", Accept=JSON)
    assert answer.status == 200
    assert answer.document["files"] == []
    assert answer.document["versions"] == []
    assert answer.document["project-status"]["status"] == "quarantined"
    names = {entry["name"] for entry in ask(f"{server.url}/simple/", Accept=JSON).document["projects"]}
    assert "held" not in names


def test_an_archived_project_says_so(server: RunningServer) -> None:
    assert ask(f"{server.url}/simple/old/", Accept=JSON).document["project-status"]["status"] == "archived"
    assert '<meta name="pypi:project-status" content="archived">' in ask(f"{server.url}/simple/old/").text


@pytest.mark.parametrize(
    "path", ["simple/a%2fb/", "simple/a%00b/", "simple/caf%C3%A9/", "simple/../../x", "packages/..%5Cx"]
)
def test_strange_paths_lead_nowhere(server: RunningServer, path: str) -> None:
    """Case 82."""
    assert ask(f"{server.url}/{path}").status in {400, 404}


@pytest.mark.parametrize("folder", ["packages/aa/bb/" + "c" * 60, "packages/source/h/held", "simple", "pypi/held"])
@pytest.mark.parametrize("part", ["a-", "1-", "a-1-", "-", "1."])
def test_no_name_keeps_the_server_busy(server: RunningServer, folder: str, part: str) -> None:
    """Each hyphen of an old sdist's name may be where its version begins: a name of 8,000 took a minute to read."""
    began = time.monotonic()
    assert ask(f"{server.url}/{folder}/{part * (8000 // len(part))}1.0.tar.gz").status in {400, 404}
    assert time.monotonic() - began < 5


def test_other_methods(server: RunningServer) -> None:
    answer = ask(f"{server.url}/simple/", "DELETE")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert ask(f"{server.url}/simple/", "OPTIONS").headers["access-control-allow-origin"] == "*"


def test_a_sync_shows_at_once(serve: ServeWorld, running: Running, tmp_path: Path) -> None:
    """Another process publishes the next generation while the server runs."""
    url = serve(WORLD).url
    server = running(configuration(url, {"old": ["latest"]}))
    path = tmp_path / "server" / "pypim.toml"
    assert ask(f"{server.url}/simple/old/").status == 404
    pypim("-c", path, "sync").expect()
    before = ask(f"{server.url}/simple/", Accept=JSON)
    assert [entry["name"] for entry in before.document["projects"]] == ["old"]
    path.write_text(configuration(url, {"old": ["latest"], "foo-bar-baz": ["4.0"]}), "utf-8")
    pypim("-c", path, "sync").expect()
    after = ask(f"{server.url}/simple/", Accept=JSON, If_None_Match=before.headers["etag"])
    assert after.status == 200
    assert {entry["name"] for entry in after.document["projects"]} == {"old", "foo-bar-baz"}
    assert int(after.headers["x-pypi-last-serial"]) > int(before.headers["x-pypi-last-serial"])


def test_a_store_without_a_sync_has_an_empty_list(serve: ServeWorld, running: Running) -> None:
    server = running(configuration(serve(WORLD).url, PACKAGES))
    assert ask(f"{server.url}/simple/", Accept=JSON).document["projects"] == []
    assert ask(f"{server.url}/healthz").status == ask(f"{server.url}/readyz").status == 200


def test_the_list_of_a_mirror_of_everything_comes_from_the_disk(
    serve: ServeWorld, running: Running, tmp_path: Path
) -> None:
    """A mirror that may have hundreds of thousands of projects: its list is made anew for each generation."""
    upstream = serve(WORLD)
    more = '[indexes.main.dependencies]\nfollow = false\n[indexes.main.patterns]\n"f.*" = "latest"\n'
    server = running(configuration(upstream.url, {"old": ["latest"]}) + more)
    url = f"{server.url}/simple/"
    assert ask(url, Accept=JSON).document["projects"] == []
    pypim("-c", tmp_path / "server" / "pypim.toml", "sync").expect()
    first = ask(url, Accept=JSON)
    assert [entry["name"] for entry in first.document["projects"]] == ["foo-bar-baz", "old"]
    assert ask(url, Accept=JSON, If_None_Match=first.headers["etag"]).status == 304
    assert list((tmp_path / "server").glob("**/lists/main/ready.json"))
    upstream.world = WORLD.having(project("fresh", "1.0"))
    pypim("-c", tmp_path / "server" / "pypim.toml", "sync").expect()
    assert [entry["name"] for entry in ask(url, Accept=JSON).document["projects"]] == ["foo-bar-baz", "fresh", "old"]
