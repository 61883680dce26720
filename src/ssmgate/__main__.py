"""The entry points. They load only what a start through the daemon needs."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def ssm_start_session() -> NoReturn:
    """Run `ssm-start-session ARGS…`, which is `aws ssm start-session ARGS…` with the check."""
    sys.argv.insert(1, "start-session")
    ssmgate()


def ssmgate() -> NoReturn:
    """Run `ssmgate VERB …`. start-session goes directly to the gate, except for its short help."""
    if sys.argv[1:2] == ["start-session"] and not {"-h", "--help"} & set(sys.argv):
        run(["ssm", "start-session", *sys.argv[2:]])
    if sys.argv[1:2] == ["shim"] and len(sys.argv) >= 4:  # what bin/aws calls
        run(sys.argv[4:], shim=(sys.argv[2], sys.argv[3]))
    from ssmgate import verbs

    verbs.run(sys.argv[1:])


def run(argv: list[str], shim: tuple[str, str] | None = None) -> NoReturn:
    """Start a session from `argv`, the arguments after `aws`, or exit.

    `shim` is the directory of the called `aws` and the path of the real one; with it `argv` may be
    any command line. Standard output belongs to the plugin, and to ssh under ProxyCommand: only
    help, skeletons and --version are printed there. The exit status is the plugin's once it runs.
    """
    try:
        from ssmgate.daemon import client

        start_daemon = client.try_daemon(argv, shim, _terminate)
        from ssmgate import cold_start
        from ssmgate.gate import process
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    process.run(
        lambda environ: cold_start.start(argv, environ, shim, start_daemon=start_daemon),
        explain=cold_start.explain,
        debug=any(len(word) > 2 and "--debug".startswith(word) for word in argv),
    )


def _terminate(*session: Any) -> None:
    from ssmgate.gate import abandoned

    abandoned.terminate(*session)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` would import from the current directory first, which may be another user's.
        del sys.path[0]
    ssmgate()
