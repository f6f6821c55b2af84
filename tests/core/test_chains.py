"""The chains that keep a release, from a root to it, shortest first."""

from __future__ import annotations

from pypim.core.chains import Chain, Link, chains_of, shortest_links
from pypim.core.names import parse_name
from pypim.core.selection import ChosenRelease, Reason, Selection
from tests.core.offers import choose, pythons, small

D = parse_name("d")
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


def texts(chain: Chain) -> str:
    return " → ".join(f"{link.by}: {link.requirement}" for link in chain.links)


def test_every_reason_has_a_chain_from_a_root_the_shortest_first() -> None:
    (kept,) = chains_of(choose(DIAMOND), parse_name("c"))
    assert (kept.project, kept.version) == ("c", "1.0")
    assert [texts(chain) for chain in kept.chains] == [
        "command line: a → a 1.0: c",
        "command line: a → a 1.0: b → b 1.0: c>=1",
    ]


def test_a_chain_leads_over_shortest_ways_only() -> None:
    (kept,) = chains_of(choose(DIAMOND), D)
    assert [texts(chain) for chain in kept.chains] == ["command line: a → a 1.0: c → c 1.0: d"]


def test_a_cycle_comes_to_an_end_and_its_last_link_says_where_it_holds() -> None:
    (kept,) = chains_of(choose(DIAMOND), parse_name("a"))
    root, around = kept.chains
    assert texts(root) == "command line: a"
    assert texts(around) == "command line: a → a 1.0: c → c 1.0: d → d 1.0: a; python_version > '3.11'"
    assert around.environments == ("t cpython 3.12 linux",)
    assert len(root.environments) == 2


def test_one_version_or_all_of_them() -> None:
    world = small({"a": {"1.0": ["d<2"], "2.0": ["d"]}, "d": {"1.0": [], "2.0": []}}, "a<2", "a")
    selection = choose(world)
    assert [kept.version for kept in chains_of(selection, D)] == ["1.0", "2.0"]
    assert [kept.version for kept in chains_of(selection, D, "2.0")] == ["2.0"]
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
