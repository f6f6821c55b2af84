"""An upstream that misbehaves: what is wrong is named and kept out, what passes by is waited for, nothing is lost."""

from __future__ import annotations

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, files_below, wheels
from tests.worlds import faults
from tests.worlds.faults import Fault
from tests.worlds.nasty import NASTY_ANCHORS, NASTY_ENTRIES
from tests.worlds.server import WorldServer
from tests.worlds.tree import write_tree
from tests.worlds.world import World, project, release, sdist, wheel

WORLD = World.of(
    project("app", "1.0", requires=["lib"]),
    project("lib", release("1.0", wheel(payload=200_000))),
    project("other", "1.0"),
)
LIB = "lib-1.0-py3-none-any.whl"
PACKAGES = {"app": "latest", "other": "latest"}


@pytest.fixture
def server(serve: ServeWorld) -> WorldServer:
    return serve(WORLD)


def configured(mirror: Mirror, server: WorldServer, **upstream: object) -> Mirror:
    return mirror.configure(server.url, upstream=upstream, packages=PACKAGES)


@pytest.mark.parametrize(
    ("fault", "status", "word"),
    [
        (faults.wrong_bytes(), 7, "sha256"),
        (faults.longer(10), 7, "bytes"),
        (faults.announce(1 << 40), 7, "bytes"),
        (faults.status(404), 6, "404"),
        (faults.status(500), 6, "500"),
        (faults.status(403), 4, "403"),
        (faults.endless_redirect(), 6, "redirect"),
        (faults.redirect("file:///etc/passwd"), 6, "redirect"),
        (faults.instead(b"<html>please log in</html>", "text/html"), 7, "bytes"),
        (faults.no_answer(), 6, LIB),
    ],
    ids=["wrong-bytes", "longer", "endless", "404", "500", "403", "redirects", "to-file", "portal", "silence"],
)
def test_a_file_that_cannot_be_had_is_named_and_kept_out(
    server: WorldServer, mirror: Mirror, fault: Fault, status: int, word: str
) -> None:
    """Without --keep-going nothing is published; with it exit 1, the rest is published and the file is not."""
    configured(mirror, server)
    server.misbehave(f"/packages/*/{LIB}", fault)
    error = mirror.refuses(status=status)
    assert LIB in error["message"]
    assert word in error["message"]
    assert error["hint"]
    assert not (mirror.tree / "simple").exists()
    report = mirror.sync("--keep-going", status=1)
    assert report["outcome"] == "partial"
    assert [LIB in fault for fault in report["faults"]] == [True]
    assert mirror.published() == {"app": wheels("app 1.0"), "other": wheels("other 1.0")}
    assert not [path for path in files_below(mirror.folder) if path.endswith(LIB)]
    text = mirror.run("sync", "--keep-going").expect(1)
    assert LIB in text.stdout
    server.behave()
    server.forget_requests()
    assert mirror.sync()["fetched_files"] == 1
    assert len(server.asked("/packages/*.whl")) == 1, "what was fetched by the run that failed is not fetched again"
    assert mirror.published() == {
        "app": wheels("app 1.0"), "lib": wheels("lib 1.0"), "other": wheels("other 1.0"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("/simple/lib/", faults.status(503)),
        ("/simple/lib/", faults.no_answer()),
        ("*", faults.status(429, retry_after="0")),
        (f"/packages/*/{LIB}", faults.status(502)),
        (f"/packages/*/{LIB}.metadata", faults.status(500)),
        (f"/packages/*/{LIB}", faults.cut_after(50_000)),
        ("/simple/app/", faults.cut_after(10)),
    ],
)
def test_what_passes_by_is_waited_for(server: WorldServer, mirror: Mirror, pattern: str, fault: Fault) -> None:
    """5xx, 429 with Retry-After, a connection that breaks: asked again, and nothing of it is seen."""
    configured(mirror, server, retries=2)
    server.misbehave(pattern, fault, times=1)
    report = mirror.sync()
    assert report["outcome"] == "done"
    assert report["faults"] == []
    assert list(mirror.published()) == ["app", "lib", "other"]


