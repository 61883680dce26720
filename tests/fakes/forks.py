"""Run ssmgate in forks of a process that has loaded it: a run costs a fifth.

Loading the program costs more than most runs. `run` is `subprocess.run` for `python … -m ssmgate`
and `python -c CODE`; `programs` and `checkout` have stubs for the programs that a shell starts.
The child has the arguments, the environment, the working directory and the descriptors 0, 1 and 2
of the run. A separate process runs what a fork cannot imitate (see `fair`), and the tests of the
process itself: its signals, its descriptors, and what the interpreter does before the program. The
loaded process is `loaded.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from fakes import loaded
from fakes.stub_plugin import LOADED, fair

ROOT = Path(__file__).parents[2]
STUB = Path(__file__).with_name("stub_plugin.py")


class Forks:
    """The loaded process of a test process. It starts on first use."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = ""
        self._one_at_a_time = threading.Lock()

    @property
    def programs(self) -> Path:
        """Return a directory with a program `ssmgate` that forks run."""
        self._load()
        return Path(self._directory, "programs")

    @property
    def checkout(self) -> Path:
        """Return a directory that `bin/aws` in it takes for a checkout: forks run its python."""
        self._load()
        return Path(self._directory)

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | Path,
        input: str | None = None,
        timeout: float = 60,
        alone: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run `python ARGV…` as `subprocess.run` does with stdout and stderr captured as text.

        Use `subprocess.run` where a fork is not a fair imitation. With `alone` the run has a
        session of its own, and the processes that it leaves there are killed when it ends.
        """
        if not fair(env):
            return subprocess.run(
                [sys.executable, *argv], env=env, cwd=cwd, text=True, capture_output=True,
                input=input, stdin=subprocess.DEVNULL if input is None else None,
                timeout=timeout, check=False,
            )  # fmt: skip
        self._load()
        reading: list[int] = []
        writing: list[int] = []
        for _ in range(2):
            ends = os.pipe()
            reading.append(ends[0])
            writing.append(ends[1])
        stdin = _input(input)
        try:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"{self._directory}/socket")
            socket.send_fds(sock, [b"x"], [stdin, *writing])
        finally:
            for number in (stdin, *writing):
                os.close(number)
        asked = {"argv": list(argv), "environ": dict(env), "cwd": str(cwd), "alone": alone}
        with sock:
            sock.sendall(json.dumps(asked).encode() + b"\n")
            output = _read_all([*reading, sock.fileno()], list(argv), timeout, alone)
        status = int(output[2].split()[-1])
        return subprocess.CompletedProcess(
            list(argv), status, output[0].decode(), output[1].decode()
        )

    def _load(self) -> None:
        with self._one_at_a_time:
            if self._process is not None:
                return
            self._directory = tempfile.mkdtemp(prefix="forks-")
            checkout = Path(self._directory)
            self._write_stub(checkout / "programs" / "ssmgate", ["-P", "-m", "ssmgate"])
            self._write_stub(checkout / ".venv" / "bin" / "python", [])
            (checkout / "bin").mkdir()
            shutil.copy(ROOT / "bin" / "aws", checkout / "bin")
            (checkout / "src" / "ssmgate").mkdir(parents=True)
            (checkout / "src" / "ssmgate" / "__main__.py").touch()
            self._process = subprocess.Popen(
                [sys.executable, "-P", loaded.__file__, f"{self._directory}/socket"],
                env={"HOME": loaded.NOWHERE, **LOADED},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == b"loaded\n"
            atexit.register(self.stop)

    def _write_stub(self, path: Path, before: list[str]) -> None:
        call = f"main({sys.executable!r}, {self._directory + '/socket'!r}, {before!r})"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!{sys.executable} -IS\n{STUB.read_text()}\n\n{call}\n")
        path.chmod(0o755)

    def stop(self) -> None:
        """Stop the loaded process. Unfinished runs go on."""
        if self._process is not None:
            self._process.communicate()
            self._process = None
            shutil.rmtree(self._directory)


def _input(text: str | None) -> int:
    """Return a descriptor to read `text` from: a pipe, as for a process with input."""
    if text is None:
        return os.open(os.devnull, os.O_RDONLY)
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(text.encode())  # what a pipe does not hold would block, and time out
    return reading


def _read_all(descriptors: list[int], argv: list[str], timeout: float, alone: bool) -> list[bytes]:
    """Return all that can be read from each descriptor. The last is the socket with the child's
    status.
    """
    output = dict.fromkeys(descriptors, b"")
    with selectors.DefaultSelector() as selector:
        for number in descriptors:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(timeout)
            if not ready:
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(int(output[descriptors[-1]].split()[0]), 9)
                raise subprocess.TimeoutExpired(argv, timeout)
            for key, _ in ready:
                part = os.read(key.fd, 65536)
                output[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
                    if key.fd != descriptors[-1]:
                        os.close(key.fd)
                    elif alone:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(int(output[key.fd].split()[0]), 9)
    return list(output.values())
