"""Describe what is wrong with session-manager-plugin. Loaded only for a warning or an error."""

from __future__ import annotations

from collections.abc import Mapping

from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.decision.printable import Layout

# As in AWS CLI's customizations/sessionmanager.py.
OUTDATED = Layout(
    "\nWARNING: An outdated SessionManagerPlugin version detected. Please upgrade it to the latest"
    " version. \nFor more information, refer:\n  https://docs.aws.amazon.com/systems-manager/"
    "latest/userguide/session-manager-working-with-install-plugin.html\n"
)
_NOT_FOUND = (
    "SessionManagerPlugin is not found. Please refer to SessionManager Documentation here:"
    " http://docs.aws.amazon.com/console/systems-manager/session-manager-plugin-not-found"
)


def not_found(program: str, environ: Mapping[str, str]) -> GateError:
    """Return the error for a `program` that is not on PATH."""
    path = environ.get("PATH", "(PATH is not set)")
    return GateError(_NOT_FOUND, hints=(f"no {program} on PATH: {path}",))


def unusable(path: str, why: str, notes: tuple[str, ...] = ()) -> GateError:
    """Return the error for the plugin at `path`. `why` completes "PATH …"."""
    return GateError(
        f"SessionManagerPlugin cannot be used: {path} {why}",
        notes=notes,
        hints=("reinstall it, or put another one first on PATH",),
    )
