"""A server in a process of its own, which a test can kill: `python -m tests.web.upload_process CONFIG`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.web.serving import RunningServer


def main() -> None:
    with RunningServer(Path(sys.argv[1])) as server:
        print(server.url, flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
