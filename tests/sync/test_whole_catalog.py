"""`pypim metadata --all`: what an upstream says of all its projects, and the questions that are asked of it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.worlds import faults
from tests.worlds.world import World, project, release, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import ServeWorld
    from tests.sync.mirror import Mirror

WORLD = World.of(
    project("app", release("1.0", wheel(), requires=["lib>=1", "Other_Lib<3; python_version >= '3'"])),
    project("lib", release("1.0", wheel(), sdist()), release("2.0", wheel(), sdist())),
    project("other-lib", release("1.0", sdist(), requires=["lib==1.0"])),
    project("zope-one", release("1.0", wheel(), yanked="broken")),
)
JsonDict = dict[str, Any]


def rows(mirror: Mirror, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(mirror.store / "catalog.sqlite")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def gathered(mirror: Mirror, *arguments: str, status: int = 0) -> JsonDict:
    (document,) = mirror.run("metadata", "--json", *arguments).expect(status).document["upstreams"]
    found: JsonDict = document
    return found


def required(mirror: Mirror, *arguments: str) -> list[tuple[str, str, str]]:
    found = mirror.run("list", "--json", *arguments).expect().document["requirements"]
    return [(one["project"], one["version"], one["requirement"]) for one in found]


@pytest.fixture
def app(mirror: Mirror, serve: ServeWorld) -> Mirror:
    """A mirror that asks for one project, and knows all of them."""
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    gathered(mirror, "--all")
    return mirror


@pytest.mark.parametrize("page_format", ["json", "html_only"])
def test_every_listed_project_is_learned(serve: ServeWorld, mirror: Mirror, page_format: str) -> None:
    """Projects, releases, files and descriptions are rows; what an HTML page lacks, the document has."""
    mirror.configure(serve(WORLD, format=page_format).url, packages={"app": "latest"})
    found = gathered(mirror, "--all")
    assert (found["projects"], found["files"], found["described"], found["absent"]) == (4, 7, 4, [])
    assert rows(mirror, "SELECT project, filename, version, kind FROM files ORDER BY 1, 2") == [
        ("app", "app-1.0-py3-none-any.whl", "1.0", "wheel"),
        ("lib", "lib-1.0-py3-none-any.whl", "1.0", "wheel"),
        ("lib", "lib-1.0.tar.gz", "1.0", "sdist"),
        ("lib", "lib-2.0-py3-none-any.whl", "2.0", "wheel"),
        ("lib", "lib-2.0.tar.gz", "2.0", "sdist"),
        ("other-lib", "other_lib-1.0.tar.gz", "1.0", "sdist"),
        ("zope-one", "zope_one-1.0-py3-none-any.whl", "1.0", "wheel"),
    ]
    assert rows(mirror, "SELECT count(*) FROM files WHERE size IS NULL OR upload_time IS NULL") == [(0,)]
    assert rows(mirror, "SELECT filename, yanked_reason FROM files WHERE is_yanked") == [
        ("zope_one-1.0-py3-none-any.whl", "broken")
    ]
    assert rows(
        mirror,
        "SELECT name, version, listed_releases.files, yanked_files FROM listed_releases"
        " JOIN projects ON projects.id = project_id ORDER BY 1, 2",
    ) == [
        ("app", "1.0", 1, 0),
        ("lib", "1.0", 2, 0),
        ("lib", "2.0", 2, 0),
        ("other-lib", "1.0", 1, 0),
        ("zope-one", "1.0", 1, 1),
    ]
    assert rows(mirror, "SELECT project, version FROM descriptions ORDER BY project") == [
        ("app", "1.0"),
        ("lib", "2.0"),
        ("other-lib", "1.0"),
        ("zope-one", "1.0"),
    ]


def test_what_has_not_changed_is_not_asked_for(serve: ServeWorld, mirror: Mirror) -> None:
    """By its serial."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    gathered(mirror, "--all")
    server.forget_requests()
    found = gathered(mirror, "--all")
    assert (found["projects"], found["unchanged"]) == (0, 4)
    assert not server.asked("/simple/*/")
    assert not server.asked("/pypi/*")
    server.world = server.world.releasing("lib", release("3.0"))
    found = gathered(mirror, "--all")
    assert (found["projects"], found["unchanged"]) == (1, 3)
    assert [request.path for request in server.asked("/simple/*/")] == ["/simple/lib/"]
    assert rows(mirror, "SELECT max(version), count(*) FROM files WHERE project = 'lib'") == [("3.0", 5)]


def test_without_serials_the_upstream_says_that_nothing_has_changed(serve: ServeWorld, mirror: Mirror) -> None:
    """304: nothing is decoded, and nothing written but the time."""
    server = serve(WORLD, serials=False)
    mirror.configure(server.url, packages={"app": "latest"})
    gathered(mirror, "--all")
    found = gathered(mirror, "--all")
    assert (found["projects"], found["unchanged"], found["files"]) == (0, 4, 0)


def test_an_upstream_without_documents_is_asked_for_one_only(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD, json_api=False)
    mirror.configure(server.url, packages={"app": "latest"})
    assert gathered(mirror, "--all")["described"] == 0
    server.forget_requests()
    gathered(mirror, "--all")
    assert not server.asked("/pypi/*json")


