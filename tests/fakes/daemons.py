"""A loaded process that forks a daemon for each machine of the tests.

It reads a line of JSON for each: the environment of the user to whom the daemon belongs, or the
process id of a daemon that has to end. It answers with that id, or with the number of starts that
the daemon made.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType

if __name__ != "__main__":
    from fakes.capabilities import drop_bounding_set

_NOWHERE = "/no-such-home"


class Daemons:
    """The client of that process. Each test process has one."""

    def __init__(self) -> None:
        self._loaded: subprocess.Popen[str] | None = None
        self._running: dict[str, int] = {}
        self._one_at_a_time = threading.Lock()
        self.made = 0

    def start(self, environ: Mapping[str, str]) -> None:
        """Ensure that the user whose HOME is in `environ` has a daemon that listens."""
        with self._one_at_a_time:
            if environ["HOME"] not in self._running:
                self._load()
                self._running[environ["HOME"]] = self._ask(dict(environ))

    def _load(self) -> None:
        if self._loaded is None:
            self._loaded = subprocess.Popen(
                [sys.executable, __file__],
                env={"HOME": _NOWHERE, "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=drop_bounding_set,
            )
            atexit.register(self._loaded.communicate)  # ends it

    def stop(self) -> None:
        """Stop all daemons."""
        while self._running:
            self.made += self._ask(self._running.popitem()[1])

    def _ask(self, what: object) -> int:
        assert self._loaded
        assert self._loaded.stdin
        assert self._loaded.stdout
        self._loaded.stdin.write(json.dumps(what) + "\n")
        self._loaded.stdin.flush()
        return int(self._loaded.stdout.readline())


def _move(home: str) -> None:
    """Set `home` in the loaded modules: awscli computes some paths while it is imported."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("awscli", "botocore", "ssmgate"):
            # A copy: one that is loaded late is loaded by being looked at.
            classes = [one for one in list(vars(module).values()) if isinstance(one, type)]
            for holder in (module, *classes):
                for attribute, value in list(vars(holder).items()):
                    if isinstance(value, str) and _NOWHERE in value:
                        setattr(holder, attribute, value.replace(_NOWHERE, home))
                    elif isinstance(value, FunctionType) and value.__defaults__:
                        value.__defaults__ = tuple(
                            d.replace(_NOWHERE, home) if isinstance(d, str) else d
                            for d in value.__defaults__
                        )


def main() -> None:
    from ssmgate.daemon import instance_lock, preload, spawn
    from ssmgate.daemon.server import Daemon

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
            os.environ.update(spawn.environment(said))
            _move(said["HOME"])
            with instance_lock.locked_location(os.environ) as place:
                daemon = Daemon(place, idle_seconds=600)
                daemon.serve()
                os._exit(min(daemon._made, 255))
        directory = Path(said["HOME"], ".cache/ssmgate/daemon")
        while not (directory.exists() and any(p.is_socket() for p in directory.iterdir())):
            if os.waitpid(pid, os.WNOHANG)[0]:
                sys.exit("the daemon has ended")
            time.sleep(0.005)
        print(pid, flush=True)


if __name__ == "__main__":
    del sys.path[0]
    main()