def test_a_body_that_was_cut_is_resumed(server: WorldServer, mirror: Mirror) -> None:
    """By Range, from the byte where it broke."""
    configured(mirror, server)
    server.misbehave(f"/packages/*/{LIB}", faults.cut_after(120_000), times=1)
    mirror.sync()
    asked = server.asked(f"/packages/*/{LIB}")
    assert [request.status for request in asked] == [200, 206]
    assert asked[1].headers["range"] == "bytes=120000-"


def test_a_body_that_was_cut_is_resumed_by_the_next_run(server: WorldServer, mirror: Mirror) -> None:
    """A run that failed half-way has lost nothing and the next one goes on from there."""
    configured(mirror, server)
    server.misbehave(f"/packages/*/{LIB}", faults.cut_after(40_000))
    mirror.refuses(status=6)
    server.behave()
    server.forget_requests()
    mirror.sync()
    (asked,) = server.asked(f"/packages/*/{LIB}")
    received = int(asked.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert received >= 40_000
    assert received % 40_000 == 0


def test_a_body_that_was_cut_begins_anew_where_ranges_are_not_offered(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD, ranges=False)
    configured(mirror, server)
    server.misbehave(f"/packages/*/{LIB}", faults.cut_after(120_000), times=1)
    mirror.sync()
    assert [request.status for request in server.asked(f"/packages/*/{LIB}")] == [200, 200]


def test_a_file_that_changes_between_two_parts_is_not_glued_together(server: WorldServer, mirror: Mirror) -> None:
    """The digest of the whole decides; a wrong beginning is thrown away and the file is asked for anew."""
    configured(mirror, server)
    server.misbehave(
        f"/packages/*/{LIB}", lambda response: faults.cut_after(70_000)(faults.wrong_bytes()(response)), times=1
    )
    mirror.sync()
    assert mirror.published()["lib"] == [LIB]


def test_an_upstream_that_only_drips_is_given_up(server: WorldServer, mirror: Mirror) -> None:
    """A read-timeout, in seconds, and the page it was about."""
    configured(mirror, server, **{"read-timeout": 0.2})
    server.misbehave("/simple/lib/", faults.drip(1, 5.0))
    error = mirror.refuses(status=6)
    assert "/simple/lib/" in error["message"]


def test_an_upstream_that_is_down_is_a_fault_of_the_upstream(server: WorldServer, mirror: Mirror) -> None:
    configured(mirror, server)
    mirror.configure("http://127.0.0.1:9/simple/", packages=PACKAGES)
    error = mirror.refuses(status=6)
    assert error["code"] == "upstream-unavailable"
    assert "127.0.0.1:9" in error["message"]
    assert error["hint"]


def test_a_folder_that_is_not_mounted_is_not_an_index_from_which_all_was_deleted(mirror: Mirror) -> None:
    """An upstream that fails is never read as "deleted"; a folder that is gone fails."""
    theirs = mirror.folder.parent / "theirs"
    url = write_tree(WORLD, theirs)
    mirror.configure(url, packages=PACKAGES)
    mirror.sync()
    before = mirror.published()
    theirs.rename(theirs.with_name("elsewhere"))
    assert "theirs" in mirror.refuses(status=6)["message"]
    mirror.sync("--keep-going", status=1)
    assert mirror.published() == before


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(500),
        faults.instead(b"not json at all", "application/vnd.pypi.simple.v1+json"),
        faults.instead(b"", "application/octet-stream"),
        faults.changed_page(lambda page: page.update(meta={"api-version": "2.0"})),
        faults.gzip_bomb(),
        faults.endless_redirect(),
    ],
    ids=["500", "not-json", "octets", "version-2", "bomb", "redirects"],
)
@pytest.mark.parametrize("page", ["app", "lib"])
def test_a_failing_upstream_never_unlists_what_was_published(
    server: WorldServer, mirror: Mirror, fault: Fault, page: str
) -> None:
    """An upstream that fails is never read as "deleted": neither a root's page nor a dependency's."""
    configured(mirror, server)
    mirror.sync()
    before = files_below(mirror.tree)
    server.world = server.world.releasing("other", release("2.0"))
    server.misbehave(f"/simple/{page}/", fault)
    error = mirror.refuses(status=6)
    assert f"/simple/{page}/" in error["message"]
    assert files_below(mirror.tree) == before
    report = mirror.sync("--keep-going", status=1)
    assert report["faults"]
    published = mirror.published()
    assert published["app"] == wheels("app 1.0")
    assert published["lib"] == wheels("lib 1.0")
    assert published["other"][-1:] == wheels("other 2.0")
    server.behave()
    mirror.sync()
    assert mirror.published()["other"] == wheels("other 2.0")


