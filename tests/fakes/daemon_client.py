"""A daemon for a test, and starts that use it. Both run without capabilities.

Run as a program it is `ssmgate`, and creates a file where it started the session without a daemon:
`daemon_client.py MARK [client.NAME=VALUE …] [unverified] WORDS…`. With `unverified` it does not
compare its confinement with that of the daemon.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path

if __name__ == "__main__":
    # As with -P: the program cannot import from the directory of this file.
    del sys.path[0]
    TARGET = ""
else:
    from conftest import TARGET, Ended, Machine
    from fakes.capabilities import drop_bounding_set, drop_capabilities
    from fakes.processes import fork_with_threads
    from fakes.waiting import until

DIRECTORY = ".cache/ssmgate/daemon"
BY_DAEMON, COLD = "by the daemon", "by itself"


def start(
    machine: Machine,
    directory: Path,
    *words: str,
    before: tuple[str, ...] = (),
    constants: tuple[str, ...] = (),
    verb: tuple[str, ...] = ("start-session", "--target", TARGET),
    cwd: Path | None = None,
    input: str | None = None,
    **environ: str | None,
) -> tuple[Ended, str]:
    """Run a start and return its result and how it was made.

    `constants` are set in the client, `directory` is an empty directory.
    """
    process, mark = begin(
        machine,
        directory,
        *words,
        before=before,
        constants=constants,
        verb=verb,
        cwd=cwd,
        **environ,
    )
    try:
        stdout, stderr = process.communicate(input or "", timeout=60)
    finally:
        process.kill()
    return Ended(process.returncode, stdout, stderr), COLD if mark.exists() else BY_DAEMON


def begin(
    machine: Machine,
    directory: Path,
    *words: str,
    before: tuple[str, ...] = (),
    constants: tuple[str, ...] = (),
    verb: tuple[str, ...] = ("start-session", "--target", TARGET),
    cwd: Path | None = None,
    **environ: str | None,
) -> tuple[subprocess.Popen[str], Path]:
    """Begin a start. The returned path exists as soon as the start goes on without a daemon."""
    mark = directory / "by-itself"
    mark.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*before, sys.executable, __file__, str(mark), *constants, *verb, *words],
        env=machine.variables(**environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd or machine.home,
        preexec_fn=drop_bounding_set,
    )
    return process, mark


class Daemon:
    """`ssmgate daemon run`, for starts with the HOME and the locale of `environ`."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *options: str,
        constants: str = "",
        before: tuple[str, ...] = (),
        become: Callable[[], None] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.environ = dict(environ)
        self._become = become or drop_bounding_set
        self.python = python
        self.directory = Path(environ["HOME"]) / DIRECTORY
        program = ["-m", "ssmgate", "daemon", "run", *options]
        if constants:
            code = (
                "import sys; from ssmgate.__main__ import ssmgate\n"
                "from ssmgate.daemon import server, worker as child\n"
                f"{constants}\nsys.argv[0] = 'ssmgate'; ssmgate()"
            )
            program = ["-c", code, "daemon", "run", "--in-place", *options]
        self.process = subprocess.Popen(
            [*before, self.python, "-P", *program],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=self._become,
        )
        until(lambda: self.process.poll() is not None or self._answers(), 30)

    def _answers(self) -> bool:
        # `ask` starts a process: not before a socket exists.
        listens = self.directory.exists() and any(p.is_socket() for p in self.directory.iterdir())
        return listens and self.ask("status").returncode == 0

    @cached_property
    def environment_fingerprint(self) -> list[str]:
        """Return the fingerprint that a start in the daemon's environment computes."""
        code = "from ssmgate.daemon import peer, location as place; import json, os\n"
        code += "print(json.dumps(place.environment_fingerprint(os.environ, peer.own_facts())))"
        said = subprocess.run(
            [self.python, "-P", "-c", code],
            env=self.environ, capture_output=True, text=True, check=True,
            preexec_fn=self._become,
        )  # fmt: skip
        return json.loads(said.stdout)

    def connected(self) -> socket.socket:
        """Return a connection to the daemon from a process that is not verified."""
        from ssmgate.daemon import location, protocol, requests

        sock = socket.socket(socket.AF_UNIX)
        directory = os.open(self.directory, os.O_RDONLY)
        sock.connect(location.address(directory, str(self.directory), self.socket.name))
        os.close(directory)
        assert requests.receive(sock) == (protocol.HELLO, [[protocol.PROTOCOL]])
        return sock

    @contextmanager
    def connected_by_other_process(
        self, speak: Callable[[socket.socket], object]
    ) -> Iterator[socket.socket]:
        """Yield the connection of another process, which has no capabilities and called `speak`."""
        assert self.environment_fingerprint
        here, there = socket.socketpair()
        pid = fork_with_threads()
        if not pid:
            try:
                here.close()
                drop_capabilities()
                with closing(self.connected()) as sock:
                    sock.settimeout(20)
                    speak(sock)
                    socket.send_fds(there, [b"."], [sock.fileno()])
                there.recv(1)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        there.close()
        with here:
            _, (number,), _, _ = socket.recv_fds(here, 1, 1)
            with socket.socket(fileno=number) as sock:
                sock.settimeout(20)
                yield sock
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    @property
    def pid(self) -> int:
        """Return the id of the daemon's process."""
        return self.process.pid

    def ask(self, verb: str) -> subprocess.CompletedProcess[str]:
        """Run `ssmgate daemon VERB`."""
        return subprocess.run(
            [self.python, "-P", "-m", "ssmgate", "daemon", verb],
            env=self.environ, capture_output=True, text=True, timeout=30, check=False,
            preexec_fn=self._become,
        )  # fmt: skip

    @property
    def made(self) -> int:
        """Return how many starts the daemon has made."""
        answers: list[str] = []
        # On a busy machine it may be late with its greeting.
        until(lambda: answers.append(self.ask("status").stdout) or answers[-1])
        return int(re.findall(r"session starts: (\d+)", answers[-1])[0])

    @property
    def socket(self) -> Path:
        """Return the path of the daemon's socket."""
        (path,) = (p for p in self.directory.iterdir() if p.is_socket())
        return path

    @property
    def children(self) -> list[int]:
        """Return the ids of the workers."""
        return children(self.pid)

    def end(self) -> None:
        """Kill the daemon and its workers."""
        for pid in [*self.children, self.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate(timeout=30)


_NAME = f"""
import os
from ssmgate.daemon import instance_lock, location, peer
directory = os.open(os.path.join(os.environ["HOME"], "{DIRECTORY}"), os.O_RDONLY)
fingerprint = location.environment_fingerprint(os.environ, peer.own_facts())
print(instance_lock.socket_name(fingerprint, directory))
"""


def socket_name(environ: Mapping[str, str]) -> str:
    """Return the name of the socket that a start with `environ` connects to. HOME must have the
    directory.
    """
    return subprocess.run(
        [sys.executable, "-P", "-c", _NAME],
        env=environ, capture_output=True, text=True, check=True,
        preexec_fn=drop_bounding_set,
    ).stdout.strip()  # fmt: skip


@contextmanager
def running(
    environ: Mapping[str, str],
    *options: str,
    constants: str = "",
    before: tuple[str, ...] = (),
    become: Callable[[], None] | None = None,
    python: str = sys.executable,
) -> Iterator[Daemon]:
    """Run a daemon until the block ends. `constants` are lines of Python that it executes first.

    `become` is called in each process before it executes its program, which `python` runs.
    """
    daemon = Daemon(
        environ, *options, constants=constants, before=before, become=become, python=python
    )
    try:
        yield daemon
    finally:
        daemon.end()


def children(pid: int) -> list[int]:
    """Return the children of `pid` that have not ended."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(number) for number in text.split() if state(int(number)) not in "Z"]


def state(pid: int) -> str:
    """Return the state letter of /proc/PID/status, Z where the process does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def main() -> None:
    """Run the program that the module's docstring describes."""
    from ssmgate import __main__
    from ssmgate.daemon import client
    from ssmgate.gate import process

    _, mark, *words = sys.argv
    while words[0].startswith("client."):
        name, _, number = words.pop(0).removeprefix("client.").partition("=")
        assert hasattr(client, name)
        setattr(client, name, type(getattr(client, name))(number))
    if words[0] == "unverified":
        del words[0]
        client.peer.difference = lambda *_: ""
        client.peer.Peer.verify = lambda *_: {}
    run = process.run

    def cold(*args: object, **options: object) -> None:
        Path(mark).touch()
        run(*args, **options)

    process.run = cold
    sys.argv = ["ssmgate", *words]
    __main__.ssmgate()


if __name__ == "__main__":
    main()
