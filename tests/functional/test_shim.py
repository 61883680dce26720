"""The `aws` on PATH: what it passes on unchanged, and that no session bypasses the check."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

import pytest

from conftest import FAKES, TARGET, Machine
from fakes.needs import require
from fakes.scripted_aws import evaluation
from fakes.waiting import until
from plugins import ways

pytestmark = pytest.mark.starts("cold", "daemon")

ROOT = FAKES.parent.parent
SHIM = ROOT / "bin" / "aws"
REAL = FAKES / "real" / "aws"
SHELLS = ("dash", "bash", "busybox")
START = ("ssm", "start-session", "--target", TARGET)
# Not /bin/sh by default anywhere, but macOS can be configured so.
AND_ZSH = pytest.mark.parametrize("any_line", [*SHELLS, "zsh"], indirect=True)


@dataclass
class Line:
    """A user's `aws …` with the shim first on PATH, a recording `aws` next, and IAM denying."""

    machine: Machine
    records: Path
    directory: Path
    shell: str = "dash"
    called: str = "sh"
    program: str = str(SHIM)
    path: list[str] = field(default_factory=lambda: [str(SHIM.parent), str(REAL.parent)])

    def alias(self, text: str | bytes) -> None:
        file = self.machine.home / ".aws" / "cli" / "alias"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def variables(self, **environ: str | None) -> dict[str, str]:
        merged = {
            **self.machine.variables(),
            "PATH": os.pathsep.join([*self.path, str(FAKES), "/usr/bin", "/bin"]),
            "FAKE_AWS": str(self.records),
            **environ,
        }
        return {name: value for name, value in merged.items() if value is not None}

    def run(self, *words: str | bytes, **environ: str | None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.command(), *words],
            env=self.variables(**environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.machine.home,
            timeout=60,
            check=False,
        )

    def command(self) -> list[str]:
        """Return the shim, run by `shell` under its name `called`: sh, where that is the system's
        /bin/sh.
        """
        path = require(self.shell)
        sh = self.directory / self.shell / self.called
        sh.parent.mkdir(exist_ok=True)
        if not sh.exists():
            sh.symlink_to(path)
        return [str(sh), self.program]

    @property
    def passed_on(self) -> bool:
        return (self.records / "argv").exists()

    @property
    def argv(self) -> list[bytes]:
        return (self.records / "argv").read_bytes().split(b"\0")[:-1]


@pytest.fixture
def line(machine: Machine, tmp_path: Path) -> Line:
    records = tmp_path / "real"
    records.mkdir()
    machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))
    line = Line(machine, records, tmp_path)
    if ways.forked():
        line.program = str(ways.forks.checkout / "bin" / "aws")
    return line


@pytest.fixture(params=SHELLS)
def any_line(line: Line, request: pytest.FixtureRequest) -> Line:
    line.shell = request.param
    return line


# Passed on.


@AND_ZSH
@pytest.mark.parametrize(
    "words",
    [
        pytest.param([], id="nothing"),
        pytest.param(["s3", "ls"], id="another command"),
        pytest.param(["s3", "cp", "a b", "*", "", "$HOME", "`id`", "x\ny", "\\", "'\""], id="odd"),
        pytest.param(["x", b"\xff\xfe", "é".encode()], id="bytes"),
        pytest.param(["ssm", "describe-sessions", "--state", "Active"], id="ssm"),
        pytest.param(["ssm", "start-session-x"], id="a longer name"),
        pytest.param(["ssm", "start-sessio"], id="an abbreviated command"),
        pytest.param(["SSM", "start-session"], id="another case"),
        pytest.param(["ec2", "start-session"], id="half"),
        pytest.param(["--version"], id="--version"),
        pytest.param(["--", "-n", "-e"], id="dashes"),
        pytest.param(["x" * 100_000], id="long"),
    ],
)
def test_passes_other_commands_to_real_aws(any_line: Line, words: list[str | bytes]) -> None:
    (any_line.records / "do").write_text("cat; echo out; echo err >&2; exit 7")

    ended = subprocess.run(
        [*any_line.command(), *words], env=any_line.variables(), input=b"in\0put\n",
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout, ended.stderr) == (7, b"in\0put\nout\n", b"err\n")
    assert any_line.argv == [os.fsencode(word) for word in words]
    assert any_line.machine.aws.received == []


@pytest.mark.process
@AND_ZSH
def test_passes_environment_and_pid_unchanged(any_line: Line) -> None:
    environ = any_line.variables(EMPTY="", ODD="a b\tc")
    with subprocess.Popen([*any_line.command(), "s3"], env=environ) as process:
        process.wait(60)

    found = dict(
        pair.split("=", 1) for pair in (any_line.records / "environ").read_text().splitlines()
    )
    assert int((any_line.records / "pid").read_text()) == process.pid
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_", "_SSMGATE_AWS_TRIED", "AWS_CLI_AUTO_PROMPT"}
    shells_own |= {"LOGNAME"} if any_line.shell == "zsh" else set()
    assert {k: v for k, v in found.items() if k not in shells_own} == environ
    assert found["AWS_CLI_AUTO_PROMPT"] == "off"


