"""ssmgate compared with the real `aws`: the same arguments, the same requests, the same errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import Ended, Machine
from fakes.needs import find, require
from functional import oracle_runner
from functional.oracle_rows import DIFFERS, ON_PURPOSE, SHARED, Differs, OnPurpose, Row, Sent

AWS = Path(sys.executable).with_name("aws")
GATE = "import sys; from ssmgate.__main__ import run; run(sys.argv[1:])"


@dataclass
class Runner:
    """A process of oracle_runner for one program."""

    name: str
    home: str
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __enter__(self) -> Runner:
        self._process = subprocess.Popen(
            [sys.executable, oracle_runner.__file__, self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": self.home,
                "LANG": "C.UTF-8",
                "PYTHONWARNINGS": "error",
            },
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.communicate(timeout=30)

    def __call__(self, words: Sequence[str], environ: dict[str, str], cwd: Path) -> Ended:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"argv": list(words), "environ": environ, "cwd": str(cwd)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner("aws", str(tmp_path_factory.mktemp("aws"))) as runner:
        yield runner


@pytest.fixture(scope="module")
def ssmgate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner("ssmgate", str(tmp_path_factory.mktemp("ssmgate"))) as runner:
        yield runner


Program = Callable[[Sequence[str], dict[str, str], Path], Ended]


def real(*start: str) -> Program:
    """Run the program itself, one process for each run."""

    def program(words: Sequence[str], environ: dict[str, str], cwd: Path) -> Ended:
        ended = subprocess.run(
            [*start, *words],
            env=environ,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    return program


@dataclass(frozen=True)
class Outcome:
    """What one program did with one row."""

    ended: Ended
    sent: Sent | None
    order: tuple[str, ...] = ()


def outcome(program: Program, row: Row, machine: Machine) -> Outcome:
    """Run `row`. The request is the body as it arrived, with the arguments of the plugin."""
    write_files(row, machine)
    machine.aws.received.clear()
    (machine.plugin.directory / "argv").unlink(missing_ok=True)
    environ = {
        **machine.environ,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_STS": machine.aws.url,
        "AWS_ENDPOINT_URL_IAM": machine.aws.url,
        "PAGER": "cat",
    }
    for name, value in row.environ.items():
        if value is None:
            del environ[name]
        else:
            environ[name] = filled(value, machine)

    ended = program([filled(word, machine) for word in row.words], environ, machine.home)

    calls = machine.aws.calls("StartSession")
    if not calls:
        assert not machine.plugin.started
        return Outcome(ended, None)
    (call,) = calls
    response, region, operation, profile, parameters, endpoint = machine.plugin.argv
    assert (response, operation) == ("AWS_SSM_START_SESSION_RESPONSE", "StartSession")
    assert json.loads(parameters) == call.parameters
    assert machine.aws.calls("TerminateSession") == []
    sent = Sent(call.parameters, region, profile, endpoint.replace(machine.aws.url, "{url}"))
    return Outcome(ended, sent, tuple(json.loads(parameters)))


def filled(text: str, machine: Machine) -> str:
    return text.replace("{url}", machine.aws.url).replace("{home}", str(machine.home))


def write_files(row: Row, machine: Machine) -> None:
    for name, content in row.files.items():
        path = machine.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = filled(content, machine).encode() if isinstance(content, str) else content
        path.write_bytes(data)


def named(row: Row | Differs | OnPurpose) -> str:
    """Return an id that xdist and terminals accept: parametrize keeps ASCII."""
    return row.name.encode("unicode_escape").decode()[:80]


def assert_refused(tried: Outcome, code: int) -> None:
    assert tried.sent is None
    assert tried.ended.returncode == code
    assert tried.ended.stdout == ""
    assert "ssmgate: [ERROR]: " in tried.ended.stderr


def assert_as_v2(tried: Outcome, row: Row, sent: Sent | None) -> None:
    if row.prints:
        assert (tried.ended.returncode, tried.sent) == (0, None)
        assert row.prints in tried.ended.stdout
    elif row.sends:
        assert tried.sent == sent
        assert sent is not None
        assert tried.order == tuple(sent.body)
        assert (tried.ended.returncode, tried.ended.stdout) == (0, "")
    else:
        assert_refused(tried, row.code)


@pytest.mark.parametrize("row", SHARED, ids=named)
def test_does_what_aws_does(row: Row, aws: Runner, ssmgate: Runner, machine: Machine) -> None:
    if row.prints == "start-session" and find("mandoc") is None:
        require("groff")  # for the help of the AWS CLI
    said = outcome(aws, row, machine)
    assert (said.sent is not None) == row.sends
    assert (said.ended.returncode == 0) == (row.code == 0)
    assert row.prints in said.ended.stdout

    tried = outcome(ssmgate, row, machine)

    assert_as_v2(tried, row, said.sent)
    assert tried.order == said.order


@pytest.mark.parametrize("differs", DIFFERS, ids=named)
def test_does_what_v2_does_where_v1_differs(
    differs: Differs, aws: Runner, ssmgate: Runner, machine: Machine
) -> None:
    said = outcome(aws, differs.row, machine)
    tried = outcome(ssmgate, differs.row, machine)

    assert_as_v2(tried, differs.row, differs.v2)
    # Else the row belongs with the shared ones.
    assert (said.sent, said.ended.returncode) != (tried.sent, tried.ended.returncode)


@pytest.mark.parametrize("refused", ON_PURPOSE, ids=named)
def test_rejects_on_purpose(
    refused: OnPurpose, aws: Runner, ssmgate: Runner, machine: Machine
) -> None:
    said = outcome(aws, refused.row, machine)
    assert (said.sent is not None) == refused.v1
    assert refused.reason

    tried = outcome(ssmgate, refused.row, machine)

    assert_refused(tried, refused.code)
    assert refused.says in tried.ended.stderr


# One of each kind, as real processes: what the forks say is what the programs do.
TRUTH = [
    "all four",
    "--doc= is document",
    "profile before a value",
    "endpoint-url between",
    "version after",
    "three documents",
    "-- hides region",
    "empty word last",
    "unicode reason",
    'JSON {"a": ["b"]}',
    "input from ~",
    "key@=file and more",
    "file is missing",
    "skeleton output",
    "no credentials",
    "service's endpoint_url of a profile",
    "yaml of all four",
    "AWS_PROFILE first",
    "reason in latin-1",
    "unvalidated null document",
]


def the_row(name: str) -> Row:
    rows = [
        *SHARED,
        *(differs.row for differs in DIFFERS),
        *(purpose.row for purpose in ON_PURPOSE),
    ]
    (found,) = [row for row in rows if row.name == name]
    return found


@pytest.mark.parametrize("program", ["aws", "ssmgate"])
@pytest.mark.parametrize("name", TRUTH)
def test_fork_does_what_program_does(
    name: str, program: str, aws: Runner, ssmgate: Runner, machine: Machine
) -> None:
    fork, start = {
        "aws": (aws, (sys.executable, str(AWS))),
        "ssmgate": (ssmgate, (sys.executable, "-c", GATE)),
    }[program]

    assert outcome(fork, the_row(name), machine) == outcome(real(*start), the_row(name), machine)


def test_each_row_has_unique_name() -> None:
    names = [row.name for row in (*SHARED, *DIFFERS, *ON_PURPOSE)]

    assert len(names) == len(set(names))
    assert len(names) >= 300


def test_fork_leaves_no_state_behind(ssmgate: Runner, machine: Machine) -> None:
    """The environment, directory and options of a row end with it."""
    alone = Row("target alone", "START NODE")
    before = outcome(ssmgate, alone, machine)
    outcome(
        ssmgate,
        Row(
            "all over the place",
            "START NODE --region us-west-2 --debug --doc file://d",
            environ={"AWS_CLI_FILE_ENCODING": "utf-16", "AWS_ENDPOINT_URL_SSM": "{url}/other"},
            files={"d": "Doc".encode("utf-16")},
        ),
        machine,
    )

    assert outcome(ssmgate, alone, machine) == before


@pytest.mark.parametrize(
    ("words", "environ", "config"),
    [
        pytest.param("--cli-error-format json", {}, "", id="flag"),
        pytest.param("", {"AWS_CLI_ERROR_FORMAT": "json"}, "", id="environment"),
        pytest.param("", {}, "cli_error_format = json", id="profile"),
        pytest.param(
            "--cli-error-format json",
            {"AWS_CLI_ERROR_FORMAT": "legacy"},
            "cli_error_format = legacy",
            id="flag beats both",
        ),
        pytest.param(
            "",
            {"AWS_CLI_ERROR_FORMAT": "json"},
            "cli_error_format = legacy",
            id="environment beats profile",
        ),
    ],
)
@pytest.mark.parametrize("wrong", ["--reason ''", "--doc 'a b'"], ids=["length", "name"])
def test_errors_have_requested_format(
    words: str,
    environ: dict[str, str],
    config: str,
    wrong: str,
    ssmgate: Runner,
    machine: Machine,
) -> None:
    row = Row(
        "look",
        f"START NODE {words} {wrong}",
        environ=environ,
        files={".aws/config": f"[default]\n{config}\n"},
    )

    tried = outcome(ssmgate, row, machine)

    assert (tried.ended.returncode, tried.sent) == (252, None)
    assert json.loads(tried.ended.stderr)["Message"]
