"""Start a session without a daemon: call the gate, and explain a denial outside of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssmgate.gate.decision.errors import GateError


def start(
    argv: list[str],
    environ: dict[str, str],
    shim: tuple[str, str] | None,
    *,
    start_daemon: bool,
) -> int:
    """Start the session of `argv` in this process; see `ssmgate.gate.start`.

    `start_daemon`: no daemon is running; one is started if `daemon` is "auto" and the session is
    permitted. Returns the exit status if an answer was printed instead: help, a skeleton.
    """
    from ssmgate.gate.access import early

    # Before importing the gate, which takes as long as a round trip to AWS.
    early.connect(argv, environ)
    from ssmgate.gate import start as gate

    if shim is None:
        invocation = gate.read(argv)
    else:
        from ssmgate.gate.shim import read_aws_line

        invocation = read_aws_line(argv, environ, *shim)
    if isinstance(invocation, int):
        return invocation
    permitted = gate.permit(invocation, environ)
    if start_daemon and permitted.config.daemon == "auto" and not permitted.config.locked:
        from ssmgate.daemon import spawn

        spawn.spawn_background_daemon(environ)
    with gate.started(permitted) as session:
        return session.exec()


def explain(denial: GateError) -> None:
    """Add the nearest statement to `denial`, if the caller's policies can be read."""
    from ssmgate.explain import summary

    summary.explain(denial)
