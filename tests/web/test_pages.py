"""Rendered pages: rendered once for however many, wherever it is done, and bounded whatever is asked of them."""

from __future__ import annotations

import asyncio

import pytest

from pypim.core.model import Page
from pypim.core.names import parse_name
from pypim.core.negotiate import HTML_TYPE, JSON_TYPE
from pypim.core.served import file_path
from pypim.web.pages import Pages, RenderedPage
from tests.index.shelf import Shelf, dist_file


def page_of(name: str, files: int) -> Page:
    return Page(name=parse_name(name), files=tuple(dist_file(f"{name}-{n}.0-py3-none-any.whl") for n in range(files)))


def pages_of(*pages: Page, most_bytes: int = 1 << 30) -> Pages:
    return Pages({"shelf": Shelf("shelf", *pages)}, {"shelf": "no-cache"}, most_bytes)


@pytest.mark.parametrize("files", [3, 2000])
async def test_many_who_ask_at_once_share_one_rendering(files: int) -> None:
    pages = pages_of(page_of("foo", files))
    name = parse_name("foo")
    page = await pages.page("shelf", name)
    assert isinstance(page, RenderedPage)
    forms = await asyncio.gather(*(pages.form("shelf", name, page, JSON_TYPE) for _ in range(20)))
    assert all(form is forms[0] for form in forms)
    assert page.form(JSON_TYPE) is forms[0]
    assert forms[0].plain.content == page.render(JSON_TYPE).plain.content


async def test_others_have_their_turn_while_a_long_page_is_rendered() -> None:
    pages = pages_of(page_of("foo", 5000))
    name = parse_name("foo")
    page = await pages.page("shelf", name)
    assert isinstance(page, RenderedPage)
    rendering = asyncio.ensure_future(pages.form("shelf", name, page, HTML_TYPE))
    turns = 0
    while not rendering.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2


async def test_pages_of_which_only_files_are_asked_for_are_bounded_too() -> None:
    names = [f"project{number}" for number in range(50)]
    pages = pages_of(*(page_of(name, 10) for name in names), most_bytes=100_000)
    for text in names:
        name = parse_name(text)
        page = await pages.page("shelf", name)
        assert page.file(file_path(dist_file(f"{text}-1.0-py3-none-any.whl"))) is not None
    kept = [name for name in names if pages.current("shelf", parse_name(name)) is not None]
    assert 0 < len(kept) < 20
    assert kept[-1] == names[-1]
