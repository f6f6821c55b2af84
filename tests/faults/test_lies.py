"""An upstream that lies, about sizes, hashes, metadata, serials, validators: what stands is right, the truth heals it.

Each lie is told during one sync of a mirror; then the upstream tells the truth again, and one more sync must lead to
what a new mirror has.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.runs import complaints
from tests.faults.scenes import Scene
from tests.worlds import faults

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the driver forks")

Change = Callable[[dict[str, Any]], None]


def files(change: Callable[[dict[str, Any]], None]) -> faults.Fault:
    """Every file of every page says something else."""

    def spoil(page: dict[str, Any]) -> None:
        for file in page.get("files", ()):
            change(file)

    return faults.changed_page(spoil)


def told_in_full(lie: faults.Fault) -> faults.Fault:
    """Where there is a body to lie in; what is not the truth does not have the validator of the truth."""

    def fault(response: faults.Response) -> faults.Response:
        if response.status != 200:
            return response
        told = lie(response)
        return faults.changed_headers(etag=None)(told) if told.body != response.body else told

    return fault


def header(**values: str | None) -> faults.Fault:
    return faults.changed_headers(**values)


def list_of(change: Change) -> faults.Fault:
    """The list of all projects says something else; pages do not."""

    def fault(response: faults.Response) -> faults.Response:
        if "json" not in response.headers.get("Content-Type", ""):
            return response
        page = json.loads(response.body)
        if "projects" not in page:
            return response
        change(page)
        return replace(response, body=json.dumps(page).encode())

    return fault


def swap_hashes(page: dict[str, Any]) -> None:
    """Each file has the hash of another."""
    hashes = [file["hashes"] for file in page.get("files", ())]
    for file, wrong in zip(page.get("files", ()), [*hashes[1:], *hashes[:1]], strict=True):
        file["hashes"] = wrong


def set_key(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda item: item.__setitem__(key, value)


LIES: dict[str, faults.Fault] = {
    "size too large": files(lambda file: file.update(size=file.get("size", 0) + 1)),
    "size too small": files(lambda file: file.update(size=1)),
    "size of nothing": files(set_key("size", 0)),
    "size below nothing": files(set_key("size", -5)),
    "size beyond everything": files(set_key("size", 1 << 70)),
    "size as text": files(set_key("size", "many")),
    "no size": files(lambda file: file.pop("size", None)),
    "hash of nothing": files(set_key("hashes", {"sha256": "0" * 64})),
    "hash too short": files(set_key("hashes", {"sha256": "abc"})),
    "hashes of others": faults.changed_page(swap_hashes),
    "only a weak hash": files(set_key("hashes", {"md5": "0" * 32})),
    "no hashes": files(set_key("hashes", {})),
    "metadata with another hash": files(set_key("core-metadata", {"sha256": "0" * 64})),
    "metadata that is not there": files(set_key("core-metadata", True)),
    "requires-python for nobody": files(set_key("requires-python", "<3")),
    "requires-python unreadable": files(set_key("requires-python", "everything")),
    "uploaded in the future": files(set_key("upload-time", "2999-01-01T00:00:00.000000Z")),
    "uploaded never": files(set_key("upload-time", "yesterday")),
    "all yanked": files(set_key("yanked", "because")),
    "yanked by a number": files(set_key("yanked", 7)),
    "another name": faults.changed_page(set_key("name", "other")),
    "a future API": faults.changed_page(set_key("meta", {"api-version": "9.0"})),
    "no files": faults.changed_page(set_key("files", [])),
    "an empty list": list_of(set_key("projects", [])),
    "serial of the past": header(x_pypi_last_serial="1"),
    "serial of nothing": header(x_pypi_last_serial="0"),
    "serial below nothing": header(x_pypi_last_serial="-3"),
    "serial beyond everything": header(x_pypi_last_serial="9" * 40),
    "serial as text": header(x_pypi_last_serial="new"),
    "no serial": header(x_pypi_last_serial=None),
    "an etag for everything": header(etag='"same"'),
    "no etag": header(etag=None),
    "fresh for ever": header(cache_control="max-age=999999999"),
    "served as HTML": lambda response: header(content_type="text/html")(header(etag=None)(response)),
    "served as nothing": lambda response: header(content_type="")(header(etag=None)(response)),
    "metadata of nobody": faults.instead(b"Metadata-Version: 2.1\nName: nobody\nVersion: 1\n"),
}
PATTERNS = {"metadata of nobody": "*.metadata"}


def believe(scene: Scene, name: str) -> list[str]:
    """What is wrong after a sync that was lied to, and after the next one, which was not."""
    folder = scene.copy(f"lied-{name.replace(' ', '-')}")
    scene.server.misbehave(PATTERNS.get(name, "/simple/*"), told_in_full(LIES[name]))
    outcome = scene.run(folder)
    scene.server.behave()
    found = [f"{name}: {one}" for one in complaints(outcome)]
    if name != "fresh for ever":  # believed for a day at most, and here there is no day to wait
        found += [f"{name}: {one}" for one in scene.finish(folder)]
    shutil.rmtree(folder)
    return found


@pytest.mark.parametrize("names", [list(LIES)[::6]], ids=["some"])
def test_no_lie_is_published_and_the_truth_heals_it(tmp_path: Path, names: list[str]) -> None:
    with Scene("second", tmp_path) as scene:
        assert [one for name in names for one in believe(scene, name)] == []


@pytest.mark.slow
@pytest.mark.parametrize("scene_name", ["second", "linked"])
def test_no_lie_at_all_is_published(tmp_path: Path, scene_name: str) -> None:
    with Scene(scene_name, tmp_path) as scene:
        assert [one for name in LIES for one in believe(scene, name)] == []
