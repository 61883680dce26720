"""Runs of ssmgate in forks of a process that has loaded it already: a run costs a fifth.

Loading the program costs more than most runs. `run` is `subprocess.run` for `python … -m ssmgate`,
`python -c CODE` and the program `ssmgate`; `programs` is a directory of stand-ins for `python` and
`ssmgate`, for what a shell starts. The child has the arguments, the environment, the working
directory and the descriptors 0, 1 and 2 of the run. What a fork cannot imitate (`fair` says what)
is left to a process of its own, and so are the rows that test the process itself: its signals, its
descriptors, what the interpreter does before the program.

As a program, `forks.py SOCKET` is the loaded process. It forks for each connection, which brings
the run as JSON and the descriptors, and gets the exit status as a line.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, NoReturn

NOWHERE = "/home-of-nobody"

LOADED = {"LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
"""What the interpreter of the loaded process was started with."""

NOT_IMITATED = ("LC_", "LD_", "PYTHON", "LANGUAGE", "AWS_DATA_PATH", "BOTOCORE_", "AWS_CLI_UPGRADE")
"""Beginnings of variables that are read while an interpreter or awscli is loaded."""

STAND_IN = """#!{python} -IS
import _socket, json, os, sys
with_descriptors = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, b"".join(
    number.to_bytes(4, sys.byteorder) for number in (0, 1, 2)))]
run = {{"argv": {before} + sys.argv[1:], "environ": dict(os.environ), "cwd": os.getcwd()}}
sock = _socket.socket(_socket.AF_UNIX)
sock.connect({path!r})
sock.sendmsg([b"x"], with_descriptors)
left = json.dumps(run).encode() + b"\\n"
while left:
    left = left[sock.send(left):]
said = b""
while part := sock.recv(100):
    said += part
status = int(said.split()[-1])
if status < 0:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import signal
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def fair(environ: Mapping[str, str]) -> bool:
    """Whether a fork imitates a process with `environ`: else it would be loaded differently."""
    others = [name for name in environ if name.startswith(NOT_IMITATED) and name not in LOADED]
    return (
        not others
        and "HOME" in environ
        and all(environ.get(name) == value for name, value in LOADED.items())
    )