@pytest.mark.process
@pytest.mark.parametrize("closed", [(), (0,), (1,), (2,), (0, 1, 2)])
def test_real_aws_gets_descriptors(any_line: Line, closed: tuple[int, ...]) -> None:
    any_line.alias("[toplevel]\nx = !true\n")  # a file to read on the way
    seen = []
    with open(os.devnull) as extra:
        for command in ([str(REAL)], any_line.command()):
            closing = " ".join(f"{number}>&-" for number in closed)
            subprocess.run(
                ["sh", "-c", f'exec "$@" {closing}', "sh", *command, "s3"],
                env=any_line.variables(), stdin=subprocess.DEVNULL, capture_output=True,
                pass_fds=[extra.fileno()], timeout=60, check=True,
            )  # fmt: skip
            seen.append(set((any_line.records / "fds").read_text().split()))

    if any_line.shell == "bash" and closed == (2,):
        seen[1] -= {"2"}  # bash itself keeps the script open there, whatever the script is
    assert seen[0] == seen[1]
    assert seen[0]


@pytest.mark.process
@pytest.mark.parametrize("words", [["s3"], ["s3", "ssm", "start-session"]])
def test_keeps_ignored_signals_of_caller(line: Line, words: list[str]) -> None:
    """Python ignores SIGPIPE: the real aws must not inherit that."""
    environ = line.variables()
    masks = []
    for command in ([str(REAL)], line.command()):
        subprocess.run([*command, *words], env=environ, timeout=60, check=True)
        status = (line.records / "status").read_text()
        masks.append(status.partition("SigIgn:")[2].split()[0])

    assert masks[0] == masks[1]


def test_passes_on_commands_in_deleted_directory(any_line: Line) -> None:
    gone = any_line.directory / "gone"
    gone.mkdir()
    subprocess.run(
        ["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(gone), *any_line.command(), "s3"],
        env=any_line.variables(), capture_output=True, timeout=60, check=True,
    )  # fmt: skip

    assert any_line.argv == [b"s3"]


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_signals_reach_real_aws(line: Line, number: int) -> None:
    (line.records / "do").write_text('touch "$FAKE_AWS/ready"; exec sleep 60')
    with subprocess.Popen([*line.command(), "s3"], env=line.variables()) as process:
        until((line.records / "ready").exists)
        process.send_signal(number)
        process.wait(20)

    assert process.returncode == -number


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["ssm", "list-documents", "start-session"], id="another operation"),
        pytest.param(["s3", "cp", "ssm", "start-session"], id="another service"),
        pytest.param(["of-a-later-cli", "ssm", "start-session"], id="a service unknown here"),
        pytest.param(["ssm", "of-a-later-cli", "start-session"], id="an operation unknown here"),
        pytest.param(["--version", "ssm", "start-session"], id="--version wins"),
        pytest.param(["--region", "ssm", "start-session"], id="ssm as a value"),
        pytest.param(["", *START], id="the empty command"),
        pytest.param(["s3", "--x", "a b", "", "ssm", "*", "start-session"], id="odd words"),
        pytest.param(["s3", "--of-a-later-cli", "ssm", "start-session"], id="an option behind it"),
        pytest.param(["--output", "json", "s3", "ssm", "start-session"], id="an option before it"),
        pytest.param(["--region", "s3", "s3", "ssm", "start-session"], id="a value of its name"),
        pytest.param(["s3", b"\xff", "ssm", "start-session"], id="bytes"),
    ],
)
def test_passes_on_commands_that_resemble_start_session(
    line: Line, words: list[str | bytes]
) -> None:
    (line.records / "do").write_text("exit 9")

    ended = line.run(*words)

    assert (ended.returncode, ended.stdout, ended.stderr) == (9, b"", b"")
    assert line.argv == [os.fsencode(word) for word in words]
    assert line.machine.aws.received == []


def test_allowed_start_executes_plugin(any_line: Line) -> None:
    any_line.machine.aws.script("SimulatePrincipalPolicy", evaluation())
    any_line.machine.plugin.on_start("exit 5")

    ended = any_line.run(*START)

    assert (ended.returncode, ended.stdout, ended.stderr) == (5, b"", b"")
    assert not any_line.passed_on
    added = {"_SSMGATE_AWS_TRIED", "AWS_CLI_AUTO_PROMPT"}
    assert not added & any_line.machine.plugin.environ.keys()


