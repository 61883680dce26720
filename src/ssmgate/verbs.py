"""The verbs of `ssmgate` besides start-session: a session start does not load them."""

from __future__ import annotations

from typing import NoReturn


def run(argv: list[str]) -> NoReturn:
    """Run the verb of `argv`, the arguments after `ssmgate`, or print help, and exit."""
    if argv[:1] == ["complete"] and argv[1:2] not in (["--help"], ["-h"]):
        from ssmgate.commands import completion

        completion.run(argv[1:])
    if argv[:1] == ["login"]:
        from ssmgate import cold_start
        from ssmgate.login import entry

        entry.run(argv[1:], cold_start.explain)
    from ssmgate.commands import main

    main.run()
