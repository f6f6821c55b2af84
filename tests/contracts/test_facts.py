"""The contract of Facts, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from pypim.core.description import Description
from pypim.core.model import CoreMetadata, MetadataSource
from pypim.core.names import parse_name
from pypim.core.records import Gathered
from pypim.store.catalog import Catalog
from pypim.store.memory_facts import MemoryFacts
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pypim.core.records import KeptHead
    from pypim.core.required import KnownRequirement
    from pypim.ports import Facts

ROOT = "https://index.example/"
CLICK, FLASK, JINJA = parse_name("click"), parse_name("flask"), parse_name("jinja2")
TOLD = Description(
    version="3.0",
    summary="A web framework",
    author="Somebody",
    license_expression="BSD-3-Clause",
    keywords="web,wsgi",
    home_page="https://flask.example/",
    project_urls={"Source": "https://source.example/"},
    classifiers=("A :: One", "B :: Two"),
    requires_dist=("Click>=8", 'jinja2[i18n]<4; python_version < "4"'),
)


class Kept(NamedTuple):
    """The port, and how core metadata gets where it looks for it."""

    facts: Facts
    keep_metadata: Callable[[str, CoreMetadata], None]


@pytest.fixture(params=["catalog", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            own = catalog.of(values.owner(credentials="c0ffee"))

            def keep(key: str, metadata: CoreMetadata) -> None:
                own.metadata.keep_metadata(key, metadata, None)

            yield Kept(own.facts, keep)
    else:
        known: dict[str, CoreMetadata] = {}
        yield Kept(MemoryFacts(known.values), known.__setitem__)


def page(name: str = "flask", **fields: object) -> Gathered:
    """An answer with a page."""
    response = values.response(f"{ROOT}simple/{name}/", **fields)
    return Gathered(project=parse_name(name), response=response, page=values.page(name))


def document(told: Description | None = TOLD, name: str = "flask", **fields: object) -> Gathered:
    """An answer with a description, or that there is none."""
    response = values.response(f"{ROOT}pypi/{name}/json", **fields)
    return Gathered(project=parse_name(name), response=response, description=told)


def wheel_metadata(project: str, version: str, *requires: str, builds: tuple[str, ...] = ()) -> CoreMetadata:
    return CoreMetadata(
        name=project,
        version=version,
        requires_dist=requires,
        build_requires=builds,
        source=MetadataSource.WHEEL,
    )


def told(found: list[KnownRequirement]) -> list[tuple[str, str, str]]:
    return [(one.project, one.version, one.requirement) for one in found]


def head(kept: Kept, url: str) -> KeptHead:
    return kept.facts.heads([url])[url]


def test_what_was_never_kept_is_not_there(kept: Kept) -> None:
    assert kept.facts.heads([f"{ROOT}simple/flask/"]) == {}
    assert kept.facts.description("main", FLASK) is None
    assert kept.facts.requiring(CLICK) == []
    assert kept.facts.required_by(FLASK) == []
    kept.facts.keep("main", [])


def test_heads_tell_what_is_needed_to_ask_again(kept: Kept) -> None:
    kept.facts.keep("main", [page(), document(last_modified="Mon, 01 Jan 2024 00:00:00 GMT")])
    urls = [f"{ROOT}simple/flask/", f"{ROOT}pypi/flask/json", f"{ROOT}simple/none/"]
    heads = kept.facts.heads(urls)
    assert list(heads) == urls[:2] or set(heads) == set(urls[:2])
    assert (heads[urls[0]].etag, heads[urls[0]].serial, heads[urls[0]].is_decoded) == ('"abc"', 7, True)
    assert heads[urls[1]].last_modified == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert heads[urls[1]].is_decoded


def test_the_serial_of_the_page_counts_before_that_of_the_head(kept: Kept) -> None:
    one = page(serial=3)
    assert one.page is not None
    kept.facts.keep("main", [msgspec.structs.replace(one, page=msgspec.structs.replace(one.page, last_serial=9))])
    assert head(kept, one.response.url).serial == 9


def test_a_description_comes_back(kept: Kept) -> None:
    kept.facts.keep("main", [document()])
    assert kept.facts.description("main", FLASK) == TOLD
    assert kept.facts.description("other", FLASK) is None


def test_a_newer_description_replaces_all_of_the_older_one(kept: Kept) -> None:
    kept.facts.keep("main", [document()])
    newer = Description(version="4.0", requires_dist=("werkzeug",), classifiers=("B :: Two",))
    kept.facts.keep("main", [document(newer)])
    assert kept.facts.description("main", FLASK) == newer
    assert kept.facts.requiring(CLICK) == []
    assert told(kept.facts.required_by(FLASK)) == [("flask", "4.0", "werkzeug")]


def test_a_document_that_is_gone_takes_its_description_along(kept: Kept) -> None:
    kept.facts.keep("main", [document()])
    kept.facts.keep("main", [document(None, status=404, body=b"")])
    assert kept.facts.description("main", FLASK) is None
    assert kept.facts.requiring(CLICK) == []
    assert not head(kept, f"{ROOT}pypi/flask/json").is_decoded


def test_of_one_url_twice_in_one_call_the_later_answer_counts(kept: Kept) -> None:
    kept.facts.keep("main", [document(Description(summary="older")), document(Description(summary="newer"))])
    found = kept.facts.description("main", FLASK)
    assert found is not None
    assert found.summary == "newer"


def test_a_requirement_is_found_from_both_ends(kept: Kept) -> None:
    kept.keep_metadata("a" * 64, wheel_metadata("Flask", "3.0.0", "Click >= 8.1; extra == 'x'", "jinja2"))
    (one,) = kept.facts.requiring(CLICK)
    assert (one.project, one.version, one.required, one.requirement) == (
        "flask",
        "3.0.0",
        "click",
        "Click >= 8.1; extra == 'x'",
    )
    assert (one.specifier, one.marker, one.is_build, one.is_described) == (">=8.1", 'extra == "x"', False, False)
    assert [one.required for one in kept.facts.required_by(FLASK)] == ["click", "jinja2"]
    assert kept.facts.required_by(FLASK, "2.0") == []
    assert len(kept.facts.required_by(FLASK, "3.0.0")) == 2


def test_every_required_name_is_told_once(kept: Kept) -> None:
    assert kept.facts.required_names() == []
    kept.keep_metadata("a" * 64, wheel_metadata("flask", "3.0", "jinja2", "Click>=8", "click<9"))
    kept.keep_metadata("b" * 64, wheel_metadata("celery", "5.0", "click"))
    assert kept.facts.required_names() == ["click", "jinja2"]


def test_what_builds_an_sdist_is_required_too(kept: Kept) -> None:
    kept.keep_metadata("a" * 64, wheel_metadata("flask", "3", builds=("flit_core",)))
    (one,) = kept.facts.requiring(parse_name("flit-core"))
    assert one.is_build


def test_files_that_say_the_same_say_it_once(kept: Kept) -> None:
    for key in ("a" * 64, "b" * 64):
        kept.keep_metadata(key, wheel_metadata("flask", "3.0", "click"))
    assert len(kept.facts.requiring(CLICK)) == 1


def test_metadata_that_is_corrected_takes_its_old_requirements_along(kept: Kept) -> None:
    kept.keep_metadata("a" * 64, wheel_metadata("flask", "3.0", "click"))
    kept.keep_metadata("a" * 64, wheel_metadata("flask", "3.0", "jinja2"))
    assert kept.facts.requiring(CLICK) == []
    assert told(kept.facts.requiring(JINJA)) == [("flask", "3.0", "jinja2")]


def test_a_description_counts_only_where_nothing_better_is_known(kept: Kept) -> None:
    kept.facts.keep("main", [document()])
    (described,) = kept.facts.requiring(CLICK)
    assert described.is_described
    kept.keep_metadata("a" * 64, wheel_metadata("flask", "2.0", "click<8"))
    assert told(kept.facts.requiring(CLICK)) == [("flask", "2.0", "click<8"), ("flask", "3.0", "Click>=8")]
    kept.keep_metadata("b" * 64, wheel_metadata("flask", "3.0", "click>=8.1"))
    assert told(kept.facts.requiring(CLICK)) == [("flask", "2.0", "click<8"), ("flask", "3.0", "click>=8.1")]


def test_what_is_found_still_valid_stays(kept: Kept) -> None:
    kept.facts.keep("main", [document()])
    kept.facts.confirm([(f"{ROOT}pypi/flask/json", 5000.0, 6000.0), (f"{ROOT}pypi/none/json", 1.0, None)])
    assert kept.facts.description("main", FLASK) == TOLD
    assert kept.facts.heads([f"{ROOT}pypi/none/json"]) == {}
