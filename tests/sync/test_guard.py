"""A sync proves what it changed before it publishes: what installs from the index goes on to, or nothing flips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, files_below, pypim, report_of, wheels
from tests.worlds import faults
from tests.worlds.world import World, project, release, wheel

WORLD = World.of(
    project("app", "1.0", requires=["lib<2"]),
    project("lib", "1.0", "2.0"),
    project("other", "1.0", requires=["lib"]),
)
APP: Document = {"packages": {"app": "latest"}}
BOTH: Document = {"packages": {"app": "latest", "other": "latest"}}


@pytest.fixture(params=["resolve", "newest", "all"])
def versions(request: pytest.FixtureRequest) -> str:
    """The rule holds for every way in which dependencies are followed."""
    chosen: str = request.param
    return chosen


def refused(mirror: Mirror, *options: str) -> str:
    """What a sync says that is refused and leaves what is published as it was."""
    before = files_below(mirror.tree)
    error = mirror.refuses("--keep-going", *options, status=9)
    assert error["code"] == "unresolvable"
    assert "--force" in error["hint"]
    assert files_below(mirror.tree) == before
    message: str = error["message"]
    return message


# --- what is refused ------------------------------------------------------------------------------------------------
def test_a_filter_that_shrinks_the_index_too_far_is_refused(serve: ServeWorld, mirror: Mirror, versions: str) -> None:
    url = serve(WORLD).url
    mirror.configure(url, **BOTH, dependencies={"versions": versions})
    mirror.sync()
    mirror.configure(url, **BOTH, dependencies={"versions": versions}, filters={"exclude": ["lib<2"]})
    message = refused(mirror)
    line = message.splitlines()[1].strip()
    assert line.startswith('gone is lib 1.0 (filters.exclude: "lib<2"); so app latest (packages.app, app 1.0) ['), (
        "the cause comes first"
    )
    assert "[linux cpython 3.12 linux] cannot be installed: app 1.0 requires lib<2" in line
    assert "other" not in message
    document = mirror.run("status", "--json").expect().document
    assert document["indexes"][0]["last_outcome"] == "unresolvable"


def test_a_project_that_is_excluded_as_a_whole_is_taken_away_by_a_filter(
    serve: ServeWorld, mirror: Mirror, versions: str
) -> None:
    """A resolution leaves it aside, for it may come from elsewhere; from the index the root installs no more."""
    url = serve(WORLD).url
    mirror.configure(url, **APP, dependencies={"versions": versions})
    mirror.sync()
    mirror.configure(url, **APP, dependencies={"versions": versions}, filters={"exclude": ["lib"]})
    message = refused(mirror)
    assert 'gone is lib 1.0 (filters.exclude: "lib"); so app latest (packages.app, app 1.0) [' in message
    mirror.sync("--force")
    assert "lib" not in mirror.published()


def test_what_was_excluded_from_the_start_stops_no_sync(serve: ServeWorld, mirror: Mirror, versions: str) -> None:
    """Only what could be installed before is protected; what cannot is told in every sync."""
    server = serve(WORLD)
    mirror.configure(server.url, **APP, dependencies={"versions": versions}, filters={"exclude": ["lib"]})
    assert [one["reason"] for one in mirror.sync()["problems"]] == ['filters.exclude: "lib"']
    server.world = server.world.having(project("app", "1.0", "2.0", requires=["lib<2"]))
    assert [one["reason"] for one in mirror.sync()["problems"]] == ['filters.exclude: "lib"']
    assert "app-2.0-py3-none-any.whl" in mirror.published()["app"]


def test_a_new_release_that_needs_what_is_excluded_does_not_take_the_old_ones_place(
    serve: ServeWorld, mirror: Mirror
) -> None:
    """A complete resolution has found it to be installable, but for what the filter keeps out: that is no proof."""
    server = serve(project("app", "1.0"), project("lib", "1.0"))
    mirror.configure(server.url, **APP, filters={"exclude": ["lib"]})
    mirror.sync()
    server.world = server.world.having(project("app", release("1.0"), release("2.0", requires=["lib"])))
    assert "app 2.0 requires lib" in refused(mirror)


def test_the_lines_of_a_file_are_protected_as_a_whole(serve: ServeWorld, mirror: Mirror) -> None:
    """Each line can still be installed by itself, and all of them together cannot."""
    server = serve(
        project("left", release("1.0", requires=["base<2"]), release("2.0", requires=["base>=2"])),
        project("right", "1.0", requires=["base<2"]),
        project("base", "1.0", "2.0"),
    )
    mirror.configure(server.url, requirements=["asked.txt"])
    (mirror.folder / "asked.txt").write_text("left\nright\n")
    mirror.sync()
    server.world = server.world.having(project("left", release("2.0", requires=["base>=2"])))
    message = refused(mirror)
    assert "gone is left 1.0 (the upstream no longer lists it); so -r " in message
    assert "cannot be installed as a whole: " in message
    (mirror.folder / "asked.txt").write_text("left\nright\nbase\n")
    mirror.sync()


def test_a_file_that_never_fitted_together_stops_no_sync(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(project("base", "1.0", "2.0"), project("right", "1.0", requires=["base<2"]))
    mirror.configure(server.url, requirements=["asked.txt"])
    (mirror.folder / "asked.txt").write_text("base>1\nright\n")
    mirror.sync()
    server.world = server.world.having(project("base", "1.0", "2.0", "3.0"))
    mirror.sync()
    assert "base-3.0-py3-none-any.whl" in mirror.published()["base"]


def test_a_sync_that_only_takes_something_off_the_list_says_what(serve: ServeWorld, mirror: Mirror) -> None:
    """That is no "nothing new"."""
    url = serve(WORLD).url
    mirror.configure(url, **BOTH)
    mirror.sync()
    mirror.configure(url, packages={"other": "latest"})
    text = mirror.run("sync").expect().stdout
    assert "no longer listed: app 1.0 (1 file), lib 1.0 (1 file)" in text
    assert "nothing new" not in text
    mirror.configure(url, packages={"lib": ">=2"})
    assert mirror.sync()["outcome"] == "done"
    assert "nothing new" in mirror.run("sync").expect().stdout


def test_an_upstream_that_deletes_what_a_root_needs_is_not_followed(
    serve: ServeWorld, mirror: Mirror, versions: str
) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **BOTH, dependencies={"versions": versions})
    mirror.sync()
    server.world = server.world.having(project("lib", "2.0"))
    assert "lib 1.0 (the upstream no longer lists it)" in refused(mirror)
    server.world = server.world.having(project("lib", "1.0", "2.0", "2.1"))
    mirror.sync()
    assert "lib-2.1-py3-none-any.whl" in mirror.published()["lib"]


def test_a_wheel_that_requires_something_else_than_was_told_is_not_published(
    serve: ServeWorld, mirror: Mirror, versions: str
) -> None:
    """The core metadata of the wheels that were fetched counts, not that of the upstream's `.metadata`."""
    server = serve(WORLD)
    mirror.configure(server.url, **APP, dependencies={"versions": versions})
    mirror.sync()
    liar = release("2.0", wheel(requires=["nobody-has-it"], sidecar_requires=["lib"]))
    server.world = server.world.having(project("app", liar, release("1.0", requires=["lib<2"])))
    before = files_below(mirror.tree)
    once = mirror.run("sync", "--json")
    assert "what is needed is chosen again" in once.stderr
    assert once.status == (0 if versions == "resolve" else 3), "an older release stands in for it"
    assert mirror.published()["app"][0] == "app-1.0-py3-none-any.whl"
    assert versions == "resolve" or files_below(mirror.tree) == before


