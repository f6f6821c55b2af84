"""`exclude-dependents`: what depends on something that filters keep out goes with it, as PyPIM had it."""

from __future__ import annotations

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, releases_in
from tests.worlds.world import World, project

WORLD = World.of(
    project("app", "1.0", requires=["middle"]),
    project("middle", "1.0", requires=["forbidden>=1", "shared"]),
    project("optional", "1.0", requires=['forbidden; extra == "more"', "shared"]),
    project("other", "1.0", requires=["shared"]),
    project("shared", "1.0"),
    project("forbidden", "1.0"),
)
ROOTS = {"app": "latest", "optional": "latest", "other": "latest"}
FILTERS = {"exclude": ["forbidden"], "exclude_dependents": True}


@pytest.mark.parametrize("versions", ["resolve", "newest", "all"])
def test_what_depends_on_an_excluded_project_goes_with_it(serve: ServeWorld, mirror: Mirror, versions: str) -> None:
    """Directly or through others; what needs it only for an extra that nobody asked for stays."""
    mirror.configure(serve(WORLD).url, packages=ROOTS, filters=FILTERS, dependencies={"versions": versions})
    report = mirror.plan()
    assert releases_in(report) == ["optional 1.0", "other 1.0", "shared 1.0"]
    assert report["problems"] == []
    left_out = [warning for warning in report["warnings"] if "left out" in warning]
    assert left_out == [
        "app: left out, for it requires middle, which is left out",
        "middle: left out, for it requires forbidden>=1, which filters keep out",
    ]


def test_without_it_they_stay(serve: ServeWorld, mirror: Mirror) -> None:
    """The dependency is named, and is no failure."""
    mirror.configure(serve(WORLD).url, packages=ROOTS, filters={"exclude": ["forbidden"]})
    report = mirror.plan()
    assert releases_in(report) == ["app 1.0", "middle 1.0", "optional 1.0", "other 1.0", "shared 1.0"]


def test_an_excluded_root_goes_without_a_failure(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={**ROOTS, "forbidden": "latest"}, filters=FILTERS)
    report = mirror.plan()
    assert releases_in(report) == ["optional 1.0", "other 1.0", "shared 1.0"]
    assert "forbidden: left out, for filters keep it out" in report["warnings"]


def test_a_plan_shows_what_blocking_a_project_would_take_away(serve: ServeWorld, mirror: Mirror) -> None:
    """And a sync takes it away, though it could be installed until then."""
    mirror.configure(serve(WORLD).url, packages=ROOTS)
    mirror.sync()
    assert set(mirror.published()) == {"app", "forbidden", "middle", "optional", "other", "shared"}
    mirror.configure(serve(WORLD).url, packages=ROOTS, filters=FILTERS)
    report = mirror.plan()
    assert sorted(one["project"] for one in report["plan"]["removed"]) == ["app", "forbidden", "middle"]
    mirror.sync()
    assert {name for name, files in mirror.published().items() if files} == {"optional", "other", "shared"}


def test_no_older_release_takes_its_place(serve: ServeWorld, mirror: Mirror) -> None:
    """A project goes as a whole: nobody expects the release before the last one."""
    world = World.of(
        project("app", "1.0"),
        project("app", "2.0", requires=["forbidden"]),
        project("forbidden", "1.0"),
        project("other", "1.0"),
    )
    mirror.configure(serve(world).url, packages={"app": "latest", "other": "latest"}, filters=FILTERS)
    assert releases_in(mirror.plan()) == ["other 1.0"]


@pytest.mark.parametrize("patterns", [{}, {".*": "latest"}])
def test_a_mirror_without_dependencies_goes_by_the_catalog(
    serve: ServeWorld, mirror: Mirror, patterns: dict[str, str]
) -> None:
    """As PyPIM did: what the newest known release of each project requires decides, asked for by name or by pattern."""
    mirror.configure(
        serve(WORLD).url, packages=ROOTS, patterns=patterns, dependencies={"follow": False}, filters=FILTERS
    )
    mirror.run("metadata", "--all").expect()
    mirror.sync()
    held = {name for name, files in mirror.published().items() if files}
    assert held == {"optional", "other"} | ({"shared"} if patterns else set())
    assert "app: left out, for it requires middle, which is left out" in mirror.run("plan").expect().stderr
