"""A process that has loaded ssmgate and forks for each run of `forks.py`.

`loaded.py SOCKET` listens there. A connection sends three descriptors and a line of JSON: the
arguments of the interpreter, the environment and the working directory. It receives the process id
of the child as a line, and when the child has ended, its exit status.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import traceback
import warnings
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NoReturn

NOWHERE = "/no-such-home"


def _become(argv: list[str]) -> None:
    """Do what the interpreter does with its arguments `argv`, those after its own name.

    Without -P it adds the current directory to the module path, which `python -m ssmgate` undoes.
    """
    safe = argv[0] == "-P"
    del argv[: int(safe)]
    if argv[0] == "-m":
        sys.argv[:] = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    elif argv[0] == "-c":
        sys.argv[:] = ["-c", *argv[2:]]
        sys.path[:0] = [] if safe else [""]
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
        if asked.get("alone"):
            os.setsid()
        os.environ.clear()
        os.environ.update(asked["environ"])
        if "PYTHONWARNINGS" not in os.environ:
            _as_without_warning_options()
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


def _as_without_warning_options() -> None:
    """Set the warning filters with which an interpreter begins.

    https://docs.python.org/3/library/warnings.html#default-warning-filter
    """
    sys.warnoptions.clear()
    warnings.resetwarnings()
    for category in (
        ResourceWarning, ImportWarning, PendingDeprecationWarning, DeprecationWarning,
    ):  # fmt: skip
        warnings.simplefilter("ignore", category)
    warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")


def _preload() -> None:
    """Load what the runs need, without reading files, calling AWS or starting a thread."""
    for name in (
        "ssmgate.gate.process", "ssmgate.gate.start", "ssmgate.gate.access.authorize",
        "ssmgate.explain.live", "ssmgate.explain.evidence", "ssmgate.explain.text",
        "ssmgate.explain.offline", "ssmgate.commands.main", "ssmgate.commands.completion",
        "ssmgate.login.entry", "ssmgate.daemon.client", "awscli.handlers", "awscli.clidriver",
    ):  # fmt: skip
        importlib.import_module(name)
    from ssmgate.daemon import preload

    preload.everything()


@dataclass(frozen=True)
class _Path:
    """A path below HOME that a module computed while it was loaded."""

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
    """Return the paths in loaded modules: attributes, and defaults of functions and methods."""
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
