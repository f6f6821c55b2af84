"""The chains that keep a release, from a root to it, shortest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.chains import Background, Chain, Kept, Link, chains_of, shortest_links
from pypim.core.names import parse_name
from pypim.core.selection import ChosenRelease, Reason, Selection, Share
from pypim.core.steps import OwnRequirement, ReleaseKey
from tests.core.offers import Following, Offer, World, choose, pythons, small

D = parse_name("d")
RESOLVE = Following(versions="resolve")
DIAMOND = small(
    {
        "a": {"1.0": ["b", "c"]},
        "b": {"1.0": ["c>=1"]},
        "c": {"1.0": ["d"]},
        "d": {"1.0": ["a; python_version > '3.11'"]},
    },
    "a",
    targets=pythons("3.11", "3.12"),
)
EVERYWHERE = ("t cpython 3.11 linux", "t cpython 3.12 linux")


def texts(chain: Chain) -> str:
    return " → ".join(map(str, chain.links)).replace("command line: ", "")


def explained(world: World, name: str, version: str | None = None) -> list[str]:
    """The chains of the one release of a project, or of one of them, as text."""
    background = Background(own=own_of(world))
    (kept,) = chains_of(choose(world), parse_name(name), version, background)
    assert kept.is_complete
    return [texts(chain) for chain in kept.chains]


def own_of(world: World) -> Callable[[ReleaseKey], Iterable[OwnRequirement]]:
    def own(key: ReleaseKey) -> Iterable[OwnRequirement]:
        project, version = key
        for filename, offer in world.projects[parse_name(project)].items():
            for text in offer.requires:
                if text.startswith(f"{project}[") and f"-{version}" in filename:
                    yield OwnRequirement(text, EVERYWHERE)

    return own


def test_every_chain_is_found_the_shortest_first() -> None:
    (kept,) = chains_of(choose(DIAMOND), D)
    assert (kept.project, kept.version) == ("d", "1.0")
    assert [texts(chain) for chain in kept.chains] == [
        "a → a 1.0: c → c 1.0: d",
        "a → a 1.0: b → b 1.0: c>=1 → c 1.0: d",
    ]
    assert [[(link.project, link.version) for link in chain.links] for chain in kept.chains[:1]] == [
        [("a", "1.0"), ("c", "1.0"), ("d", "1.0")]
    ]


def test_a_cycle_comes_to_an_end() -> None:
    """That d requires a keeps nothing that is not kept anyway: d is there for a alone."""
    assert explained(DIAMOND, "a") == ["a"]


def test_a_chain_holds_where_all_of_its_links_hold() -> None:
    world = small(
        {
            "a": {"1.0": ["b; python_version < '3.12'", "c"]},
            "b": {"1.0": ["d"]},
            "c": {"1.0": ["b; python_version >= '3.12'", "d; python_version > '3.12'"]},
            "d": {"1.0": []},
        },
        "a",
        targets=pythons("3.11", "3.12", "3.13"),
    )
    (kept,) = chains_of(choose(world), D)
    assert [(texts(chain), chain.environments) for chain in kept.chains] == [
        ("a → a 1.0: b; python_version < '3.12' → b 1.0: d", ("t cpython 3.11 linux",)),
        ("a → a 1.0: c → c 1.0: d; python_version > '3.12'", ("t cpython 3.13 linux",)),
        (
            "a → a 1.0: c → c 1.0: b; python_version >= '3.12' → b 1.0: d",
            ("t cpython 3.12 linux", "t cpython 3.13 linux"),
        ),
    ]


def test_a_way_that_holds_nowhere_is_no_chain() -> None:
    world = small(
        {
            "a": {"1.0": ["b; python_version < '3.12'"]},
            "other": {"1.0": ["b"]},
            "b": {"1.0": ["d; python_version >= '3.12'"]},
            "d": {"1.0": []},
        },
        "a",
        "other",
        targets=pythons("3.11", "3.12"),
    )
    assert explained(world, "d") == ["other → other 1.0: b → b 1.0: d; python_version >= '3.12'"]


EXTRAS = small(
    {
        "plain": {"1.0": ["lib"]},
        "quick": {"1.0": ["lib[fast]"]},
        "whole": {"1.0": ["lib[all]"]},
        "lib": {"1.0": Offer(requires=("lib[fast]; extra == 'all'", "d; extra == 'fast'"), extras=("all", "fast"))},
        "d": {"1.0": []},
    },
    "plain",
    "quick",
    "whole",
    "lib[fast]",
    targets=pythons("3.11", "3.12"),
)


def test_what_an_extra_brings_in_is_kept_by_who_asks_for_the_extra() -> None:
    """Also by way of another extra of the same release; who does not ask for it keeps nothing by it."""
    assert explained(EXTRAS, "d") == [
        "lib[fast] → lib[fast] 1.0: d; extra == 'fast'",
        "quick → quick 1.0: lib[fast] → lib[fast] 1.0: d; extra == 'fast'",
        "whole → whole 1.0: lib[all] → lib[all] 1.0: lib[fast]; extra == 'all' → lib[fast] 1.0: d; extra == 'fast'",
    ]
    (kept,) = chains_of(choose(EXTRAS), D)
    assert kept.chains[0].links[-1] == Link(
        by="lib 1.0", requirement="d; extra == 'fast'", extra="fast", project="d", version="1.0"
    )


def test_the_extras_of_a_key_of_packages_and_those_that_every_root_gets_count() -> None:
    reason = Reason(
        origin="", parent_project="lib", parent_version="1.0", requirement="d; extra == 'fast'", environments=("any",)
    )

    def kept(origin: str, root_extras: frozenset[str] | None) -> list[str]:
        root = Reason(origin=origin, requirement="latest", environments=("any",))
        other = Reason(origin="packages.lib[other]", requirement="1.0", environments=("any",))
        selection = Selection(
            releases=(
                ChosenRelease(project=D, version="1.0", files=(), reasons=(reason,)),
                ChosenRelease(project=parse_name("lib"), version="1.0", files=(), reasons=(other, root)),
            )
        )
        named = None if root_extras is None else frozenset(map(parse_name, root_extras))
        (found,) = chains_of(selection, D, None, Background(root_extras=named))
        return [chain.links[0].by for chain in found.chains]

    assert kept("packages.lib[Fast, more]", frozenset()) == ["packages.lib[Fast, more]"]
    assert kept("packages.lib", frozenset(("fast",))) == ["packages.lib", "packages.lib[other]"]
    assert kept("packages.lib", None) == ["packages.lib", "packages.lib[other]"]
    # Nobody is known to ask for it, and yet it was chosen: then any of them may have.
    assert kept("packages.lib", frozenset()) == ["packages.lib", "packages.lib[other]"]


BUILDS = small(
    {
        "a": {"1.0": ["old"]},
        "old": {"old-1.0.tar.gz": Offer(build_requires=("tool<2",))},
        "new": {"1.0": ["tool"]},
        "tool": {"1.0": ["part"], "2.0": []},
        "part": {"1.0": []},
    },
    "a",
    "new",
    targets=pythons("3.11", "3.12"),
    dependencies=RESOLVE,
)


def test_what_builds_a_release_is_shown_as_such() -> None:
    """A build is installed by itself: another release of the same project may stand beside it."""
    assert explained(BUILDS, "part") == ["a → a 1.0: old → old 1.0: tool<2 (to build it) → tool 1.0: part"]
    assert explained(BUILDS, "tool", "2.0") == ["new → new 1.0: tool"]
    (kept,) = chains_of(choose(BUILDS), parse_name("part"))
    assert [link.is_build for link in kept.chains[0].links] == [False, False, True, False]


SPLIT = small(
    {
        "free": {"1.0": ["mid"]},
        "bound": {"1.0": ["mid", "lid"]},
        "lid": {"1.0": ["d<2"]},
        "mid": {"1.0": ["d"]},
        "d": {"1.0": [], "2.0": []},
    },
    "free",
    "bound",
    targets=pythons("3.12"),
    dependencies=RESOLVE,
)


def test_a_requirement_leads_each_root_to_the_release_that_comes_with_it() -> None:
    """mid requires any d: it is 2.0 for the sake of free, and 1.0 for the sake of bound, which cannot have another."""
    assert explained(SPLIT, "d", "2.0") == ["free → free 1.0: mid → mid 1.0: d"]
    assert explained(SPLIT, "d", "1.0") == ["bound → bound 1.0: lid → lid 1.0: d<2"]


def test_what_steps_back_for_a_root_is_kept_by_that_root() -> None:
    """b 2.0 cannot be installed beside c, so a has b 1.0, and b 2.0 is there for the root that is b itself."""
    world = small(
        {
            "a": {"1.0": ["b", "c"]},
            "b": {"1.0": ["e"], "2.0": ["d>=2", "e"]},
            "c": {"1.0": ["d<2"]},
            "d": {"1.0": [], "2.0": []},
            "e": {"1.0": []},
        },
        "a",
        "b",
        targets=pythons("3.12"),
        dependencies=RESOLVE,
    )
    assert explained(world, "b", "1.0") == ["a → a 1.0: b"]
    assert explained(world, "b", "2.0") == ["b"]
    assert explained(world, "d", "2.0") == ["b → b 2.0: d>=2"]
    assert explained(world, "e") == ["b → b 2.0: e", "a → a 1.0: b → b 1.0: e"]


def test_what_the_lines_of_a_file_need_together_is_kept_by_them() -> None:
    """By itself each has d 2.0 or d 1.0; installed together, as `pip install -r` does, both have d 1.0."""
    everywhere = ("any",)
    lines = [
        Reason(origin=f"requirements.txt:{n}", requirement=name, environments=everywhere) for n, name in enumerate("ab")
    ]
    alone, together, both = ((Share(everywhere, numbers),) for numbers in ((1,), (2,), (0, 2)))
    selection = Selection(
        releases=(
            _release("a", "1.0", lines[0], shares=(both,)),
            _release("b", "1.0", lines[1], shares=((Share(everywhere, (1, 2)),),)),
            _release("c", "1.0", _needs("a", "c"), shares=(both,)),
            _release("d", "1.0", _needs("b", "d<2"), _needs("c", "d"), shares=(alone, together)),
            _release("d", "2.0", _needs("c", "d")),
        )
    )
    one, two = chains_of(selection, D)
    assert [texts(chain) for chain in two.chains] == ["requirements.txt:0: a → a 1.0: c → c 1.0: d"]
    assert [texts(chain) for chain in one.chains] == [
        "requirements.txt:1: b → b 1.0: d<2",
        "requirements.txt:0: a → a 1.0: c → c 1.0: d",
    ]


def _release(project: str, version: str, *reasons: Reason, shares: tuple[tuple[Share, ...], ...] = ()) -> ChosenRelease:
    return ChosenRelease(project=parse_name(project), version=version, files=(), reasons=reasons, shares=shares)


def test_where_every_requirement_gets_its_newest_each_chain_counts() -> None:
    newest = small(
        {"a": {"1.0": ["b", "d<2"]}, "b": {"1.0": ["d"]}, "d": {"1.0": [], "2.0": []}}, "a", targets=pythons("3.12")
    )
    assert explained(newest, "d", "2.0") == ["a → a 1.0: b → b 1.0: d"]
    assert explained(newest, "d", "1.0") == ["a → a 1.0: d<2"]


def test_one_version_or_all_of_them() -> None:
    world = small({"a": {"1.0": ["d<2"], "2.0": ["d"]}, "d": {"1.0": [], "2.0": []}}, "a<2", "a")
    selection = choose(world)
    assert [kept.version for kept in chains_of(selection, D)] == ["1.0", "2.0"]
    assert [kept.version for kept in chains_of(selection, D, "2.0")] == ["2.0"]
    assert [kept.version for kept in chains_of(selection, D, "2")] == ["2.0"]
    assert chains_of(selection, D, "3.0") == []
    assert chains_of(selection, parse_name("never")) == []


def test_the_links_of_every_release_begin_at_a_root() -> None:
    selection = choose(DIAMOND)
    links = shortest_links(selection.releases)
    assert set(links) == {(release.project, release.version) for release in selection.releases}
    assert all(found[0] == Link(by="command line", requirement="a") for found in links.values())


def test_a_release_whose_parent_is_gone_keeps_the_last_link() -> None:
    """As with `on-removal = "keep"`: what needed it is listed no more."""
    reason = Reason(origin="", parent_project="gone", parent_version="1.0", requirement="d", environments=("any",))
    selection = Selection(releases=(ChosenRelease(project=D, version="1.0", files=(), reasons=(reason,)),))
    (kept,) = chains_of(selection, D)
    assert [texts(chain) for chain in kept.chains] == ["gone 1.0: d"]


def test_releases_that_only_keep_each_other_say_so() -> None:
    """Nothing leads to them any more, and there is an answer all the same."""
    releases = tuple(
        ChosenRelease(
            project=parse_name(one),
            version="1.0",
            files=(),
            reasons=(
                Reason(origin="", parent_project=other, parent_version="1.0", requirement=one, environments=("any",)),
            ),
        )
        for one, other in (("a", "b"), ("b", "a"))
    )
    (kept,) = chains_of(Selection(releases=releases), parse_name("a"))
    assert [texts(chain) for chain in kept.chains] == ["b 1.0: a"]


# --- very many ------------------------------------------------------------------------------------------------------
def tangle(projects: int, roots: int) -> Selection:
    """Every project requires every other one, and each root all of them."""
    names = [f"p{number}" for number in range(projects)]
    everywhere = ("any",)
    reasons: dict[str, list[Reason]] = {name: [] for name in names}
    for number in range(roots):
        reasons[f"r{number}"] = [Reason(origin="packages", requirement=f"r{number}", environments=everywhere)]
    for parent in [*reasons]:
        for child in names:
            if child not in {parent, "p0"}:
                reasons[child].append(_needs(parent, child))
    reasons["p0"] = [_needs(parent, "p0") for parent in names[1:]]
    return Selection(
        releases=tuple(
            ChosenRelease(project=parse_name(name), version="1.0", files=(), reasons=tuple(found))
            for name, found in sorted(reasons.items())
        )
    )


def _needs(parent: str, child: str) -> Reason:
    return Reason(origin="", parent_project=parent, parent_version="1.0", requirement=child, environments=("any",))


def test_where_there_are_too_many_chains_each_root_has_its_shortest() -> None:
    """There are about 10^17 here; the answer says that it is not all."""
    selection = tangle(16, 2000)
    (kept,) = chains_of(selection, parse_name("p0"), most_steps=5000)
    assert not kept.is_complete
    shortest = [chain for chain in kept.chains if len(chain.links) == 3]
    assert {chain.links[0].requirement for chain in shortest} == {f"r{number}" for number in range(2000)}
    assert len(set(map(texts, kept.chains))) == len(kept.chains)


def test_every_chain_of_a_tangle_is_found_once_where_all_are_asked_for() -> None:
    """Each ordered choice of some of the other four projects leads on to p0: 4 + 12 + 24 + 24, for either root."""
    (kept,) = chains_of(tangle(5, 2), parse_name("p0"), most_steps=None)
    assert kept.is_complete
    assert len(set(map(texts, kept.chains))) == len(kept.chains) == 128
    lengths = [len(chain.links) for chain in kept.chains]
    assert lengths == sorted(lengths)


# --- generated ------------------------------------------------------------------------------------------------------
NAMES = "abcdef"
REQUIREMENTS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(NAMES),
    st.sampled_from(["", "", "[x]"]),
    st.sampled_from(["", "", "<2", ">=2"]),
    st.sampled_from(["", "", "; python_version < '3.12'", "; extra == 'x'"]),
)
WORLDS = st.builds(
    lambda projects, roots, versions: small(
        {
            name: {
                version: Offer(requires=tuple(requires), extras=("x",))
                for version, requires in zip(("1.0", "2.0"), releases, strict=True)
            }
            for name, releases in zip(NAMES, projects, strict=True)
        },
        *roots,
        targets=pythons("3.11", "3.12"),
        dependencies=Following(versions=versions),
    ),
    st.lists(st.tuples(*[st.lists(REQUIREMENTS, max_size=3)] * 2), min_size=len(NAMES), max_size=len(NAMES)),
    st.lists(st.sampled_from([*NAMES, "a[x]"]), min_size=1, max_size=3, unique=True),
    st.sampled_from(["newest", "resolve", "all"]),
)


@settings(max_examples=60, deadline=None)
@given(WORLDS)
def test_every_link_is_a_reason_of_the_release_that_it_leads_to(world: World) -> None:
    """Each chain begins at a root, goes on where it came to, with an extra only where it was asked for, and ends."""
    selection = choose(world)
    by_key = {(release.project, release.version): release for release in selection.releases}
    background = Background(own=own_of(world))
    for release in selection.releases:
        (kept,) = chains_of(selection, release.project, release.version, background)
        assert kept.chains
        for chain in kept.chains:
            follow_by_hand(kept, chain, {str(key): one for key, one in by_key.items()})


def follow_by_hand(kept: Kept, chain: Chain, releases: dict[str, ChosenRelease]) -> None:
    last = chain.links[-1]
    assert (last.project, last.version) == (kept.project, kept.version)
    assert chain.environments
    before = ""
    for link in chain.links:
        assert not before or link.by == before
        reasons = releases[str((link.project, link.version))].reasons
        own = link.by == f"{link.project} {link.version}"
        holds = [one.environments for one in reasons if one.requirement == link.requirement]
        assert own or any(set(chain.environments) <= set(environments) for environments in holds)
        assert (f"extra == '{link.extra}'" in link.requirement) == bool(link.extra)
        before = f"{link.project} {link.version}"
    following = [link.extra for link in chain.links[1:]] + [""]
    passed = [(link.project, link.version, extra) for link, extra in zip(chain.links, following, strict=True)]
    assert len(set(passed)) == len(passed)