def test_a_failing_file_never_unlists_what_was_published(server: WorldServer, mirror: Mirror) -> None:
    """The new release of a project cannot be had: what is published of it stays, with --keep-going too."""
    configured(mirror, server)
    mirror.sync()
    server.world = server.world.releasing("other", release("2.0"))
    server.misbehave("*/other-2.0*.whl", faults.wrong_bytes())
    assert "other-2.0" in mirror.refuses(status=7)["message"]
    assert mirror.published()["other"] == wheels("other 1.0")
    mirror.sync("--keep-going", status=1)
    assert mirror.published()["other"] == wheels("other 1.0")


@pytest.mark.parametrize("options", [{}, {"ranges": False}, {"serve_metadata": False}], ids=["", "no-ranges", "none"])
def test_metadata_that_is_advertised_and_missing_is_read_from_the_wheel(
    serve: ServeWorld, mirror: Mirror, options: Document
) -> None:
    server = serve(WORLD, **options)
    configured(mirror, server)
    server.misbehave("*.metadata", faults.status(404))
    mirror.sync()
    assert list(mirror.published()) == ["app", "lib", "other"]


def test_metadata_that_lies_is_not_believed(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 658: the digest on the page is that of the `.metadata`; what is published is the wheel's own."""
    world = World.of(
        project("app", release("1.0", wheel(sidecar_requires=["wrong"]), requires=["right"])),
        project("right", "1.0"),
        project("wrong", "1.0"),
    )
    server = serve(world)
    mirror.configure(server.url, packages={"app": "latest"})
    outcome = mirror.run("sync").expect()
    assert "app-1.0-py3-none-any.whl" in outcome.stdout + outcome.stderr
    tree = files_below(mirror.tree)
    truth = world.file("app-1.0-py3-none-any.whl")
    assert b"right" in tree[f"{truth.path}.metadata"]


def test_what_the_wheel_says_is_followed_once_it_is_held(serve: ServeWorld, mirror: Mirror) -> None:
    """The lie of a `.metadata` is found with the wheel; the next sync, at the latest, follows what the wheel says."""
    world = World.of(
        project("app", release("1.0", wheel(sidecar_requires=["wrong"]), requires=["right"])),
        project("right", "1.0"),
        project("wrong", "1.0"),
    )
    mirror.configure(serve(world).url, packages={"app": "latest"})
    mirror.sync()
    mirror.sync()
    assert "right" in mirror.published()


def test_metadata_with_another_digest_than_listed_is_read_from_the_wheel(server: WorldServer, mirror: Mirror) -> None:
    configured(mirror, server)
    server.misbehave("*/app-1.0*.metadata", faults.longer(5))
    report = mirror.sync()
    assert list(mirror.published()) == ["app", "lib", "other"]
    assert any("app-1.0-py3-none-any.whl" in warning for warning in report["warnings"])


def test_an_sdist_that_cannot_be_read_is_named(serve: ServeWorld, mirror: Mirror) -> None:
    world = World.of(project("src", release("1.0", sdist())), project("other", "1.0"))
    server = serve(world, hashes="none", sizes=False, json_api=False, pypi_shaped=False)
    server.misbehave("*.tar.gz", faults.instead(b"this is no archive"))
    mirror.configure(server.url, packages={"src": "latest", "other": "latest"})
    report = mirror.sync()
    assert any("src-1.0.tar.gz" in warning for warning in report["warnings"])
    assert mirror.published() == {"other": wheels("other 1.0"), "src": ["src-1.0.tar.gz"]}


def test_credentials_that_are_missing_or_wrong(serve: ServeWorld, mirror: Mirror) -> None:
    """Exit 4, with what to set; and with them it goes."""
    server = serve(WORLD, basic_auth=("me", "secret"))
    configured(mirror, server)
    error = mirror.refuses(status=4)
    assert error["code"] == "not-authenticated"
    assert "netrc" in error["hint"]
    mirror.sync("--keep-going", status=1)
    configured(mirror, server, username="me", password="secret")
    mirror.sync()
    assert list(mirror.published()) == ["app", "lib", "other"]


@pytest.mark.parametrize("format", ["json_1_4", "html_only"])
def test_a_page_may_hold_anything(serve: ServeWorld, mirror: Mirror, format: str) -> None:  # noqa: A002 - the option
    """Only what is a distribution file of this project is taken from it, and nothing is written anywhere else."""
    server = serve(WORLD, format=format)
    server.misbehave("/simple/lib/", faults.more_entries(NASTY_ENTRIES, NASTY_ANCHORS))
    kinds = ["wheel", "sdist", "egg", "wininst", "msi", "rpm", "dumb", "dmg", "deb"]
    mirror.configure(server.url, packages={"lib": "*"}, targets={}, filters={"formats": kinds})
    mirror.sync()
    assert mirror.published() == {"lib": wheels("lib 1.0")}
    assert not list(mirror.folder.parent.rglob("*evil*"))


def test_a_wheel_that_unpacks_to_a_gigabyte_costs_nothing(serve: ServeWorld, mirror: Mirror) -> None:
    """It is mirrored as it is, and that its requirements are not known is said."""
    world = World.of(project("bomb", "1.0"), project("app", "1.0", requires=["bomb"]))
    silent = {"advertise_metadata": False, "serve_metadata": False, "hashes": "none", "sizes": False}
    server = serve(world, **silent, json_api=False, pypi_shaped=False)
    server.misbehave("*/bomb-*.whl", faults.instead(faults.bomb_wheel("bomb", "1.0")))
    mirror.configure(server.url, packages={"app": "latest"})
    report = mirror.sync()
    assert any("bomb-1.0-py3-none-any.whl: its requirements are not known" in warning for warning in report["warnings"])
    assert mirror.published() == {"app": wheels("app 1.0"), "bomb": wheels("bomb 1.0")}
    assert mirror.page("bomb")["files"][0].get("core-metadata", False) is False


@pytest.mark.parametrize("content_type", ["text/html", "application/xhtml+xml", ""])
def test_a_page_of_a_hotel_is_not_a_project_without_files(serve: ServeWorld, mirror: Mirror, content_type: str) -> None:
    """A portal that answers every question with its login page: nothing was removed. No type is read as HTML."""
    server = serve(World.of(project("app", "1.0")))
    mirror.configure(server.url, packages={"app": "latest"}, on_removal="prune")
    mirror.sync()
    before = files_below(mirror.tree)
    server.misbehave("*", faults.instead(b"<html>Welcome to the hotel</html>", content_type))
    error = mirror.refuses(status=6)
    assert "an HTML page that is no page of a project came instead" in error["message"]
    assert files_below(mirror.tree) == before
    server.behave()
    assert mirror.sync()["outcome"] == "unchanged"
