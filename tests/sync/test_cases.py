"""Cases of docs/cases.md that a mirror meets while it chooses and publishes; installers confirm what they are about."""

from __future__ import annotations

import pytest

from tests.clients.clients import pins, pip_resolve, uv_compile
from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, releases_in, wheels
from tests.worlds import faults
from tests.worlds.world import World, legacy, project, release, sdist, wheel


def test_old_formats_are_carried_where_they_are_asked_for(serve: ServeWorld, mirror: Mirror) -> None:
    """Case 49."""
    world = World.of(
        project("app", release("1.0", wheel(), legacy("egg"), legacy("wininst"), legacy("msi"), legacy("rpm")))
    )
    mirror.configure(serve(world).url, packages={"app": "latest"}).sync()
    assert mirror.published() == {"app": wheels("app 1.0")}
    formats = ["wheel", "egg", "wininst", "msi", "rpm"]
    mirror.configure(serve(world).url, packages={"app": "latest"}, filters={"formats": formats}).sync()
    assert mirror.published() == {"app": sorted(file.filename for file in world.files)}


def test_an_extra_that_asks_for_others_of_its_own_project(serve: ServeWorld, mirror: Mirror) -> None:
    """Case 56."""
    requires = ['app[x,all]; extra == "all"', 'lib; extra == "x"']
    world = World.of(
        project("app", release("1.0", wheel(), requires=requires, extras=["x", "all"])), project("lib", "1.0")
    )
    mirror.configure(serve(world).url, packages={"app[all]": "latest"}).sync()
    assert mirror.published() == {"app": wheels("app 1.0"), "lib": wheels("lib 1.0")}
    assert pins(uv_compile(mirror.url, "app[all]")) == {"app": "1.0", "lib": "1.0"}
    assert pip_resolve(mirror.url, "app[all]").expect_ok()


def test_wheels_of_one_release_that_require_different_things(serve: ServeWorld, mirror: Mirror) -> None:
    """Case 57 (PEP 643): what one wheel says is no word about another."""
    files = [wheel("py3-none-any", requires=["a"]), wheel("py3-none-manylinux_2_17_x86_64", requires=["b"])]
    world = World.of(project("app", release("1.0", *files)), project("a", "1.0"), project("b", "1.0"))
    mirror.configure(serve(world).url, packages={"app": "latest"})
    assert releases_in(mirror.plan()) == ["a 1.0", "app 1.0", "b 1.0"]


def test_a_requirement_that_pins_a_yanked_release(serve: ServeWorld, mirror: Mirror) -> None:
    """Case 59: pip installs it with a warning."""
    world = World.of(
        project("app", release("1.0", wheel(), requires=["lib==1.0"])),
        project("lib", release("1.0", wheel(), yanked="broken"), release("2.0", wheel())),
    )
    mirror.configure(serve(world).url, packages={"app": "latest"}).sync()
    assert mirror.published()["lib"] == wheels("lib 1.0")
    assert mirror.page("lib")["files"][0]["yanked"] == "broken"
    assert pip_resolve(mirror.url, "app").expect_ok()


def test_where_pip_and_uv_choose_different_prereleases_both_are_held(serve: ServeWorld, mirror: Mirror) -> None:
    """Case 60."""
    world = World.of(
        project("app", release("1.0", wheel(), requires=["lib>=1.0a1"])),
        project("lib", release("1.0", wheel()), release("2.0", wheel()), release("3.0b1", wheel())),
    )
    mirror.configure(serve(world).url, packages={"app": "latest"}).sync()
    uv = pins(uv_compile(mirror.url, "app"))["lib"]
    assert wheels(f"lib {uv}")[0] in mirror.published()["lib"]
    assert pip_resolve(mirror.url, "app").expect_ok()


@pytest.mark.parametrize("format_", ["json", "html_only"])
def test_upload_times_are_learned_and_handed_on(serve: ServeWorld, mirror: Mirror, format_: str) -> None:
    """Cases 61 and 62: exactly as the upstream has them, also where only its other API says so."""
    time = "2024-05-06T07:08:09.123456Z"
    world = World.of(project("app", release("1.0", wheel(), sdist(), upload_time=time)))
    server = serve(world, format=format_)
    mirror.configure(server.url, packages={"app": "latest"}, filters={"formats": ["wheel", "sdist"]}).sync()
    assert [file["upload-time"] for file in mirror.page("app")["files"]] == [time, time]
    options = ["--exclude-newer", "2024-05-06T07:08:10Z"]
    assert pins(uv_compile(mirror.url, "app", *options)) == {"app": "1.0"}
    assert not uv_compile(mirror.url, "app", "--exclude-newer", time).ok


def test_a_page_without_a_serial_takes_nothing_away(serve: ServeWorld, mirror: Mirror) -> None:
    """Case 41: a stale answer, and no deletion."""
    server = serve(World.of(project("app", "1.0"), project("lib", "1.0")))
    mirror.configure(server.url, packages={"app": "latest", "lib": "latest"}).sync()
    server.misbehave("/simple/*", faults.changed_headers(x_pypi_last_serial=None))
    mirror.sync()
    assert mirror.published() == {"app": wheels("app 1.0"), "lib": wheels("lib 1.0")}
