"""The program that confines itself with Landlock, and becomes the plugin.

It is not the supervisor of a terminal's session, which is not confined, and its start is short.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ssmgate.gate.system import takeover
from ssmgate.login import landlock

_STATUS = 253


def run(arguments: Sequence[str]) -> NoReturn:
    """Become a program. `arguments` are the rules as JSON, its path, and its arguments.

    Exits with 253 and a line on standard error if it cannot be confined or executed.
    """
    rules, path, *argv = arguments
    try:
        landlock.restrict((name, rights) for name, rights in json.loads(rules))
        takeover.execute(path, argv, os.environ)
    except OSError as error:
        from ssmgate.gate import printer

        printer.eprint(f"ssmgate: [ERROR]: cannot run {path} confined: {error.strerror}")
        sys.exit(_STATUS)


if __name__ == "__main__":
    run(sys.argv[1:])
