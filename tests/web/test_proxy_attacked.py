"""Whatever the upstream of a proxy does, no client gets a wrong byte as a whole file, none is kept, and it heals."""

from __future__ import annotations

import hashlib
import http.client
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.web.asking import JSON, ask, files_of
from tests.web.test_proxy import configuration, content_of
from tests.worlds import faults
from tests.worlds.world import World, project, release, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld
    from tests.web.conftest import Running
    from tests.worlds.faults import Response

MISCHIEF = (
    faults.cut_after(500),
    faults.cut_after(280_000),
    faults.wrong_bytes(),
    faults.shorter(7),
    faults.longer(7),
    faults.no_answer(),
    faults.status(503),
    faults.instead(b"<html>welcome to the hotel</html>", "text/html"),
    faults.announce_only(2_500_000),
    faults.drip(1 << 14, 0.001),
)
_LARGE = 300_000
"""Given out while it arrives, unlike the others."""
_BROKEN = 0


def _world(projects: int) -> World:
    """Thirty files in each, every tenth of them large."""
    return World.of(
        *(
            project(f"p{number}", *(release(f"{n}.0", wheel(payload=_LARGE if n % 10 == 0 else 0)) for n in range(30)))
            for number in range(projects)
        )
    )


@pytest.mark.parametrize(("requests", "projects"), [(600, 8), pytest.param(10_000, 100, marks=pytest.mark.slow)])
def test_no_wrong_byte_is_a_whole_file_none_is_kept_nobody_is_sent_elsewhere_and_it_heals(
    serve: ServeWorld, running: Running, tmp_path: Path, requests: int, projects: int
) -> None:
    """With one answer in three wrong in some way, a page or file is right, or an error; never 404, never another."""
    world = _world(projects)
    upstream = serve(world)
    server = running(configuration(upstream.url, 'max-age = "0 seconds"\nstale-while-revalidate = "0 seconds"\n'))
    digests = {
        entry["url"].removeprefix(server.url): entry["hashes"]["sha256"]
        for name in world.names
        for entry in files_of(f"{server.url}/simple/{name}/").values()
    }
    assert len(digests) == projects * 30
    chance = random.Random(4)
    spoiled: Counter[int] = Counter()

    def attack(response: Response) -> Response:
        if chance.random() > 1 / 3:
            return response
        which = chance.randrange(len(MISCHIEF))
        spoiled[which] += 1
        return MISCHIEF[which](response)

    def request(number: int) -> int:
        own = random.Random(number)
        try:
            if own.random() < 0.3:
                answer = ask(f"{server.url}/simple/{own.choice(world.names)}/", Accept=JSON)
                assert answer.status != 200 or len(answer.document["files"]) == 30
            else:
                path = own.choice(list(digests))
                answer = ask(server.url + path)
                assert answer.status != 200 or content_of(answer) == digests[path]
        except (http.client.HTTPException, ConnectionError):
            return _BROKEN
        return answer.status

    upstream.forget_requests()
    upstream.misbehave("*", attack)
    with ThreadPoolExecutor(16) as clients:
        outcomes = Counter(clients.map(request, range(requests)))
    upstream.behave()
    assert sum(outcomes.values()) == requests
    assert set(outcomes) <= {200, 502, 503, 504, _BROKEN}
    assert outcomes[502] + outcomes[503] + outcomes[504] + outcomes[_BROKEN] > requests / 50, outcomes
    assert len(spoiled) == len(MISCHIEF)
    assert sum(spoiled.values()) > requests / 10, spoiled
    for path, digest in digests.items():
        assert content_of(ask(server.url + path)) == digest, "it heals without a restart"
    server.restart()  # what is on its way into the store has come there
    kept = list((tmp_path / "server" / "data").rglob("packages/*/*/*/*.whl"))
    assert len(kept) == len(digests)
    for path in kept:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in digests.values(), "nothing wrong is kept"