@pytest.mark.parametrize("words", [["--version"], ["s3", "ls"], ["ssm", "nonsense"], ["nonsense"]])
def test_shim_answers_as_installed_cli(line: Line, words: list[str]) -> None:
    bin_directory = str(Path(sys.executable).parent)
    line.path = [str(SHIM.parent), bin_directory]
    bare = subprocess.run(
        [f"{bin_directory}/aws", *words], env=line.variables(AWS_ENDPOINT_URL="http://127.0.0.1:9"),
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip

    ended = line.run(*words, AWS_ENDPOINT_URL="http://127.0.0.1:9")

    assert (ended.returncode, ended.stdout, ended.stderr) == (
        bare.returncode, bare.stdout, bare.stderr
    )  # fmt: skip


# Aliases that start no session.


@pytest.mark.process
def test_shell_alias_finds_shim_first(any_line: Line) -> None:
    any_line.alias("[toplevel]\nwho = !aws sts get-caller-identity\n")
    any_line.path = [str(REAL.parent)]  # the shim was called by its path

    any_line.run("who", "x")

    assert any_line.argv == [b"who", b"x"]
    found = (any_line.records / "environ").read_text()
    assert f"\nPATH={SHIM.parent}:{REAL.parent}:" in f"\n{found}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("[toplevel]\nls = s3 ls\n", ["ls"], id="a plain one"),
        pytest.param("[toplevel]\ns3 = s3 --no-paginate\n", ["s3", "ls"], id="named like itself"),
        pytest.param(
            "[command ssm]\nlist-documents = list-documents --max-items 3\n",
            ["ssm", "list-documents"],
            id="named like an operation",
        ),
        pytest.param(
            "[command ssm]\nlist-documents = start-session\n",
            ["ssm", "list-documents"],
            id="named like an operation, with any text",
        ),
        pytest.param(
            "[toplevel]\nls = --of-a-later-cli x s3 ls\n", ["ls"], id="with an unknown option"
        ),
        pytest.param("[toplevel]\ngo = ssm start-session\n", ["s3", "ls"], id="not used"),
        pytest.param("", ["s3", "ls"], id="an empty file"),
    ],
)
def test_passes_other_aliases_to_real_aws(any_line: Line, text: str, words: list[str]) -> None:
    any_line.alias(text)

    any_line.run(*words)

    assert any_line.argv == [os.fsencode(word) for word in words]


@pytest.mark.parametrize("home", [None, "/no~such", "$NOWHERE"])
@pytest.mark.parametrize("option", ["--of-a-later-cli", "--output"])
def test_passes_on_commands_where_aliases_are_possible(
    line: Line, home: str | None, option: str
) -> None:
    line.run(option, "of-a-later-cli", "s3", HOME=home)

    assert line.argv == [option.encode(), b"of-a-later-cli", b"s3"]


def test_runs_command_of_operation_alias(line: Line) -> None:
    """v1 would ignore [command ssm] and start the session of that name."""
    line.alias("[command ssm]\nstart-session = !echo instead\n")

    ended = line.run(*START)

    assert (ended.returncode, ended.stdout) == (0, f"instead --target {TARGET}\n".encode())
    assert not line.passed_on


# Which aws is the real one.


def place(directory: Path, how: Callable[[Path], object]) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    how(directory / "aws")
    return str(directory)


HOWS: dict[str, Callable[[Path], object]] = {
    "the same directory": lambda path: path.symlink_to(SHIM),
    "a hard link": lambda path: path.hardlink_to(SHIM),
    "a copy": lambda path: shutil.copy(SHIM, path),
    "a link to a link": lambda path: (
        path.with_name("x").symlink_to(SHIM), path.symlink_to("x")
    ),
    "a directory": lambda path: path.mkdir(),
    "not executable": lambda path: path.write_text("#!/bin/sh\n"),
    "not readable": lambda path: (path.write_text("#!/bin/sh\n"), path.chmod(0)),
    "dangling": lambda path: path.symlink_to("/no/such/aws"),
}  # fmt: skip


@pytest.mark.parametrize("how", HOWS)
def test_search_skips_shim_and_files_that_are_not_programs(any_line: Line, how: str) -> None:
    if how == "a hard link" and os.stat(any_line.directory).st_dev != os.stat(SHIM).st_dev:
        HOWS["a copy"](any_line.directory / "aws")  # another file system has no hard link
    with contextlib.suppress(OSError):
        place(any_line.directory / "decoy", HOWS[how])
    any_line.path = [
        str(SHIM.parent), str(any_line.directory / "decoy"), "", "no/such", str(REAL.parent)
    ]  # fmt: skip

    assert any_line.run("s3").returncode == 0
    assert any_line.argv == [b"s3"]


@pytest.mark.parametrize("directory", ["-a", "-c", "bin", "."])
def test_searches_relative_directories_on_path(any_line: Line, directory: str) -> None:
    place(any_line.machine.home / directory, lambda path: shutil.copy(REAL, path))
    any_line.path = [str(SHIM.parent), directory]

    any_line.run("s3", "x")

    assert any_line.argv == [b"s3", b"x"]


MANAGER = """#!/bin/sh
# As pyenv: leaves its own directory out of PATH and executes the next.
PATH=$(printf %s "$PATH" | tr : '\\n' | grep -vx "${{0%/*}}" | paste -sd :)
{how} aws "$@"
"""


@pytest.mark.process
@pytest.mark.parametrize("how", ["exec", "env"])
def test_runs_real_aws_through_version_manager_shim(any_line: Line, how: str) -> None:
    manager = any_line.directory / "manager" / "aws"
    manager.parent.mkdir()
    manager.write_text(MANAGER.format(how=how))
    manager.chmod(0o755)
    any_line.path = [str(SHIM.parent), str(manager.parent), str(REAL.parent)]

    assert any_line.run("s3", "a b").returncode == 0
    assert any_line.argv == [b"s3", b"a b"]


@pytest.mark.parametrize("how", ["exec aws", "aws"])
def test_version_manager_shim_without_real_aws_fails(any_line: Line, how: str) -> None:
    manager = any_line.directory / "manager" / "aws"
    manager.parent.mkdir()
    manager.write_text(f'#!/bin/sh\n{how} "$@"\n')
    manager.chmod(0o755)
    any_line.path = [str(SHIM.parent), str(manager.parent)]

    ended = any_line.run("s3")

    assert ended.returncode in (127, 255)
    assert b"ssmgate: [ERROR]: " in ended.stderr


