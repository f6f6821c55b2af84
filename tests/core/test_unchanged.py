"""Whether anything that a selection depends on has changed, told by serials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.names import parse_name
from pypim.core.unchanged import digest_of as digest_of_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def digest_of(configuration: str, serials: Mapping[str, int | None], consulted: Iterable[str]) -> str | None:
    listed = {parse_name(name): serial for name, serial in serials.items()}
    return digest_of_names(configuration, listed, [parse_name(name) for name in consulted])


def test_equal_inputs_give_equal_digests_in_any_order() -> None:
    assert digest_of("c", {"a": 1, "b": 2}, ["a", "b"]) == digest_of("c", {"b": 2, "a": 1}, ["b", "a", "a"])


def test_a_change_of_the_configuration_or_of_a_serial_is_a_change() -> None:
    before = digest_of("c", {"a": 1}, ["a"])
    assert digest_of("d", {"a": 1}, ["a"]) != before
    assert digest_of("c", {"a": 2}, ["a"]) != before


def test_other_projects_of_the_upstream_do_not_matter() -> None:
    assert digest_of("c", {"a": 1, "z": 5}, ["a"]) == digest_of("c", {"a": 1, "z": 6}, ["a"])


def test_a_project_that_appears_or_goes_is_a_change() -> None:
    assert digest_of("c", {}, ["a"]) != digest_of("c", {"a": 0}, ["a"])
    assert digest_of("c", {"a": 1}, ["a"]) != digest_of("c", {"a": 1, "b": 1}, ["a", "b"])


def test_a_listed_project_without_a_serial_can_tell_nothing() -> None:
    assert digest_of("c", {"a": None}, ["a"]) is None
