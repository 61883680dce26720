"""A start that no daemon makes: the calls to the gate, and what is added to a denial outside it."""

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

    `start_daemon`: no daemon was found; one is started if the configuration wants it and the
    session is permitted. Returns the exit status of a line that asks for no session.
    """
    from ssmgate.gate.access import early

    # Before the import of the gate, which takes as long as a round trip to AWS.
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
    """Add to `denial` what came close, where the caller's policies may be read."""
    from ssmgate.explain import summary

    summary.explain(denial)