def test_programs_run_by_real_aws_find_real_aws(any_line: Line) -> None:
    """For example a credential_process that calls aws."""
    (any_line.records / "do").write_text('[ "$1" = s3 ] && { aws sts x; exit $?; }; exit 3')

    assert any_line.run("s3").returncode == 3
    assert any_line.argv == [b"sts", b"x"]


def test_reports_missing_real_aws(any_line: Line) -> None:
    any_line.path = [str(SHIM.parent)]

    ended = any_line.run("s3")

    assert (ended.returncode, ended.stdout) == (127, b"")
    assert b"no AWS CLI on PATH: its only aws is ssmgate's" in ended.stderr
    any_line.machine.aws.script("SimulatePrincipalPolicy", evaluation())
    assert any_line.run(*START).returncode == 0, "a checked start needs none"


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('[aws]\npath = "{real}"\n', None),
        ('aws.path = "{real}"\n', None),
        ('aws = {{ path = "{real}" }}\n', None),
        ("", "{real}"),
    ],
)
def test_uses_configured_real_aws(any_line: Line, text: str, variable: str | None) -> None:
    real = Path(place(any_line.directory / "named", lambda path: shutil.copy(REAL, path))) / "aws"
    config = any_line.machine.home / ".config" / "ssmgate" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(text.format(real=real))
    any_line.path = [str(SHIM.parent)]

    ended = any_line.run("s3", SSMGATE_AWS_PATH=variable and variable.format(real=real))

    assert ended.returncode == 0, ended.stderr
    assert any_line.argv == [b"s3"]


def test_reports_missing_configured_aws(line: Line) -> None:
    config = line.machine.home / ".config" / "ssmgate" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[aws]\npath = "/no/such/aws"\n')

    ended = line.run("s3")

    assert (ended.returncode, ended.stdout) == (127, b"")
    assert b"/no/such/aws cannot be executed" in ended.stderr
    assert not line.passed_on


@pytest.mark.parametrize(
    ("text", "variable", "asks"),
    [
        ('[aws]\npath = "/x"\n', None, True),
        ('[aws]\npath = "/x"\nlocked = ["aws.path"]\n', str(REAL), True),
        ('locked = ["*"]\n', str(REAL), True),
        ('locked = ["*"]\n', None, False),
        ('mode = "enforce"\n', str(REAL), False),
    ],
)
def test_system_file_overrides_environment_variable(
    any_line: Line, text: str, variable: str | None, asks: bool
) -> None:
    """ssmgate would evaluate the lock, and it is missing here."""
    system = any_line.directory / "config.toml"
    system.write_text(text)
    any_line.program = (
        place(
            any_line.directory / "a",
            lambda path: (
                path.write_text(SHIM.read_text().replace("/etc/ssmgate/config.toml", str(system))),
                path.chmod(0o755),
            ),
        )
        + "/aws"
    )

    ended = any_line.run("s3", SSMGATE_AWS_PATH=variable)

    assert (ended.returncode, any_line.passed_on) == ((255, False) if asks else (0, True))


def test_rejects_copy_of_shim_as_real_aws(any_line: Line) -> None:
    copy = place(any_line.directory / "a", lambda path: shutil.copy(SHIM, path)) + "/aws"

    assert any_line.run("s3", SSMGATE_AWS_PATH=copy).returncode == 253


@pytest.mark.parametrize("path", ["aws", "/no/such/aws", str(SHIM), "/"])
def test_wrong_path_of_real_aws_is_configuration_error(any_line: Line, path: str) -> None:
    ended = any_line.run("s3", SSMGATE_AWS_PATH=path)

    assert ended.returncode == 253
    assert not any_line.passed_on


# Attacks: each starts a session in the real CLI, unless it is refused or checked. IAM says no.

