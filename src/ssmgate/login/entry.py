"""The story of a login: from what sshd or login(1) hands over to the gate, or to a refusal."""

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
from ssmgate.login import command, environment
from ssmgate.login.command import ParsedCommand

if TYPE_CHECKING:
    from ssmgate.gate.argv.parse import Invocation

ENTRY = "ssmgate-login"
"""The program's name, which a ForceCommand hands to it as login shell."""

# Until the configuration is known, and where its own places do not take a record.
_SYSLOG = Records(syslog=True)

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# Would end the process too, without a record, and mean nothing here.
_MEANINGLESS = tuple(number for number in takeover.ENDING if number not in _ENDING)


def run(arguments: Sequence[str], explain: process.Explain) -> NoReturn:
    """Run a login in this process, and exit. `arguments` as for `login`; `explain` as there."""
    process.run(lambda environ: login(arguments, environ), explain=explain)


def login(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Let a person start a session, by the rules of the system's configuration and no others.

    `arguments` are those of the login shell: none, or `-c` and a command. `environ` is whatever
    there is; little of it is kept, and `os.environ` is made to be that. Becomes the plugin. Raises
    `GateError` or `signals.Interrupted` for every other end, each of which is recorded.
    """
    _end_on_signals()
    recorder = Recorder(_SYSLOG, environment.kept(environ))
    line: str | None = None
    try:
        config = configuration.load({})
        recorder = _recorder(config, recorder)
        line = _line(arguments, environ)
        environment.require_root_owned(config)
        kept = environment.environment(config, environ)
        os.environ.clear()
        os.environ.update(kept)
        # Not before: awscli reads the environment while it is imported.
        from ssmgate.gate import start

        if line is None:
            from ssmgate.login import menu

            wanted = menu.ask(config, printer.eprint)
        else:
            wanted = command.read(line, config.login.options)
        invocation = start.read(wanted.argv())
        if isinstance(invocation, int):
            return invocation
        _require_same_meaning(invocation, wanted)
        with start.started(start.permit(invocation, kept, recorder=recorder)) as session:
            return session.exec()
    except BaseException as error:
        if isinstance(error, AccessError):
            error.offers_commands = False  # the user has no shell
        try:
            _record_end(recorder, error, line)
        except signals.Interrupted:  # it came before they meant nothing any more
            _record_end(recorder, error, line)
        raise


def _line(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The command, None where none was given. Raises `InvalidRequest` for two of them."""
    forced = environ.get("SSH_ORIGINAL_COMMAND") or None
    if not arguments:
        return forced
    if len(arguments) != 2 or arguments[0] != "-c":
        raise InvalidRequest("refused: the login takes no arguments but -c and a command")
    given = arguments[1]
    # As ForceCommand of somebody whose shell it is too.
    if given.strip().rpartition("/")[2] == ENTRY and " " not in given.strip():
        return forced
    if forced is not None:
        raise InvalidRequest("refused: there are two commands, of which one is sshd's")
    return given or None


def _recorder(config: Config, before: Recorder) -> Recorder:
    """With the configuration's places; every login is recorded, so somewhere it has to be."""
    records = config.records
    if not (records.file or records.syslog):
        records = replace(records, syslog=True)
    return replace(before, records=records, permissive=config.permissive)


def _require_same_meaning(invocation: Invocation, wanted: ParsedCommand) -> None:
    """Raise unless the CLI's parser has read what was meant here, and nothing besides."""
    options = invocation.options
    rest = (options.endpoint_url, options.verify, options.debug)
    as_meant = wanted.is_read_as(invocation.request, options.region, options.profile)
    if not as_meant or rest != (None, None, False):
        raise InvalidRequest("refused: the command can be read in two ways")


def _record_end(recorder: Recorder, error: BaseException, line: str | None) -> None:
    for number in _ENDING:
        signal.signal(number, takeover.nothing)
    members = _ended(error, line)
    if problem := recorder.write("end", members, notable=True):
        printer.warn(f"this could not be recorded: {problem}")
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
    """Signals end a login by an exception, so that its end is recorded."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise signals.Interrupted(number)

    for number in _ENDING:
        signal.signal(number, end)
    for number in _MEANINGLESS:
        signal.signal(number, takeover.nothing)
