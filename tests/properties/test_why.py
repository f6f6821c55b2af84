"""What `why` says is true: a release is kept by exactly those roots for which it would be held if each were alone.

That is the whole oracle: what is held for several roots is all that is held for each of them by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pypim.core.names import parse_name
from pypim.core.target import environments
from pypim.store.memory import MemoryMetadataCache
from pypim.sync.why import WhyAnswerer
from tests.core.offers import Following, Offer, World, digest, pythons, resolve, small
from tests.properties.test_resolve import SPECIFIERS, worlds

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from pypim.core.selection import Selection

Held = dict[tuple[str, str], set[str]]
"""Project and version → the environments."""

_AT_PATCH = ('python_version < "3.12"', 'python_full_version < "3.12.4"')

many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def built(draw: DrawFn) -> World:
    """Worlds where some releases are sdists only, which others of the same projects build; constraints spare builds."""
    world = draw(worlds())
    projects: dict[str, dict[str, Offer]] = {}
    for name, files in world.projects.items():
        projects[name] = {}
        for filename, offer in files.items():
            version = filename.split("-")[1]
            if draw(st.integers(0, 2)):
                projects[name][filename] = offer
            else:
                tools = st.builds("{}{}".format, st.sampled_from([*world.projects]), st.sampled_from(SPECIFIERS))
                needed = tuple(draw(st.lists(tools, max_size=2)))
                projects[name][f"{name}-{version}.tar.gz"] = msgspec.structs.replace(offer, build_requires=needed)
    constraints = draw(st.sampled_from([(), (), ("a<3",), ("b>=2", "c<3")]))
    return msgspec.structs.replace(world, projects=projects, constraints=constraints)


def at_patches(world: World) -> World:
    """The same, but what a Python decides, some patch release of it does: then one environment has two answers."""
    changed = {
        name: {
            filename: msgspec.structs.replace(
                offer, requires=tuple(text.replace(*_AT_PATCH) for text in offer.requires)
            )
            for filename, offer in files.items()
        }
        for name, files in world.projects.items()
    }
    return msgspec.structs.replace(world, projects=changed)


def held_for(world: World, root: str) -> Held:
    """What is held if nothing else is asked for."""
    found: Held = {}
    for release in resolve(msgspec.structs.replace(world, roots=(root,)))[1].releases:
        names = (name for reason in release.reasons for name in reason.environments)
        found[(release.project, release.version)] = set(names)
    return found


def answerer(world: World, selection: Selection) -> WhyAnswerer:
    metadata = MemoryMetadataCache()
    for project, files in world.projects.items():
        page = world.page(parse_name(project))
        assert page is not None
        for file in page.files:
            known = files[file.filename].metadata(page.name, file.filename)
            assert known is not None
            metadata.keep_metadata(digest(file.filename), known, None)
    return WhyAnswerer(selection, metadata, environments(world.targets), world.dependencies.options())


def told_for(world: World) -> dict[str, Held]:
    """Root → what is kept because of it, as `why` says."""
    selection = resolve(world)[1]
    why = answerer(world, selection)
    found: dict[str, Held] = {str(root): {} for root in world.roots}
    for release in selection.releases:
        (kept,) = why.kept(release.project, release.version)
        assert kept.is_complete
        for chain in kept.chains:
            held = found[chain.links[0].requirement]
            held.setdefault((release.project, release.version), set()).update(chain.environments)
    return found


FORCED = small(
    {
        "a": {"1.0": ["b<2", "c"]},
        "b": {"1.0": [], "2.0": []},
        "c": {"1.0": ["d[x]"]},
        "d": {"1.0": Offer(requires=("b; extra == 'x'",), extras=("x",)), "2.0": Offer(requires=("b>=2",))},
    },
    "a",
    "c",
    "b<2",
    targets=pythons("3.12"),
    dependencies=Following(versions="resolve"),
)
"""c requires any d, and what it gets depends on who asks for c."""


OWN = small(
    {
        "a": {"1.0": ["b[y]"]},
        "b": {"1.0": Offer(requires=('a; extra == "y"', "b[y]>=2"), extras=("y",))},
        "c": {
            "c-1.0-py3-none-any.whl": Offer(requires=('d; extra == "x"',), extras=("x",)),
            "c-1.0-cp312-none-any.whl": Offer(
                requires=('c[x]; sys_platform == "win32"', 'd; extra == "x"'), extras=("x",)
            ),
        },
        "d": {"1.0": []},
    },
    "a",
    "b",
    "c",
    targets=pythons("3.12", platforms=("linux", "windows")),
    dependencies=Following(versions="resolve"),
)
"""b asks for an extra of another release of itself; one of two wheels of c for one of its own, on Windows."""


@many
@given(worlds() | worlds(is_odd=True) | built() | worlds().map(at_patches))
@example(FORCED)
@example(OWN)
def test_why_names_every_root_that_keeps_a_release_and_no_other(world: World) -> None:
    """On each environment."""
    assert told_for(world) == {str(root): held_for(world, str(root)) for root in world.roots}
