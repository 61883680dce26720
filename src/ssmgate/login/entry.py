"""Run a login: read the command from sshd or login(1), and start its session, or record why not."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from ssmgate.gate import printer, process
from ssmgate.gate.config import load as configuration
from ssmgate.gate.config.load import Config, Records
from ssmgate.gate.decision.access_errors import AccessError
from ssmgate.gate.decision.errors import GateError, InvalidRequest
from ssmgate.gate.records.writer import Recorder
from ssmgate.gate.system import signals, takeover
from ssmgate.login import command, environment, privileges
from ssmgate.login.command import ParsedCommand

if TYPE_CHECKING:
    from ssmgate.gate.argv.parse import Invocation

ENTRY = "ssmgate-login"
"""The program's name. A ForceCommand passes it as command if it is also the login shell."""

# Until the configuration is known, and if a record cannot be written where that configures.
_SYSLOG = Records(syslog=True)

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# These would end the process too, without a record, and have no purpose here.
_IGNORED = tuple(number for number in takeover.ENDING if number not in _ENDING)


def run(arguments: Sequence[str], explain: process.Explain) -> NoReturn:
    """Run a login and exit. `arguments` as for `login`, `explain` as for `process.run`."""
    process.run(lambda environ: login(arguments, environ), explain=explain, debug=None)


def login(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Start a session for the user, only by the rules of the system's configuration.

    `arguments` are those of the login shell: none, or `-c` and a command. `environ` is not trusted;
    `os.environ` is replaced with the few variables that are. Becomes the plugin. Raises
    `GateError` or `signals.Interrupted` otherwise, and records each of these ends.
    """
    _end_on_signals()
    recorder = Recorder(_SYSLOG, environment.trusted(environ))
    line: str | None = None
    try:
        privileges.give_up()
        config = configuration.load({})
        recorder = _recorder(config, recorder)
        line = _line(arguments, environ)
        environment.require_root_owned(config)
        variables = environment.environment(config, environ)
        os.environ.clear()
        os.environ.update(variables)
        # Not earlier: awscli reads the environment while it is imported.
        from ssmgate.gate import start
        from ssmgate.login.confinement import confine

        if line is None:
            from ssmgate.login import menu

            parsed = menu.ask(config, printer.eprint)
        else:
            parsed = command.read(line, config.login.options)
        invocation = start.read(parsed.argv())
        if isinstance(invocation, int):
            return invocation
        _require_same_meaning(invocation, parsed)
        permitted = start.permit(invocation, variables, recorder=recorder)
        confinement = confine(permitted, variables)
        with start.started(permitted) as session:
            return confinement.around(session).exec()
    except BaseException as error:
        # First of all: a second signal could raise in any call before this `try`.
        try:
            _record_end(recorder, error, line)
        except signals.Interrupted:  # the signal arrived before signals were ignored
            _record_end(recorder, error, line)
        if isinstance(error, AccessError):
            error.offers_commands = False  # the user has no shell
        raise


def _line(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return the command, None if none was given. Raises `InvalidRequest` for two of them."""
    forced = environ.get("SSH_ORIGINAL_COMMAND") or None
    if not arguments:
        return forced
    if len(arguments) != 2 or arguments[0] != "-c":
        raise InvalidRequest("refused: the login takes no arguments except -c and a command")
    given = arguments[1]
    # A ForceCommand with this program, for a user whose login shell it also is.
    if given.strip().rpartition("/")[2] == ENTRY and " " not in given.strip():
        return forced
    if forced is not None:
        raise InvalidRequest("refused: two commands were given, one by sshd")
    return given or None


def _recorder(config: Config, before: Recorder) -> Recorder:
    """Return `before` with the configured places; syslog if none, as every login is recorded."""
    records = config.records
    if not (records.file or records.syslog):
        records = replace(records, syslog=True)
    return replace(before, records=records, permissive=config.permissive)


def _require_same_meaning(invocation: Invocation, parsed: ParsedCommand) -> None:
    """Raise unless the CLI's parser has read exactly `parsed`, and nothing else."""
    options = invocation.options
    rest = (options.endpoint_url, options.verify, options.debug)
    same = parsed.is_read_as(invocation.request, options.region, options.profile)
    if not same or rest != (None, None, False):
        raise InvalidRequest("refused: the command is ambiguous")


def _record_end(recorder: Recorder, error: BaseException, line: str | None) -> None:
    for number in _ENDING:
        signal.signal(number, takeover.nothing)
    members = _ended(error, line)
    if problem := recorder.write("end", members, notable=True):
        printer.warn(f"cannot write the audit record: {problem}")
        replace(recorder, records=_SYSLOG).write("end", members, notable=True)


def _ended(error: BaseException, line: str | None) -> dict[str, object]:
    if isinstance(error, GateError):
        why, code = error.message, error.exit_code
    elif isinstance(error, signals.Interrupted):
        why, code = f"signal {error.number}", 128 + error.number
    else:
        why, code = f"{type(error).__name__}: {error}", 255
    notes = [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]
    return {"command": line, "error": why, "exit_code": code, "notes": notes}


def _end_on_signals() -> None:
    """Make signals raise an exception, so that the end of the login is recorded."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise signals.Interrupted(number)

    for number in _ENDING:
        signal.signal(number, end)
    for number in _IGNORED:
        signal.signal(number, takeover.nothing)