class Forks:
    """The loaded process of a process of tests. It is started when it is needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ""
        self._one_at_a_time = threading.Lock()

    @property
    def programs(self) -> Path:
        """A directory with `python` and `ssmgate`, which are run by forks."""
        self._load()
        return Path(self._folder, "bin")

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | Path,
        input: str | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run `python ARGV…` as `subprocess.run` does with stdout and stderr captured as text.

        Where that would not be fair it is `subprocess.run`.
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
            sock.connect(f"{self._folder}/socket")
            socket.send_fds(sock, [b"x"], [stdin, *writing])
        finally:
            for number in (stdin, *writing):
                os.close(number)
        asked = {"argv": list(argv), "environ": dict(env), "cwd": str(cwd)}
        with sock:
            sock.sendall(json.dumps(asked).encode() + b"\n")
            told = _read_all([*reading, sock.fileno()], list(argv), timeout)
        status = int(told[2].split()[-1])
        return subprocess.CompletedProcess(list(argv), status, told[0].decode(), told[1].decode())

    def _load(self) -> None:
        with self._one_at_a_time:
            if self._process is not None:
                return
            self._folder = tempfile.mkdtemp(prefix="forks-")
            programs = Path(self._folder, "bin")
            programs.mkdir()
            for name, before in (("python", []), ("ssmgate", ["-P", "-m", "ssmgate"])):
                path = programs / name
                text = STAND_IN.format(
                    python=sys.executable, before=before, path=f"{self._folder}/socket"
                )
                path.write_text(text)
                path.chmod(0o755)
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, f"{self._folder}/socket"],
                env={"HOME": NOWHERE, **LOADED},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == b"loaded\n"
            atexit.register(self.stop)

    def stop(self) -> None:
        """End the loaded process. Runs that have not ended go on."""
        if self._process is not None:
            self._process.communicate()
            self._process = None
            shutil.rmtree(self._folder)


def _input(text: str | None) -> int:
    """A descriptor to read `text` from: a pipe, as it is for a process that is given input."""
    if text is None:
        return os.open(os.devnull, os.O_RDONLY)
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(text.encode())  # what a pipe does not hold would block, and time out
    return reading


def _read_all(descriptors: list[int], argv: list[str], timeout: float) -> list[bytes]:
    """What comes from each until its end. The last is the socket, whose child is killed."""
    told = dict.fromkeys(descriptors, b"")
    with selectors.DefaultSelector() as selector:
        for number in descriptors:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(timeout)
            if not ready:
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(int(told[descriptors[-1]].split()[0]), 9)
                raise subprocess.TimeoutExpired(argv, timeout)
            for key, _ in ready:
                part = os.read(key.fd, 65536)
                told[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
                    if key.fd != descriptors[-1]:
                        os.close(key.fd)
    return list(told.values())


def _become(argv: list[str]) -> None:
    """What the interpreter does with its arguments `argv`, those after its own name."""
    while argv[0] in ("-P", "-I"):
        del argv[0]
    if argv[0] == "-m":
        sys.argv[:] = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    elif argv[0] == "-c":
        sys.argv[:] = ["-c", *argv[2:]]
        exec(compile(argv[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        raise ValueError(f"not imitated: {argv}")


def _child(asked: dict[str, Any], descriptors: list[int], paths: list[_Path]) -> NoReturn:
    code: Any = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environ"])
        for path in paths:
            path.move(asked["environ"]["HOME"])
        _become(asked["argv"])
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(int(code or 0) & 255)


def _preload() -> None:
    """Load what the runs need. Nothing is read or asked, and no thread is started."""
    for name in (
        "ssmgate.process", "ssmgate.gate", "ssmgate.examination", "ssmgate.check.ask",
        "ssmgate.check.explain", "ssmgate.check.text", "ssmgate.check.local", "ssmgate.cli.main",
        "ssmgate.cli.complete", "ssmgate.login.entry", "ssmgate.standby.client", "awscli.handlers",
        "awscli.clidriver",
    ):  # fmt: skip
        importlib.import_module(name)
    from ssmgate.standby import preload

    preload.everything()


@dataclass(frozen=True)
class _Path:
    """A path below HOME that was worked out while its module was loaded."""

    holder: Any
    name: str
    value: Any

    def move(self, home: str) -> None:
        setattr(self.holder, self.name, _moved(self.value, home))


def _moved(value: Any, home: str) -> Any:
    if isinstance(value, tuple):
        return tuple(_moved(each, home) for each in value)
    return value.replace(NOWHERE, home) if isinstance(value, str) else value


def _paths() -> list[_Path]:
    """Those of the loaded modules: attributes, and defaults of functions and methods."""
    found = []
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("awscli", "botocore", "ssmgate"):
            # A copy: one that is loaded late is loaded by being looked at.
            classes = [one for one in list(vars(module).values()) if isinstance(one, type)]
            for holder in (module, *classes):
                for attribute, value in list(vars(holder).items()):
                    if isinstance(value, str):
                        found.append(_Path(holder, attribute, value))
                    elif isinstance(value, FunctionType) and value.__defaults__:
                        found.append(_Path(value, "__defaults__", value.__defaults__))
    return [path for path in found if _moved(path.value, "") != path.value]


def _received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    text = b""
    while not text.endswith(b"\n"):
        text += connection.recv(1 << 20)
    return json.loads(text), descriptors


def main(path: str) -> None:
    """Serve until stdin ends."""
    _preload()
    paths = _paths()
    gc.collect()
    gc.freeze()
    own = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    selector = selectors.DefaultSelector()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(100)
        os.write(own, b"loaded\n")
        os.close(own)
        selector.register(0, selectors.EVENT_READ)
        selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    return
                if key.fileobj is listening:
                    connection, _ = listening.accept()
                    asked, descriptors = _received(connection)
                    pid = os.fork()
                    if not pid:
                        _child(asked, descriptors, paths)
                    for number in descriptors:
                        os.close(number)
                    connection.sendall(f"{pid}\n".encode())
                    ended = os.pidfd_open(pid)
                    selector.register(ended, selectors.EVENT_READ, (pid, connection))
                else:
                    pid, connection = key.data
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _, status = os.waitpid(pid, 0)
                    with connection, contextlib.suppress(OSError):
                        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])
