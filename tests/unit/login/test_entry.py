"""From the arguments of sshd to the checked start: one command, one reading, a record."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

import pytest

from ssmgate.gate import printer, process
from ssmgate.gate.config.load import Config, Login, Records
from ssmgate.gate.decision.access_errors import AccessDenied
from ssmgate.gate.decision.errors import ConfigurationProblem, GateError, InvalidRequest
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.records.writer import Recorder
from ssmgate.gate.system import signals
from ssmgate.login import entry
from ssmgate.login.command import ParsedCommand

NODE = "i-02573cafcf0123456"
START = f"start-session --target {NODE}"


@pytest.mark.parametrize(
    ("arguments", "forced", "line"),
    [
        pytest.param([], None, None, id="a login"),
        pytest.param([], "", None, id="a login, an empty command"),
        pytest.param([], START, START, id="ForceCommand"),
        pytest.param(["-c", START], None, START, id="login shell"),
        pytest.param(["-c", ""], None, None, id="login shell, an empty command"),
        pytest.param(["-c", "ssmgate-login"], START, START, id="both, by name"),
        pytest.param(["-c", " /opt/bin/ssmgate-login\n"], START, START, id="both, by path"),
        pytest.param(["-c", "ssmgate-login"], None, None, id="both, no command"),
    ],
)
def test_reads_command(arguments: list[str], forced: str | None, line: str | None) -> None:
    environ = {} if forced is None else {"SSH_ORIGINAL_COMMAND": forced}
    assert entry._line(arguments, environ) == line


@pytest.mark.parametrize(
    ("arguments", "forced", "words"),
    [
        (["-c", "id"], START, "two commands"),
        (["-c", START], START, "two commands"),
        (["-c", "x ssmgate-login"], START, "two commands"),
        (["-c", "x /ssmgate-login"], START, "two commands"),
        (["-c", "ssmgate-login x"], START, "two commands"),
        (["-c", "notssmgate-login"], START, "two commands"),
        (["-c", "/ssmgate-login/id"], START, "two commands"),
        ([START], None, "no arguments except -c"),
        (["-l"], None, "no arguments except -c"),
        (["-c"], None, "no arguments except -c"),
        (["-c", START, "x"], None, "no arguments except -c"),
        (["-x", START], None, "no arguments except -c"),
    ],
)
def test_rejects_other_arguments(arguments: list[str], forced: str | None, words: str) -> None:
    environ = {} if forced is None else {"SSH_ORIGINAL_COMMAND": forced}
    with pytest.raises(InvalidRequest, match=f"^refused: .*{words}"):
        entry._line(arguments, environ)


def invocation(request: SessionRequest | None = None, **options: object) -> Any:
    usual = {"region": None, "profile": None, "endpoint_url": None, "verify": None, "debug": False}
    return SimpleNamespace(
        request=request or SessionRequest(NODE), options=SimpleNamespace(**{**usual, **options})
    )


def is_accepted(read: Any, command: ParsedCommand) -> bool:
    try:
        entry._require_same_meaning(read, command)
    except GateError:
        return False
    return True


def test_accepts_command_that_cli_reads_alike() -> None:
    command = ParsedCommand(NODE, region="eu-west-1", profile="dev")

    assert is_accepted(invocation(), ParsedCommand(NODE))
    assert is_accepted(invocation(region="eu-west-1", profile="dev"), command)
    assert not is_accepted(invocation(), command)


@pytest.mark.parametrize(
    "read",
    [
        invocation(SessionRequest("i-2")),
        invocation(SessionRequest(NODE, "Dev-Shell")),
        invocation(region="eu-west-1"),
        invocation(profile="admin"),
        invocation(endpoint_url="https://evil.example"),
        invocation(verify=False),
        invocation(verify="/tmp/ca.pem"),
        invocation(debug=True),
    ],
)
def test_rejects_command_that_cli_reads_differently(read: Any) -> None:
    with pytest.raises(InvalidRequest, match="the command is ambiguous"):
        entry._require_same_meaning(read, ParsedCommand(NODE))


@pytest.mark.parametrize(
    ("records", "used"),
    [
        (Records(), Records(syslog=True)),
        (Records(required=True), Records(syslog=True, required=True)),
        (Records(file="/x"), Records(file="/x")),
        (Records(syslog="/dev/log"), Records(syslog="/dev/log")),
    ],
)
def test_each_login_has_record_destination(records: Records, used: Records) -> None:
    before = Recorder(Records(syslog=True), {"LANG": "C"})

    recorder = entry._recorder(Config(records=records, permissive=True), before)

    assert (recorder.records, recorder.permissive) == (used, True)
    assert (recorder.environ, recorder.decision_id) == (before.environ, before.decision_id)


# A login as a whole: the gate, the configuration and the places of records are replaced.


class Logins:
    """The result of a login: the arguments of the gate, and the records."""

    def __init__(self) -> None:
        self.config: Config | Exception = Config(
            locked=frozenset({"mode"}), records=Records(file="/records"),
            login=Login(options=("region",), home="/empty"),
        )  # fmt: skip
        self.started: list[tuple[list[str], Mapping[str, str]]] = []
        self.read: Any = invocation()
        self.ends: BaseException | int = 0
        self.menu = ParsedCommand(NODE, "Dev-Shell")
        self.records: list[tuple[Records, str, dict[str, Any]]] = []
        self.problem = ""
        self.held: list[Config] = []
        self.printed: list[object] = []


PERMITTED = SimpleNamespace(config=Config(login=Login(confine_plugin=False)), plugin=None)


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Logins]:
    from ssmgate.gate import start as gate
    from ssmgate.login import menu

    seen = Logins()

    def load(environ: Mapping[str, str]) -> Config:
        assert environ == {}
        if isinstance(seen.config, Exception):
            raise seen.config
        return seen.config

    def read(argv: list[str]) -> Any:
        seen.started.append((argv, dict(os.environ)))
        return seen.read

    def permit(invocation: Any, environ: Any, *, recorder: Any) -> object:
        assert (invocation, environ) == (seen.read, seen.started[-1][1])
        assert recorder.records == seen.config.records  # type: ignore[union-attr]
        if isinstance(seen.ends, BaseException):
            raise seen.ends
        return PERMITTED

    @contextmanager
    def started(permitted: object) -> Iterator[Any]:
        assert permitted is PERMITTED
        yield SimpleNamespace(exec=lambda: seen.ends)

    def ask(config: Config, _tell: object) -> ParsedCommand:
        assert config == seen.config
        return seen.menu

    def write(recorder: Recorder, event: str, members: Any, *, notable: bool = False) -> str:
        assert notable
        seen.records.append((recorder.records, event, members))
        return seen.problem if recorder.records.file else ""

    monkeypatch.setattr(entry.configuration, "load", load)
    monkeypatch.setattr(entry.privileges, "give_up", lambda: None)
    monkeypatch.setattr(entry.environment, "require_root_owned", seen.held.append)
    monkeypatch.setattr(gate, "read", read)
    monkeypatch.setattr(gate, "permit", permit)
    monkeypatch.setattr(gate, "started", started)
    monkeypatch.setattr(printer, "eprint", seen.printed.append)
    monkeypatch.setattr(menu, "ask", ask)
    monkeypatch.setattr(Recorder, "write", write)
    environ = dict(os.environ)
    numbers = (*entry._ENDING, *entry._IGNORED)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield seen
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.environ.clear()
    os.environ.update(environ)


def login(logins: Logins, *arguments: str, **environ: str) -> int:
    return entry.login(arguments, environ)


def end(logins: Logins) -> dict[str, Any]:
    ((records, event, members),) = logins.records
    assert (records, event) == (logins.config.records, "end")  # type: ignore[union-attr]
    return members


def test_command_starts_its_session(logins: Logins) -> None:
    logins.ends = 7

    assert login(logins, "-c", START, LANG="C", AWS_PROFILE="admin", LD_PRELOAD="x") == 7
    ((argv, environ),) = logins.started
    assert argv == ["ssm", "start-session", f"--target={NODE}"]
    assert (environ["LANG"], environ["HOME"]) == ("C", "/empty")
    assert not {"AWS_PROFILE", "LD_PRELOAD"} & environ.keys()
    assert (logins.held, logins.records, logins.printed) == ([logins.config], [], [])


def test_login_without_command_shows_menu(logins: Logins) -> None:
    logins.read = invocation(SessionRequest(NODE, "Dev-Shell"))

    assert login(logins) == 0
    assert logins.started[0][0][-1] == "--document-name=Dev-Shell"


def test_accepts_command_with_offered_option(logins: Logins) -> None:
    logins.read = invocation(region="eu-west-1")

    assert login(logins, "-c", f"{START} --region eu-west-1") == 0
    with pytest.raises(InvalidRequest, match="unknown option '--profile'"):
        login(logins, "-c", f"{START} --profile dev")


def test_rejected_command_is_recorded(logins: Logins) -> None:
    with pytest.raises(InvalidRequest):
        login(logins, "-c", "id")

    assert logins.started == []
    assert end(logins) == {
        "command": "id", "error": "refused: unknown command 'id'", "exit_code": 252, "notes": []
    }  # fmt: skip


def test_ambiguous_request_is_recorded(logins: Logins) -> None:
    logins.read = invocation(SessionRequest("i-2"))
    with pytest.raises(InvalidRequest):
        login(logins, "-c", START)

    assert (end(logins)["command"], end(logins)["exit_code"]) == (START, 252)


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (GateError("no plugin"), "no plugin", 255),
        (signals.Interrupted(signal.SIGTERM), "signal 15", 143),
        (OSError("odd"), "OSError: odd", 255),
        (KeyboardInterrupt(), "KeyboardInterrupt: ", 255),
    ],
)
def test_each_other_outcome_is_recorded(
    logins: Logins, error: BaseException, message: str, code: int
) -> None:
    error.add_note("a note")
    error.__cause__ = ValueError()
    error.__cause__.add_note("of the cause")
    logins.ends = error
    with pytest.raises(type(error)):
        login(logins, "-c", START)

    assert end(logins) == {
        "command": START, "error": message, "exit_code": code, "notes": ["a note", "of the cause"]
    }  # fmt: skip


def test_denial_offers_no_commands_to_user_without_shell(logins: Logins) -> None:
    denied = AccessDenied(mock.Mock(document="Dev-Shell", full_reason="no"), details="no")
    logins.ends = denied
    with pytest.raises(AccessDenied):
        login(logins, "-c", START)

    assert denied.offers_commands is False
    other = GateError("no plugin")
    logins.ends = other
    with pytest.raises(GateError):
        login(logins, "-c", START)
    assert not hasattr(other, "offers_commands")


def test_returns_exit_status_of_parser(logins: Logins) -> None:
    logins.read = 252

    assert login(logins, "-c", START) == 252
    assert logins.records == []


def test_runs_login_in_this_process_with_explanations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[object] = []

    def run(begin: Callable[[dict[str, str]], int], *, explain: object, debug: object) -> NoReturn:
        ran.extend((begin({"A": "b"}), explain, debug))
        raise SystemExit

    monkeypatch.setattr(entry, "login", lambda *given: 7 if given == (["-c"], {"A": "b"}) else 8)
    monkeypatch.setattr(process, "run", run)
    with pytest.raises(SystemExit):
        entry.run(["-c"], print)
    # A login has no --debug.
    assert ran == [7, print, None]


def test_broken_configuration_is_recorded_in_syslog(logins: Logins) -> None:
    logins.config = ConfigurationProblem("no")
    with pytest.raises(ConfigurationProblem):
        login(logins, "-c", START)

    ((records, _event, members),) = logins.records
    assert records == Records(syslog=True)
    assert (members["command"], members["exit_code"]) == (None, 253)


def test_failed_record_is_written_to_syslog(logins: Logins) -> None:
    logins.problem = "disk full"
    with pytest.raises(InvalidRequest):
        login(logins, "-c", "id")

    assert [records for records, _event, _members in logins.records] == [
        Records(file="/records"), Records(syslog=True)
    ]  # fmt: skip
    assert logins.records[0][1:] == logins.records[1][1:]
    assert logins.printed == ["ssmgate: [WARNING]: cannot write the audit record: disk full"]


@pytest.mark.parametrize("number", entry._ENDING)
def test_signal_ends_login_by_exception(logins: Logins, number: int) -> None:
    entry._end_on_signals()
    with pytest.raises(signals.Interrupted) as caught:
        signal.raise_signal(number)
    assert caught.value.number == number


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO",
                                  "SIGXCPU"])  # fmt: skip
def test_harmless_signals_keep_default_disposition(logins: Logins, name: str) -> None:
    entry._end_on_signals()
    if hasattr(signal, name):
        signal.raise_signal(getattr(signal, name))
        assert signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN


def test_signal_during_recording_leaves_one_record(
    logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Recorder.write
    came: list[int] = []

    def interrupted(*arguments: Any, **named: Any) -> str:
        if not came:
            came.append(signal.SIGTERM)
            raise signals.Interrupted(signal.SIGTERM)
        return write(*arguments, **named)

    monkeypatch.setattr(Recorder, "write", interrupted)
    with pytest.raises(InvalidRequest):
        login(logins, "-c", "id")

    assert end(logins)["command"] == "id"
    for number in entry._ENDING:
        signal.raise_signal(number)


def test_immediate_second_signal_leaves_record(logins: Logins) -> None:
    """It arrives in the first call that looks at the exception of the first one."""

    class First(signals.Interrupted):
        @property
        def __class__(self) -> type[signals.Interrupted]:  # type: ignore[override]
            signal.raise_signal(signal.SIGHUP)
            return signals.Interrupted

        @__class__.setter
        def __class__(self, _: object) -> None: ...

    logins.ends = First(signal.SIGHUP)
    with pytest.raises(signals.Interrupted):
        login(logins, "-c", START)

    assert end(logins)["error"] == "signal 1"


def test_signal_during_menu_is_recorded(logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    from ssmgate.login import menu

    # So that it ends this test, and not its process, if the login leaves it as it is.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(menu, "ask", lambda *_: signal.raise_signal(signal.SIGHUP))
    with pytest.raises(signals.Interrupted):
        login(logins)

    assert (end(logins)["error"], end(logins)["exit_code"]) == ("signal 1", 129)
