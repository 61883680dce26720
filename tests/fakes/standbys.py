"""A loaded process that forks a standby for each machine of the tests: `standbys.py`.

It reads a line of JSON for each: the variables of the user's to whom a standby shall belong, or the
number of one that shall end. It answers with that number, or with how many starts it made.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path


class Standbys:
    """The other end of it. One for a process of tests."""

    def __init__(self) -> None:
        self._loaded: subprocess.Popen[str] | None = None
        self._running: list[int] = []
        self.made = 0

    def start(self, environ: Mapping[str, str]) -> None:
        """Start one for the user of `environ`, and return when it listens."""
        # In front of it stands what a user has in PATH: the user's own python is meant.
        if self._loaded is None:
            self._loaded = subprocess.Popen(
                [sys.executable, __file__],
                env={k: environ[k] for k in ("LANG", "PYTHONWARNINGS") if k in environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self._running.append(self._ask(dict(environ)))

    def stop(self) -> None:
        """End all of them."""
        while self._running:
            self.made += self._ask(self._running.pop())

    def _ask(self, what: object) -> int:
        assert self._loaded
        assert self._loaded.stdin
        assert self._loaded.stdout
        self._loaded.stdin.write(json.dumps(what) + "\n")
        self._loaded.stdin.flush()
        return int(self._loaded.stdout.readline())


def serve(environ: dict[str, str], place: object) -> int:
    """Be a standby until SIGTERM. How many starts it made."""
    from ssmgate.standby.server import Standby

    standby = Standby(place, 600)  # type: ignore[arg-type]
    standby.serve()
    return standby._made


def main() -> None:
    from ssmgate.standby import launch, lease, preload

    preload.everything()
    for line in sys.stdin:
        said = json.loads(line)
        if isinstance(said, int):
            os.kill(said, signal.SIGTERM)
            _, status = os.waitpid(said, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        pid = os.fork()
        if not pid:
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 1)
            os.environ.clear()
            os.environ.update(launch.variables(said))
            with lease.place_taken(os.environ) as place:
                os._exit(min(serve(said, place), 255))
        folder = Path(said["HOME"], ".cache/ssmgate/standby")
        while not (folder.exists() and any(p.is_socket() for p in folder.iterdir())):
            time.sleep(0.005)
        print(pid, flush=True)


if __name__ == "__main__":
    del sys.path[0]
    main()