def test_a_new_release_of_a_root_that_nobody_can_install_does_not_take_the_old_ones_place(
    serve: ServeWorld, mirror: Mirror
) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **APP, dependencies={"versions": "newest"})
    mirror.sync()
    torn = release("2.0", requires=["lib<2", "other2"])
    world = server.world.having(project("app", torn, release("1.0", requires=["lib<2"])))
    server.world = world.having(project("other2", "1.0", requires=["lib>=2"]))
    error = mirror.refuses(status=9)
    assert "app latest (packages.app)" in error["message"]
    assert "app 1.0" in error["message"]


def test_a_root_that_is_gone_is_broken(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **BOTH, upstream={"removal-confirmations": 1})
    mirror.sync()
    server.world = server.world.without("other")
    assert "gone is other 1.0 (the upstream no longer has the project); so other" in refused(mirror)


def test_a_release_of_a_root_that_stays_listed_must_stay_installable(serve: ServeWorld, mirror: Mirror) -> None:
    """Also where another release of that root goes on to install."""
    server = serve(WORLD.having(project("app", release("1.0", requires=["lib<2"]), release("2.0", requires=["lib"]))))
    mirror.configure(server.url, packages={"app": "*"})
    mirror.sync()
    server.world = server.world.having(project("lib", "2.0"))
    message = refused(mirror)
    assert "app 1.0) [" in message
    assert "app 2.0) [" not in message


