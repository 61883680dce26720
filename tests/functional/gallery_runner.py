"""Run `ssmgate check` for one line of JSON after the other in one process: 100 runs in seconds.

A line has `environ` and `words`; the answer has `code`, `stdout` and `stderr`.
"""

from __future__ import annotations

import json
import os
import sys

from click.testing import CliRunner

from ssmgate.commands.main import main


def run(environ: dict[str, str], words: list[str]) -> dict[str, object]:
    before = dict(os.environ)
    os.environ.update(environ)
    try:
        result = CliRunner().invoke(main, words)
    finally:
        os.environ.clear()
        os.environ.update(before)
    raised = result.exception
    if raised is not None and not isinstance(raised, SystemExit):
        return {"code": 1, "stdout": result.stdout, "stderr": f"{type(raised).__name__}: {raised}"}
    return {"code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}


for line in sys.stdin:
    asked = json.loads(line)
    sys.stdout.write(json.dumps(run(asked["environ"], asked["words"])) + "\n")
    sys.stdout.flush()
