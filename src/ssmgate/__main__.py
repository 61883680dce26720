"""The entry points: dispatch, and nothing that a start through the daemon does without."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ssmgate.gate.decision.errors import GateError


def ssm_start_session() -> NoReturn:
    """`ssm-start-session ARGS…`: exactly `aws ssm start-session ARGS…`, checked."""
    run(["ssm", "start-session", *sys.argv[1:]])


def ssmgate() -> NoReturn:
    """`ssmgate VERB …`: start-session goes straight to the gate, all else to the other verbs."""
    if sys.argv[1:2] == ["start-session"]:
        run(["ssm", "start-session", *sys.argv[2:]])
    if sys.argv[1:2] == ["shim"] and len(sys.argv) >= 4:  # what bin/aws calls
        run(sys.argv[4:], shim=(sys.argv[2], sys.argv[3]))
    if sys.argv[1:2] == ["complete"] and sys.argv[2:3] not in (["--help"], ["-h"]):
        from ssmgate.commands import completion

        completion.run(sys.argv[2:])
    if sys.argv[1:2] == ["login"]:
        from ssmgate.login import entry

        entry.run(sys.argv[2:], explain)
    from ssmgate.commands import main

    main.run()


def run(argv: list[str], shim: tuple[str, str] | None = None) -> NoReturn:
    """Start a session from `argv`, the words after `aws`, or exit.

    `shim` is the directory of the `aws` that was called and the path of the real one, for a line
    that may be any of the CLI's.

    stdout is the plugin's, under ProxyCommand ssh's wire: only help, skeletons and --version
    print there. After the plugin took over, its status is this process's.
    """
    try:
        from ssmgate.daemon import client

        start_daemon = client.try_daemon(argv, shim)
        from ssmgate.gate import process
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    process.run(
        lambda environ: start(argv, environ, shim, start_daemon=start_daemon),
        explain=explain,
        debug=any(len(word) > 2 and "--debug".startswith(word) for word in argv),
    )


def start(
    argv: list[str],
    environ: dict[str, str],
    shim: tuple[str, str] | None,
    *,
    start_daemon: bool,
) -> int:
    """Start the session of `argv` in this process; see `ssmgate.gate.start`.

    `start_daemon`: no daemon was found; one is started if the configuration wants it and the
    session is permitted. Returns the exit status of a line that asks for no session.
    """
    from ssmgate.gate.access import early

    # Before the import of the gate, which takes as long as a round trip to AWS.
    early.connect(argv, environ)
    from ssmgate.gate import start as gate

    invocation = gate.read(argv) if shim is None else gate.read_aws_line(argv, environ, *shim)
    if isinstance(invocation, int):
        return invocation
    permitted = gate.permit(invocation, environ)
    if start_daemon and permitted.config.daemon == "auto" and not permitted.config.locked:
        from ssmgate.daemon import spawn

        spawn.spawn_background_daemon(environ)
    with gate.started(permitted) as session:
        return session.exec()


def explain(denial: GateError) -> None:
    """Add to `denial` what came close, where the caller's policies may be read."""
    from ssmgate.explain import summary

    summary.explain(denial)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` looks into the current folder first: whoever owns that would be imported.
        del sys.path[0]
    ssmgate()