def test_only_the_targets_that_lose_something_are_named(serve: ServeWorld, mirror: Mirror) -> None:
    native = release("1.0", *(wheel(f"cp312-cp312-{tag}") for tag in ("win_amd64", "manylinux_2_17_x86_64")))
    server = serve(project("app", "1.0", requires=["native"]), project("native", native))
    targets = {"all": {"python": ["3.12"], "platforms": ["linux", "windows"]}}
    mirror.configure(server.url, targets=targets, **APP)
    mirror.sync()
    server.world = server.world.having(project("native", release("1.0", wheel("cp312-cp312-win_amd64"))))
    message = refused(mirror)
    assert "[all cpython 3.12 linux]" in message


def test_what_a_lock_names_must_stay(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, requirements=["pylock.toml"])
    file = server.world.file("lib-1.0-py3-none-any.whl")
    (mirror.folder / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "a test"\n[[packages]]\nname = "lib"\nversion = "1.0"\n'
        f'wheels = [{{ url = "{server.url}../{file.path}", hashes = {{ sha256 = "{file.sha256}" }} }}]\n'
    )
    mirror.sync()
    server.world = server.world.having(project("lib", "2.0"))
    assert "lib==1.0" in refused(mirror)


# --- what is not ----------------------------------------------------------------------------------------------------
def test_force_publishes_all_the_same_and_says_what_it_breaks(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **BOTH)
    mirror.sync()
    server.world = server.world.having(project("lib", "2.0"))
    refused(mirror)
    outcome = mirror.run("sync", "--keep-going", "--force").expect(1)
    assert "published by force, and it breaks what could be installed: gone is lib 1.0" in outcome.stderr
    assert mirror.published()["lib"] == wheels("lib 2.0")
    mirror.sync("--keep-going", status=1)


def test_force_alone_publishes_what_the_upstream_has_yanked_away(serve: ServeWorld, mirror: Mirror) -> None:
    world = World.of(project("app", "1.0", requires=["lib"]), project("lib", "1.0"))
    server = serve(world)
    mirror.configure(server.url, packages={"app": "latest"}, on_removal="prune")
    mirror.sync()
    server.world = world.having(project("lib", release("1.0", yanked="broken")))
    refused = mirror.run("sync").expect(9)
    assert "--force" in refused.stderr
    outcome = mirror.run("sync", "--force").expect(1)
    assert "published by force, and it breaks what could be installed" in outcome.stderr
    assert not [path for path in files_below(mirror.tree) if path.endswith("lib-1.0-py3-none-any.whl")]


def test_a_wheel_that_requires_more_than_was_told_is_followed_before_anything_is_published(
    serve: ServeWorld, mirror: Mirror
) -> None:
    """Also where what it requires turns out to require more; one sync, and what is published can be installed."""

    world = World.of(
        project("app", release("1.0", wheel(requires=["lib<2"], sidecar_requires=[]))),
        project("lib", release("1.0", wheel(requires=["deep"], sidecar_requires=[]))),
        project("deep", "1.0"),
    )
    mirror.configure(serve(world).url, packages={"app": "latest"})
    report = report_of(mirror.run("sync", "--json").expect())
    assert (report["outcome"], report["fetched_files"]) == ("done", 3)
    assert sorted(report["corrected"]) == ["app-1.0-py3-none-any.whl", "lib-1.0-py3-none-any.whl"]
    mirror.run("prove").expect()
    assert report_of(mirror.run("sync", "--json").expect())["outcome"] == "unchanged"


def test_force_is_no_option_of_plan(serve: ServeWorld, mirror: Mirror) -> None:
    """A plan publishes nothing."""
    mirror.configure(serve(WORLD).url, **APP)
    assert "--force" in mirror.run("plan", "--force").expect(2).stderr


def test_the_first_sync_and_what_never_installed_are_published(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD.having(project("bad", "1.0", requires=["nobody-has-it"])))
    mirror.configure(server.url, packages={"bad": "latest", "app": "latest"})
    mirror.sync("--keep-going", status=1)
    server.world = server.world.having(project("bad", "1.0", "2.0", requires=["nobody-has-it"]))
    mirror.sync("--keep-going", status=1)
    assert "bad-2.0-py3-none-any.whl" in mirror.published()["bad"]


