"""Run one program repeatedly, each time in a fresh fork of a process that has imported it.

`python oracle_runner.py aws|ssmgate|verbs` reads one run a line from stdin, as JSON, and answers
with one line. The import costs more than most runs; each fork starts with nothing but the import.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
from typing import Any, BinaryIO, NoReturn

SECONDS = 60


def aws() -> Any:
    import awscli.clidriver

    return awscli.clidriver.main()


def ssmgate() -> NoReturn:
    from ssmgate.__main__ import run

    run(sys.argv[1:])


def verbs() -> NoReturn:
    from ssmgate.__main__ import ssmgate

    del sys.argv[0]  # the name of the program is the first argument
    ssmgate()


PROGRAMS = {
    "verbs": (verbs, ("ssmgate.__main__", "ssmgate.gate.start", "ssmgate.commands.main")),
    "aws": (aws, ("awscli.clidriver", "awscli.handlers")),
    "ssmgate": (ssmgate, ("ssmgate.__main__", "ssmgate.gate.start")),
}


def run_once(program: Any, asked: dict[str, Any], added: dict[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            become(program, asked, added, out, err)
        _, status = os.waitpid(child, 0)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    return {
        "returncode": os.waitstatus_to_exitcode(status),
        "stdout": texts[0],
        "stderr": texts[1],
    }


def become(
    program: Any, asked: dict[str, Any], added: dict[str, str], out: BinaryIO, err: BinaryIO
) -> NoReturn:
    code: Any = 1
    try:
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environ"] | added)
        sys.argv[:] = ["aws", *asked["argv"]]
        code = program()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0) & 255)


def serve(name: str) -> None:
    before = dict(os.environ)
    program, modules = PROGRAMS[name]
    for module in modules:
        importlib.import_module(module)
    # The import sets AWS_DATA_PATH; each run must find it as after its own import.
    added = {key: value for key, value in os.environ.items() if before.get(key) != value}
    for line in sys.stdin:
        print(json.dumps(run_once(program, json.loads(line), added)), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
