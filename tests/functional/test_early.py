"""The first connection opens while the parser of the command line is still being loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import TARGET, Machine, make_machine
from fakes.certificates import server_context
from fakes.scripted_aws import ScriptedAws
from fakes.waiting import until


@pytest.fixture
def tls_machine(tmp_path: Path) -> Iterator[Machine]:
    """Return a machine whose AWS has TLS."""
    context, bundle = server_context(tmp_path)
    context.num_tickets = 0  # one that comes just before a request costs a connection
    with ScriptedAws(tls=context) as aws:
        machine = make_machine(aws, tmp_path)
        machine.environ["AWS_CA_BUNDLE"] = str(bundle)
        yield machine


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def begin(machine: Machine, *words: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET, *words],
        env=machine.variables(**environ),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def connections(machine: Machine) -> int:
    assert isinstance(machine.aws, ScriptedAws)
    return machine.aws.connections


def test_connects_before_parsing_and_uses_connection(tls_machine: Machine, pipe: Path) -> None:
    running = begin(tls_machine, "--parameters", f"file://{pipe}")
    until(lambda: connections(tls_machine))

    assert connections(tls_machine) == 1
    assert tls_machine.aws.operations == []
    pipe.write_text('{"a": ["b"]}')
    _, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (0, "")
    # Those to STS, IAM and SSM.
    assert connections(tls_machine) == 3


@pytest.mark.parametrize("word", ["--no-verify-ssl", "--debug"])
def test_parses_other_command_lines_before_connecting(
    tls_machine: Machine, pipe: Path, word: str
) -> None:
    running = begin(tls_machine, word, "--parameters", f"file://{pipe}", PYTHONWARNINGS="ignore")
    with open(pipe, "w") as writing:  # which waits for the reader
        time.sleep(0.3)
        assert connections(tls_machine) == 0
        writing.write('{"a": ["b"]}')
    running.communicate(timeout=30)
    assert running.returncode == 0


def test_invalid_command_line_sends_nothing(tls_machine: Machine) -> None:
    ended = tls_machine.run("--target", TARGET, "--parameters", "{")

    assert ended.returncode == 252
    assert tls_machine.aws.operations == []


def test_reports_unreachable_endpoint_once(tls_machine: Machine) -> None:
    ended = tls_machine.run("--target", TARGET, AWS_ENDPOINT_URL="https://127.0.0.1:1")

    assert ended.returncode == 254
    assert ended.stderr.count("Could not connect") == 1