def test_what_is_no_longer_asked_for_may_go(serve: ServeWorld, mirror: Mirror, versions: str) -> None:
    """Roots, their rules and targets that left the request do not count."""
    url = serve(WORLD).url
    dependencies = {"versions": versions}
    targets = {"all": {"python": ["3.11", "3.12"], "platforms": ["linux"]}}
    mirror.configure(url, targets=targets, packages={"app": "latest", "lib": "*"}, dependencies=dependencies)
    mirror.sync()
    fewer = {"all": {"python": ["3.12"], "platforms": ["linux"]}}
    mirror.configure(url, targets=fewer, packages={"lib": ">=2"}, dependencies=dependencies)
    mirror.sync()
    assert mirror.published() == {"lib": wheels("lib 2.0")}


def test_a_project_that_a_pattern_names_may_go(serve: ServeWorld, mirror: Mirror) -> None:
    """It is no failure if it offers nothing; while it is offered it must stay installable."""
    server = serve(WORLD)
    mirror.configure(server.url, patterns={"app|other": "latest"})
    mirror.sync()
    mirror.configure(server.url, patterns={"app|other": "latest"}, filters={"exclude": ["other"]})
    mirror.sync()
    assert list(mirror.published()) == ["app", "lib"]
    server.world = server.world.having(project("lib", "2.0"))
    assert "app latest (patterns.app|other" in refused(mirror)


def test_what_is_quarantined_goes_at_once(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 792: whatever needs it."""
    server = serve(WORLD)
    mirror.configure(server.url, **BOTH)
    mirror.sync()
    server.world = server.world.having(project("lib", "1.0", "2.0", status="quarantined"))
    mirror.sync("--keep-going", status=1)
    assert mirror.published()["lib"] == []


def test_where_nothing_changes_nothing_is_proved(serve: ServeWorld, mirror: Mirror, versions: str) -> None:
    """Nor is a root that reaches nothing that changed, nor, in a complete resolution, what was just resolved."""
    server = serve(WORLD.having(project("alone", "1.0")))
    mirror.configure(server.url, packages={"app": "latest", "alone": "latest"}, dependencies={"versions": versions})
    assert "prove" not in mirror.run("sync").expect().stderr
    assert "prove" not in mirror.run("sync").expect().stderr
    server.world = server.world.having(project("alone", "1.0", "2.0"))
    proved = mirror.run("sync").expect().stderr
    assert ("prove: 1 root\n" in proved) if versions != "resolve" else ("prove" not in proved)


def test_an_upstream_that_fails_breaks_nothing(serve: ServeWorld, mirror: Mirror) -> None:
    """What could not be fetched leaves listed what was listed before, and so the run is not refused."""
    server = serve(WORLD)
    mirror.configure(server.url, **BOTH)
    mirror.sync()
    server.world = server.world.having(project("other", "1.0", "2.0", requires=["lib"]))
    server.misbehave("*other-2.0*.whl", faults.status(404))
    mirror.sync("--keep-going", status=1)
    assert mirror.published()["other"] == wheels("other 1.0")


def test_a_refused_sync_can_be_mended(serve: ServeWorld, mirror: Mirror) -> None:
    """What was fetched is kept, and the next sync goes on from there."""
    server = serve(WORLD)
    mirror.configure(server.url, **BOTH)
    mirror.sync()
    server.world = World.of(
        project("app", "1.0", requires=["lib<2"]),
        project("lib", "2.0", "3.0"),
        project("other", "1.0", "2.0", requires=["lib"]),
    )
    refused(mirror)
    mirror.configure(server.url, packages={"other": "latest"})
    report = mirror.sync()
    assert report["fetched_files"] == 0
    assert mirror.published() == {"lib": wheels("lib 3.0"), "other": wheels("other 2.0")}


def test_a_mirror_without_a_configuration_is_guarded_too(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(WORLD)
    mirror: list[Any] = ["--to", tmp_path / "m"]
    pypim("sync", "app", "other", *mirror, "--upstream", server.url).expect()
    server.world = server.world.having(project("lib", "2.0"))
    pypim("sync", "--keep-going", *mirror).expect(9)
    pypim("sync", "--keep-going", "--force", *mirror).expect(1)
