"""What watches a server asks: whether it lives, and whether it can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pypim.web.context import Context

_HEADERS = {"cache-control": "no-store"}


def routes(context: Context) -> list[BaseRoute]:
    """/healthz: the process answers; /readyz: the store does, too."""
    flights = SingleFlight[None]()

    async def check() -> None:
        await context.background.run(context.check_store)

    async def healthz(request: Request) -> Response:
        del request
        return PlainTextResponse("ok\n", headers=_HEADERS)

    async def readyz(request: Request) -> Response:
        """Raises StoreFault (503), which is the answer."""
        del request
        await flights.value("store", check)  # many that ask do not make many writes
        return PlainTextResponse("ready\n", headers=_HEADERS)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