ARGV: dict[str, list[str]] = {
    "plain": [*START],
    "global before ssm": ["--region", "us-east-1", *START],
    "global between": ["ssm", "--region", "us-east-1", "start-session", "--target", TARGET],
    "global after": [*START, "--region", "us-east-1"],
    "global with =": ["--region=us-east-1", *START],
    "abbreviated global": ["--reg", "us-east-1", *START],
    "flag before": ["--no-verify-ssl", *START],
    "flag between": ["ssm", "--no-paginate", "start-session", "--target", TARGET],
    "global after its option": [
        "ssm", "start-session", "--target", "--region", "us-east-1", TARGET,
    ],
    "-- before ssm": ["--", *START],
    "-- after ssm": ["ssm", "--", "start-session", "--target", TARGET],
    "-- after start-session": ["ssm", "start-session", "--", "--target", TARGET],
    "-- at the end": [*START, "--"],
    "target with =": ["ssm", "start-session", f"--target={TARGET}"],
    "abbreviated target": ["ssm", "start-session", "--t", TARGET],
    "target before ssm": [f"--target={TARGET}", "ssm", "start-session"],
    "target between": ["ssm", f"--target={TARGET}", "start-session"],
    "repeated target": [*START, "--target", TARGET],
    "named default": [*START, "--document-name", "SSM-SessionManagerRunShell"],
    "abbreviated document": [*START, "--doc", "AWS-StartSSHSession"],
    "document before ssm": ["--document-name=AWS-StartSSHSession", *START],
    "full ARN": [
        *START, "--document-name", "arn:aws:ssm:us-east-1:111122223333:document/Mine",
    ],
    "JSON": ["ssm", "start-session", "--cli-input-json", f'{{"Target": "{TARGET}"}}'],
    "JSON after": [*START, "--cli-input-json", '{"DocumentName": "Mine"}'],
    "JSON file": ["ssm", "start-session", "--cli-input-json", "file://request.json"],
    "file": ["ssm", "start-session", "--target", "file://target"],
    "parameters": [
        *START, "--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22",
    ],
    "reason that looks like another command": [*START, "--reason", "s3 ls"],
    "query": ["--query", "SessionId", *START],
    "output": ["--output", "text", *START],
    "color": ["--color", "off", *START],
    "empty word first": ["ssm", "start-session", "", "--target", TARGET],
    "empty word last": [*START, ""],
    "time-outs": ["--cli-read-timeout", "5", "--cli-connect-timeout", "5", *START],
    "endpoint": ["--endpoint-url", "@URL@", *START],
    "many globals": ["--region", "x", "--region", "y", "--region", "us-east-1", *START],
    "ssm as a value first": ["--query", "ssm", *START],
    "both words as values first": ["--query", "ssm", "--output", "json", *START],
}  # fmt: skip
# AWS CLI v2's alone, or lines that no CLI takes: still never passed on.
MORE_ARGV: dict[str, list[str]] = {
    "YAML": ["ssm", "start-session", "--cli-input-yaml", f"Target: {TARGET}"],
    "no pager": ["--no-cli-pager", *START],
    "error format": ["--cli-error-format", "json", *START],
    "binary format": ["--cli-binary-format", "base64", *START],
    "prompt": ["--cli-auto-prompt"],
    "prompt before": ["--cli-auto-prompt", "ssm"],
    "prompt with a start": [*START, "--cli-auto-prompt"],
    "prompt abbreviated": ["--cli-auto-p", *START],
    "no prompt": ["--no-cli-auto-prompt", *START],
    "prompt both ways": ["--no-cli-auto-prompt", "--cli-auto-prompt", "s3"],
    "unsigned": ["--no-sign-request", *START],
    "unknown global": ["--of-a-later-cli", *START],
    "unknown global with a value": ["--of-a-later-cli=x", *START],
    "an invalid choice": ["--cli-error-format", *START],
    "unknown global with a word": ["--of-a-later-cli", "x", *START],
    "unknown global with a command": ["--of-a-later-cli", "s3", *START],
    "unknown global between": [
        "ssm",
        "--of-a-later-cli",
        "list-documents",
        "start-session",
        "--target",
        TARGET,
    ],
    "unknown globals": ["--region", "us-east-1", "--a", "--b", "x", *START],
    "a blank in an unknown global": ["--of-a later-cli", *START],
    "-- and an unknown global": ["--", "--of-a-later-cli", *START],
    "-- and another command": ["--", "s3", *START],
    "-- twice": ["--", "--", *START],
    "unknown short option": ["-x", "s3", *START],
    "unknown option": [*START, "--of-a-later-cli"],
    "document with a version": [*START, "--document-name", "Mine:1"],
    "document with a newline": [*START, "--document-name", "Mine\n"],
    "URL": ["ssm", "start-session", "--target", "https://example.com/x"],
    "debug": ["--debug", *START],
    "skeleton from file": [*START, "--cli-input-json", "file:///dev/stdin"],
}


def assert_nothing_started(line: Line, ended: subprocess.CompletedProcess[bytes]) -> None:
    assert ended.returncode != 0, ended.stdout
    assert not line.passed_on, line.argv
    assert line.machine.aws.calls("StartSession") == []
    assert not line.machine.plugin.started


def prepared(line: Line, words: list[str]) -> list[str]:
    (line.machine.home / "request.json").write_text(f'{{"Target": "{TARGET}"}}')
    (line.machine.home / "target").write_text(TARGET)
    return [word.replace("@URL@", line.machine.aws.url) for word in words]


@pytest.mark.parametrize("name", ARGV | MORE_ARGV)
def test_no_command_line_bypasses_gate(line: Line, name: str) -> None:
    ended = line.run(*prepared(line, (ARGV | MORE_ARGV)[name]))

    assert_nothing_started(line, ended)
    assert b"ssmgate: [ERROR]: " in ended.stderr or b'"Code"' in ended.stderr
    if name in ARGV:
        assert line.machine.aws.calls("SimulatePrincipalPolicy"), "it was not even a start"


