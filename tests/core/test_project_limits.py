"""Filters of whole projects: what they say, and that unknown is not false."""

from __future__ import annotations

import pytest

from pypim.core.model import About, Page, ProjectStatus
from pypim.core.names import parse_name
from pypim.core.policy import Filters, Policy, filter_faults
from tests.store import values

FILES = (
    values.dist_file("app-1.0.tar.gz", size=600),
    values.dist_file("app-1.0-py3-none-any.whl", size=500),
    values.dist_file("app-2.0.tar.gz"),
)
ABOUT = About(
    classifiers=("Development Status :: 1 - Planning", "License :: OSI Approved :: MIT License"),
    licenses=("AGPL-3.0-only", "a whole text"),
)


def objections(
    filters: dict[str, object], about: About | None = ABOUT, status: ProjectStatus = ProjectStatus.ACTIVE
) -> list[str]:
    policy = Policy.compile(Filters(**filters), "filters")  # type: ignore[arg-type] # as a configuration gives them
    page = Page(name=parse_name("app"), files=FILES, status=status, about=about)
    return [one.reason for one in policy.limits.objections(page)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, []),
        ({"max_project_size": 1100}, []),
        ({"max_project_size": "1 kB"}, ["filters.max-project-size: 1,100 bytes in all, 1,000 are allowed"]),
        ({"max_releases": 2}, []),
        ({"max_releases": 1}, ["filters.max-releases: 2 releases, 1 are allowed"]),
        (
            {"exclude_classifiers": ("development status :: 1 *",)},
            ['filters.exclude-classifiers: "development status :: 1 *" (Development Status :: 1 - Planning)'],
        ),
        ({"exclude_classifiers": ("Development Status :: 7*",)}, []),
        ({"exclude_licenses": ("AGPL*",)}, ['filters.exclude-licenses: "AGPL*" (AGPL-3.0-only)']),
        ({"exclude_licenses": ("mit license",)}, ['filters.exclude-licenses: "mit license" (MIT License)']),
    ],
)
def test_each_filter_names_what_it_found(filters: dict[str, object], expected: list[str]) -> None:
    assert objections(filters) == expected


def test_what_a_project_does_not_say_is_not_held_against_it() -> None:
    assert objections({"exclude_classifiers": ("*",), "exclude_licenses": ("*",)}, None) == []


def test_a_status_is_excluded_by_its_name() -> None:
    excluded: dict[str, object] = {"exclude_statuses": ("archived",)}
    assert objections(excluded, status=ProjectStatus.ARCHIVED) == ['filters.exclude-statuses: "archived"']
    assert objections(excluded, status=ProjectStatus.DEPRECATED) == []


def test_faults_name_their_key() -> None:
    filters = Filters(max_releases=0, exclude_statuses=("dead",), max_project_size="much")
    assert [key for key, _ in filter_faults(filters, "filters")] == [
        "max-releases",
        "exclude-statuses",
        "max-project-size",
    ]