def test_names_need_no_list_and_patterns_do(serve: ServeWorld, mirror: Mirror) -> None:
    """The list of all projects is only asked for when it is needed."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    assert gathered(mirror, "Zope.One", "lib")["projects"] == 2
    assert not server.asked("/simple/")
    assert gathered(mirror, "--pattern", ".*lib")["projects"] == 1
    assert rows(mirror, "SELECT name FROM projects ORDER BY name") == [("lib",), ("other-lib",), ("zope-one",)]


@pytest.mark.parametrize("options", [(), ("--keep-going",)])
def test_one_that_fails_holds_no_other_up(serve: ServeWorld, mirror: Mirror, options: Sequence[str]) -> None:
    """It is named at the end, and the next run learns it."""
    server = serve(WORLD)
    server.misbehave("/simple/lib/", faults.instead(b"<nonsense", "application/vnd.pypi.simple.v1+json"))
    mirror.configure(server.url, packages={"app": "latest"})
    outcome = mirror.run("metadata", "--all", *options).expect(1 if options else 6)
    assert "/simple/lib/" in outcome.stdout + outcome.stderr
    assert rows(mirror, "SELECT count(*) FROM projects") == [(3,)]
    server.behave()
    assert gathered(mirror, "--all")["projects"] == 1


def test_a_name_that_the_upstream_has_not_is_not_found(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    outcome = mirror.run("metadata", "lib", "no-such-one").expect(3)
    assert "no-such-one" in outcome.stderr
    assert rows(mirror, "SELECT name FROM projects") == [("lib",)]


def test_a_missing_page_deletes_nothing(app: Mirror, serve: ServeWorld) -> None:
    """One 404 is not a deletion."""
    server = serve(WORLD)
    server.misbehave("/simple/lib/", faults.status(404))
    app.configure(server.url, packages={"app": "latest"})
    gathered(app, "--all", "--keep-going")
    server.behave()
    assert gathered(app, "--all")["absent"] == []


def test_a_bad_pattern_is_refused(mirror: Mirror, serve: ServeWorld) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    assert "regular expression" in mirror.run("metadata", "--pattern", "(").expect(2).stderr


def test_who_requires_a_project(app: Mirror) -> None:
    """As the descriptions say, for no core metadata was learned."""
    assert required(app, "--requires", "Lib") == [("app", "1.0", "lib>=1"), ("other-lib", "1.0", "lib==1.0")]
    assert required(app, "--requires", "lib==2.0") == [("app", "1.0", "lib>=1")]
    assert required(app, "--required-by", "app") == [
        ("app", "1.0", "lib>=1"),
        ("app", "1.0", "Other_Lib<3; python_version >= '3'"),
    ]
    assert required(app, "--required-by", "app==2.0") == []
    prose = app.run("list", "--requires", "lib").expect().stdout
    assert "app 1.0: lib>=1  (as described)" in prose
    assert "Nothing that is known requires zope-one." in app.run("list", "--requires", "zope-one").expect().stdout


@pytest.mark.parametrize("option", ["--requires", "--required-by"])
def test_that_nothing_is_known_of_a_project_is_no_answer(app: Mirror, option: str) -> None:
    """Not even that nothing requires it: the exit status is 3, and the hint says how to learn of it."""
    outcome = app.run("list", option, "Nobody_knows").expect(3)
    assert "nobody-knows: nothing is known of it" in outcome.stderr
    assert "pypim metadata" in outcome.stderr
    assert required(app, option, "zope-one") == []
    assert required(app, "--requires", "lib==0.1") == []


def test_what_is_held_and_requires_a_project(app: Mirror) -> None:
    """--held leaves out what no mirror has chosen."""
    assert required(app, "--requires", "lib", "--held") == []
    app.sync()
    assert required(app, "--requires", "lib", "--held") == [("app", "1.0", "lib>=1"), ("other-lib", "1.0", "lib==1.0")]
    (one, _) = app.run("list", "--json", "--requires", "lib", "--held").expect().document["requirements"]
    assert not one["is_described"], "what the wheel itself says counts before the description"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--requires", "lib", "--required-by", "app"),
        ("app", "--requires", "lib"),
        ("--held",),
        ("--requires", "lib==x"),
        ("--requires", "-"),
    ],
)
def test_questions_that_make_no_sense_are_refused(app: Mirror, arguments: Sequence[str]) -> None:
    app.run("list", *arguments).expect(2)


def test_status_tells_how_much_is_known(app: Mirror) -> None:
    (index,) = app.run("status", "--json").expect().document["indexes"]
    known = index["known"]
    assert (known["projects"], known["releases"], known["files"]) == (4, 5, 7)
    assert known["file_bytes"] > 0
    assert known["last_upload"] >= known["first_upload"]
    assert "known of the upstream: 4 projects" in app.run("status").expect().stdout


def test_an_upstream_that_only_fails_is_given_up(serve: ServeWorld, mirror: Mirror) -> None:
    """Very many in a row: nobody waits for 700,000 of them."""
    server = serve(World.of(*(project(f"p-{number}", "1.0") for number in range(150))))
    server.misbehave("/simple/p-*/", faults.status(500))
    mirror.configure(server.url, packages={"p-1": "latest"})
    mirror.run("metadata", "--all", "--keep-going").expect(6)
    assert len(server.asked("/simple/p-*/")) < 150
    server.behave()
    assert gathered(mirror, "--all")["projects"] == 150