@pytest.mark.parametrize("name", ARGV)
def test_attack_command_lines_start_session_in_real_cli(line: Line, name: str) -> None:
    aws = Path(sys.executable).parent / "aws"
    subprocess.run(
        [aws, *prepared(line, ARGV[name])],
        env=line.variables(AWS_DEFAULT_REGION="us-east-1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=line.machine.home,
        timeout=60,
        check=False,
    )

    assert line.machine.aws.calls("StartSession")


GO = f"ssm start-session --target {TARGET}"
ALIASES: dict[str, tuple[str | bytes, list[str]]] = {
    "plain": (f"[toplevel]\ngo = {GO}\n", ["go"]),
    "with a colon": (f"[toplevel]\ngo : {GO}\n", ["go"]),
    "no blanks": (f"[toplevel]\ngo={GO}\n", ["go"]),
    "indented": (f"[toplevel]\n   go = {GO}\n", ["go"]),
    "a tab": (f"[toplevel]\n\tgo\t=\t{GO}\n", ["go"]),
    "a comment above": (f"# go = s3\n[toplevel]\n; go = s3\ngo = {GO}\n", ["go"]),
    "a comment between": (
        f"[toplevel]\ngo = ssm\n  # s3\n  start-session\n  --target {TARGET}\n", ["go"]
    ),
    "an equals sign in the value": (
        f"[toplevel]\ngo = ssm start-session --target={TARGET} --reason=a=b\n", ["go"]
    ),
    "upper case in the file": (f"[toplevel]\nGo = {GO}\n", ["go"]),
    "all of it": (f"[toplevel]\n{ascii_uppercase} = {GO}\n", [ascii_lowercase]),
    "value on the next line": (f"[toplevel]\ngo =\n  {GO}\n", ["go"]),
    "value on two lines": (f"[toplevel]\ngo = ssm\n  start-session\n  --target {TARGET}\n", ["go"]),
    "quoted": (f'[toplevel]\ngo = "ssm" \'start-session\' --target {TARGET}\n', ["go"]),
    "half quoted": (f"[toplevel]\ngo = s's'm start-'ses'sion --target {TARGET}\n", ["go"]),
    "backslashes": (f"[toplevel]\ngo = s\\sm start\\-session --target {TARGET}\n", ["go"]),
    "half here": ("[toplevel]\ngo = ssm\n", ["go", "start-session", "--target", TARGET]),
    "a chain": (f"[toplevel]\ngo = on --output json\non = {GO}\n", ["go"]),
    "globals before it": (f"[toplevel]\ngo = {GO}\n", ["--region", "us-east-1", "go"]),
    "globals inside": (f"[toplevel]\ngo = --region us-east-1 {GO}\n", ["go"]),
    "a global as value of the same name": (f"[toplevel]\ngo = {GO}\n", ["--query", "go", "go"]),
    "for ssm": ("[toplevel]\nssm = ssm --region us-east-1\n", [*START]),
    "a name with a blank": (f"[toplevel]\na b = {GO}\n", ["a b"]),
    "a name with a star": (f"[toplevel]\n* = {GO}\n", ["*"]),
    "a name with brackets": (f"[toplevel]\na[b] = {GO}\n", ["a[b]"]),
    "a name with a hash": (f"[toplevel]\na#b = {GO}\n", ["a#b"]),
    "an accent": (f"[toplevel]\né = {GO}\n", ["é"]),
    "an accent in upper case": (f"[toplevel]\nÉ = {GO}\n", ["é"]),
    "carriage returns": (f"[toplevel]\r\ngo = {GO}\r\n", ["go"]),
    "hidden by a carriage return": (f"[toplevel]\nx = !true\rgo = {GO}\r", ["go"]),
    "no newline at the end": (f"[toplevel]\ngo = {GO}", ["go"]),
    "after an external one": (f"[toplevel]\nx = !true\ngo = {GO}\n", ["go"]),
    "before an external one of the name": (
        f"[toplevel]\ngo = {GO}\n[command s3]\ngo = !true\n", ["go"],
    ),
    "after an external one of the name": (
        f"[command s3]\ngo = !true\n[toplevel]\ngo = {GO}\n", ["go"],
    ),
    "a section of defaults": (f"[DEFAULT]\ngo = {GO}\n[toplevel]\nx = s3\n", ["go"]),
    "external": ("[toplevel]\ngo = !aws ssm start-session --target\n", ["go", TARGET]),
    "external function": (
        '[toplevel]\ngo =\n  !f() {\n    aws ssm start-session --target "$1"\n  }; f\n',
        ["go", TARGET],
    ),
    "an operation": ("[command ssm]\ngo = start-session\n", ["ssm", "go", "--target", TARGET]),
    "an operation with all": (
        f"[command ssm]\ngo = start-session --target {TARGET}\n", ["ssm", "go"],
    ),
    "odd blanks in the section": (
        "[command   ssm]\ngo = start-session\n", ["ssm", "go", "--target", TARGET],
    ),
    "start-session itself": (
        f"[command ssm]\nstart-session = start-session --target {TARGET}\n",
        ["ssm", "start-session"],
    ),
    "start-session by another": (
        f"[command ssm]\nstart-session = list-documents --target {TARGET}\n",
        ["ssm", "start-session"],
    ),
    "both sections": (
        f"[toplevel]\ns = ssm\n[command ssm]\ng = start-session --target {TARGET}\n", ["s", "g"],
    ),
    "an operation, external": (
        "[command ssm]\ngo = !aws ssm start-session --target\n", ["ssm", "go", TARGET],
    ),
}  # fmt: skip


UNSURE: dict[str, tuple[str, list[str]]] = {
    "inside": (f"[toplevel]\ngo = --of-a-later-cli x {GO}\n", ["go"]),
    "before": (f"[toplevel]\ngo = {GO}\n", ["--of-a-later-cli", "x", "go"]),
    "as the value": ("[toplevel]\ngo = s3\n", ["--of-a-later-cli", "go", *START]),
    "external, as the value": ("[toplevel]\ngo = !true\n", ["--of-a-later-cli", "go", *START]),
    "half here": ("[toplevel]\ngo = --of-a-later-cli x ssm\n", ["go", "start-session"]),
    "below ssm": (
        f"[command ssm]\ngo = --of-a-later-cli x start-session --target {TARGET}\n", ["ssm", "go"],
    ),
    "below ssm, before": (
        f"[command ssm]\ngo = start-session --target {TARGET}\n",
        ["ssm", "--of-a-later-cli", "x", "go"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSURE)
def test_unknown_options_do_not_hide_alias(line: Line, name: str) -> None:
    text, words = UNSURE[name]
    line.alias(text)

    ended = line.run(*words)

    assert_nothing_started(line, ended)
    assert ended.returncode == 252


HOMES: dict[str, tuple[str, str]] = {
    # HOME, and the directory below the current one that the CLI takes it for
    "a variable": ("$X", "x"),
    "a variable in braces": ("${X}", "x"),
    "a variable behind a directory": ("h/$X", "h/x"),
}


@pytest.mark.parametrize("name", HOMES)
def test_ambiguous_home_does_not_bypass_gate(any_line: Line, name: str) -> None:
    """The CLI tests for the file under one reading of HOME, and opens it under the other."""
    home, meant = HOMES[name]
    for directory, text in ((home, "[toplevel]\nx = s3\n"), (meant, f"[toplevel]\ngo = {GO}\n")):
        file = any_line.machine.home / directory / ".aws" / "cli" / "alias"
        file.parent.mkdir(parents=True)
        file.write_text(text)

    assert_nothing_started(any_line, any_line.run("go", HOME=home, X="x"))


@pytest.mark.parametrize("name", ALIASES)
def test_no_alias_bypasses_gate(any_line: Line, name: str) -> None:
    text, words = ALIASES[name]
    any_line.alias(text)
    if "external" in name:  # the real CLI runs it
        aws = f"{Path(sys.executable).parent}/aws"
        if name == "an operation, external":  # v2 alone
            aws = "aws ssm start-session --target"
        (any_line.records / "do").write_text(
            f'rm "$FAKE_AWS/argv"; [ "$1" = ssm ] && shift 2; exec {aws} "$@"'
        )

    ended = any_line.run(*words)

    assert_nothing_started(any_line, ended)
    assert any_line.machine.aws.calls("SimulatePrincipalPolicy")


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "a fifo": lambda path: os.mkfifo(path),
    "a directory": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/null"),
    "broken": lambda path: path.write_text("go = no section\n"),
    "twice": lambda path: path.write_text("[toplevel]\ngo = s3\ngo = ssm start-session\n"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_rejects_invalid_alias_file(any_line: Line, name: str) -> None:
    file = any_line.machine.home / ".aws" / "cli" / "alias"
    file.parent.mkdir(parents=True)
    UNREADABLE[name](file)

    assert_nothing_started(any_line, any_line.run("go", "--target", TARGET))


ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "IFS": {"IFS": "sm-"},
    "IFS of letters": {"IFS": "startesion"},
    "a Turkish locale": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "no locale": {"LC_ALL": None, "LANG": None},
    "the C locale": {"LC_ALL": "C"},
    "POSIXLY_CORRECT": {"POSIXLY_CORRECT": "1"},
    "ENV": {"ENV": "@EVIL@"},
    "BASH_ENV": {"BASH_ENV": "@EVIL@"},
    "SHELLOPTS": {"SHELLOPTS": "noglob:nounset:allexport"},
    "errexit": {"SHELLOPTS": "errexit"},
    "nocasematch": {"BASHOPTS": "nocasematch:extglob"},
    "the guard": {"_SSMGATE_AWS_TRIED": "1 1 :"},
    "the guard, naming us": {"_SSMGATE_AWS_TRIED": f"1 1 :{SHIM}:"},
    "the guard, deep": {"_SSMGATE_AWS_TRIED": "1 29 :"},
    "the guard, nonsense": {"_SSMGATE_AWS_TRIED": "$(true) `true` ; exit"},
    "the guard, overflowing": {"_SSMGATE_AWS_TRIED": "1 99999999999999999999 :"},
    "the shell's variables": {
        "ssm": "", "start": "", "alias": "", "real": str(REAL), "prompt": "", "me": str(REAL),
        "word": "s3", "ascii": "*", "directory": "/", "depth": "0",
    },
    "prompt": {"AWS_CLI_AUTO_PROMPT": "on"},
    "no HOME": {"HOME": None},
    "an empty HOME": {"HOME": ""},
    "CDPATH": {"CDPATH": "/tmp:/"},
    "PYTHONSTARTUP": {"PYTHONSTARTUP": "@EVIL@"},
    "another awscli's plugins": {"BOTOCORE_EXPERIMENTAL__PLUGINS": "evil=evil"},
    "models": {"AWS_DATA_PATH": "/tmp"},
    "the real one named": {"SSMGATE_AWS_PATH": str(REAL)},
}  # fmt: skip


@AND_ZSH
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_environment_bypasses_gate(any_line: Line, name: str) -> None:
    evil = any_line.directory / "evil.sh"
    evil.write_text(f'exec {REAL} "$@"\n')
    environ = {
        key: value.replace("@EVIL@", str(evil)) if value else value
        for key, value in ENVIRONMENTS[name].items()
    }

    assert_nothing_started(any_line, any_line.run(*START, **environ))


@pytest.mark.parametrize(
    "name",
    [
        "[", "aws", "cd", "check", "command", "continue", "exec", "exit", "export", "fail",
        "find_alias", "find_real", "ours", "printf", "pwd", "read", "readlink", "return", "unset",
    ],
)  # fmt: skip
def test_exported_functions_do_not_bypass_gate(line: Line, name: str) -> None:
    """Only bash imports them, and it prefers them to its own commands."""
    line.shell, line.called = "bash", "bash"  # as sh it would be in POSIX mode
    line.path.insert(0, "/nonexistent")  # there the search for the real aws goes on

    for words in ('"$@"', " ".join(START)):
        ended = line.run(*START, **{f"BASH_FUNC_{name}%%": f"() {{ exec {REAL} {words}; }}"})

        assert_nothing_started(line, ended)


def test_functions_named_like_shim_do_not_bypass_gate(line: Line) -> None:
    line.shell = "bash"
    function = '() { case $1$2 in -n1*) return 1 ;; esac; builtin [ "$@"; }'

    assert_nothing_started(line, line.run(*START, **{"BASH_FUNC_[%%": function}))


PATHS: dict[str, Callable[[Line], object]] = {
    "called by a link": lambda line: setattr(
        line, "program", place(line.directory / "a", lambda path: path.symlink_to(SHIM)) + "/aws"
    ),
    "called by a link to a link": lambda line: setattr(
        line,
        "program",
        place(
            line.directory / "a",
            lambda path: (path.with_name("b").symlink_to(SHIM), path.symlink_to("b")),
        )
        + "/aws",
    ),
    "called by another name": lambda line: setattr(
        line,
        "program",
        place(line.directory / "a", lambda path: path.with_name("x").symlink_to(SHIM)) + "/x",
    ),
    "a copy, and a .venv that is another's": lambda line: (
        setattr(
            line, "program",
            place(line.directory / "a", lambda path: shutil.copy(SHIM, path)) + "/aws",
        ),
        (line.directory / ".venv" / "bin").mkdir(parents=True),
        shutil.copy(REAL, line.directory / ".venv" / "bin" / "python"),
    ),
    "called by its bare name": lambda line: (
        setattr(line, "program", "aws"),
        line.machine.home.joinpath("aws").symlink_to(SHIM),
    ),
    "found on PATH by the shell, in a directory that resembles a checkout": lambda line: (
        setattr(line, "program", "aws"),
        (line.directory / "src" / "ssmgate").mkdir(parents=True),
        (line.directory / "src" / "ssmgate" / "__main__.py").touch(),
        (line.directory / ".venv" / "bin").mkdir(parents=True),
        shutil.copy(REAL, line.directory / ".venv" / "bin" / "python"),
    ),
    "a copy without ssmgate": lambda line: setattr(
        line, "program", place(line.directory / "a", lambda path: shutil.copy(SHIM, path)) + "/aws"
    ),
    "the real one first": lambda line: line.path.reverse(),
    "an empty PATH entry": lambda line: line.path.insert(0, ""),
    "a relative PATH": lambda line: line.path.insert(0, "."),
    "an aws in the current directory": lambda line: (
        shutil.copy(REAL, line.machine.home / "aws"), line.path.insert(0, "")
    ),
    "an ssmgate in the current directory": lambda line: (
        place(line.machine.home / "ssmgate", lambda path: path.with_name("__init__.py").touch()),
        line.path.insert(0, "."),
    ),
    "a python in the current directory": lambda line: (
        shutil.copy(REAL, line.machine.home / "python"), line.path.insert(0, ".")
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_no_path_bypasses_gate(any_line: Line, name: str) -> None:
    PATHS[name](any_line)

    assert_nothing_started(any_line, any_line.run(*START))


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_closed_descriptors_do_not_bypass_gate(any_line: Line, closed: tuple[int, ...]) -> None:
    closing = " ".join(f"{number}>&-" for number in closed)
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {closing}', "sh", *any_line.command(), *START],
        env=any_line.variables(), capture_output=True, timeout=60, check=False,
        cwd=any_line.machine.home,
    )  # fmt: skip

    assert_nothing_started(any_line, ended)


def test_deleted_directory_does_not_bypass_gate(any_line: Line) -> None:
    gone = any_line.directory / "gone"
    gone.mkdir()
    ended = subprocess.run(
        ["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(gone), *any_line.command(), *START],
        env=any_line.variables(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip

    assert_nothing_started(any_line, ended)


def test_without_ssmgate_denies_starts_and_passes_on_other_commands(any_line: Line) -> None:
    any_line.program = (
        place(any_line.directory / "a", lambda path: shutil.copy(SHIM, path)) + "/aws"
    )

    refused = any_line.run(*START)

    assert refused.returncode == 255
    assert b"ssmgate itself is not found" in refused.stderr
    assert not any_line.passed_on
    assert any_line.run("go", HOME=None).returncode == 255, "its aliases are unknown"
    assert not any_line.passed_on
    assert any_line.run("s3").returncode == 0
    assert any_line.passed_on
