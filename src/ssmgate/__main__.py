"""The entry points: dispatch, and nothing that a start by a daemon does without."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def ssm_start_session() -> NoReturn:
    """`ssm-start-session ARGS…`: exactly `aws ssm start-session ARGS…`, checked."""
    run(["ssm", "start-session", *sys.argv[1:]])


def ssmgate() -> NoReturn:
    """`ssmgate VERB …`: start-session goes straight to the gate, all else to the other verbs."""
    if sys.argv[1:2] == ["start-session"]:
        run(["ssm", "start-session", *sys.argv[2:]])
    if sys.argv[1:2] == ["shim"] and len(sys.argv) >= 4:  # what bin/aws calls
        run(sys.argv[4:], shim=(sys.argv[2], sys.argv[3]))
    from ssmgate.gate import process

    if sys.argv[1:2] == ["complete"] and sys.argv[2:3] not in (["--help"], ["-h"]):
        process.complete(sys.argv[2:])
    if sys.argv[1:2] == ["login"]:
        process.login(sys.argv[2:])
    process.verb()


def run(argv: list[str], shim: tuple[str, str] | None = None) -> NoReturn:
    """Start a session from `argv`, the words after `aws`, or exit.

    `shim`: the folder of the `aws` that was called and the path of the real one, for a line that
    may be any of the CLI's.

    stdout is the plugin's, under ProxyCommand ssh's wire: only help, skeletons and --version
    print there. After the plugin took over, its status is this process's.
    """
    try:
        from ssmgate.daemon import client

        nobody = client.ask(argv, shim)
        from ssmgate.gate import process
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    process.run(argv, shim, start_daemon=nobody)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` looks into the current folder first: whoever owns that would be imported.
        del sys.path[0]
    ssmgate()
