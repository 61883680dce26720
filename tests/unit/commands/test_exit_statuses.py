"""The exit statuses of all verbs in one table: never 1 and 2 of click."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from ssmgate.__main__ import ssmgate
from ssmgate.commands import config as config_verb
from ssmgate.commands import daemon as daemon_verb
from ssmgate.commands import main

CALLER = ("--caller", "arn:aws:iam::111122223333:user/alice")
TARGET = ("--target", "i-0123456789abcdef0", "--region", "us-east-1")
SHELL = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"


def policy(**condition: Any) -> str:
    statement = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*", **condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


RECORD = json.dumps({"event": "start", "chain": {"seq": 1, "prev": None}})
NEXT = json.dumps({"chain": {"seq": 2, "prev": hashlib.sha256(RECORD.encode()).hexdigest()}})

FILES = {
    "intact.jsonl": f"{RECORD}\n{NEXT}\n",
    "changed.jsonl": f"{RECORD} \n{NEXT}\n",
    "unchained.jsonl": "{}\n",
    "empty.jsonl": "",
    "allows.json": policy(),
    "denies.json": policy(Resource=SHELL),
    "depends.json": policy(Condition={"StringEquals": {"aws:PrincipalTag/team": "ops"}}),
    "broken.json": "{",
    "good.toml": 'mode = "enforce"',
    "bad.toml": "mode = 1",
}

STATUSES: list[tuple[tuple[str, ...], int]] = [
    ((), 252),
    (("no-such-verb",), 252),
    (("--no-such-option",), 252),
    (("--help",), 0),
    (("--version",), 0),
    # Given as the first argument, it goes straight to the gate.
    (("--", "start-session"), 252),
    (("cache",), 252),
    (("cache", "no-such-verb"), 252),
    (("cache", "show"), 0),
    (("cache", "show", "word"), 252),
    (("cache", "show", "--output", "yaml"), 252),
    (("cache", "show", "--no-such-option"), 252),
    (("cache", "clear"), 0),
    (("config",), 252),
    (("config", "show"), 0),
    (("config", "check"), 252),
    (("config", "check", "good.toml"), 0),
    (("config", "check", "bad.toml"), 253),
    (("config", "check", "none.toml"), 253),
    (("daemon", "no-such-verb"), 252),
    (("daemon",), 252),
    (("daemon", "run", "--idle", "soon"), 252),
    (("daemon", "status"), 3),
    (("daemon", "stop"), 3),
    (("init",), 252),
    (("init", "tcsh"), 252),
    (("init", "bash"), 0),
    (("init", "bash", "--check"), 3),
    (("ssh-config", "--host", "-x"), 252),
    (("ssh-config", "word"), 252),
    (("policy",), 252),
    (("policy", "no-such-verb"), 252),
    (("policy", "check"), 252),
    (("policy", "check", "none.json", *CALLER, *TARGET), 252),
    (("policy", "check", "broken.json", *CALLER, *TARGET), 252),
    (("policy", "check", "allows.json", *TARGET), 252),
    (("policy", "check", "allows.json", *CALLER, "--region", "us-east-1"), 252),
    (("policy", "check", "allows.json", *CALLER, *TARGET[:2]), 253),
    (("policy", "check", "allows.json", *CALLER, *TARGET), 0),
    (("policy", "check", "denies.json", *CALLER, *TARGET), 3),
    (("policy", "check", "depends.json", *CALLER, *TARGET), 4),
    (("records",), 252),
    (("records", "no-such-verb"), 252),
    (("records", "show"), 253),
    (("records", "show", "empty.jsonl"), 0),
    (("records", "show", "unchained.jsonl"), 4),
    (("records", "show", "none.jsonl"), 4),
    (("records", "show", "empty.jsonl", "--since", "soon"), 252),
    (("records", "stats"), 253),
    (("records", "stats", "empty.jsonl"), 0),
    (("records", "stats", "none.jsonl"), 4),
    (("records", "join", "empty.jsonl"), 252),
    (("records", "join", "empty.jsonl", "--cloudtrail", "none"), 4),
    (("records", "join", "empty.jsonl", "--cloudtrail", "empty.jsonl"), 0),
    (("records", "catalog"), 0),
    (("records", "catalog", "word"), 252),
    (("records", "verify"), 252),
    (("records", "verify", "intact.jsonl"), 0),
    (("records", "verify", "changed.jsonl"), 3),
    (("records", "verify", "intact.jsonl", "--head", "1:" + "0" * 64), 3),
    (("records", "verify", "intact.jsonl", "--head", "1"), 252),
    (("records", "verify", "unchained.jsonl"), 4),
    (("records", "verify", "empty.jsonl"), 4),
    (("records", "verify", "none.jsonl"), 4),
    (("check",), 252),
    (("check", *TARGET, "--output", "table"), 252),
    (("check", *TARGET[:2]), 253),
    *(
        (("check", *TARGET, option, "allows.json"), 252)
        for option in ("--policy", "--boundary", "--scp", "--caller", "--context", "--aws")
    ),
    (("documents", "--document-name", "Dev-Shell"), 252),
    (("documents",), 253),
    (("doctor",), 3),
    (("doctor", "--output", "json"), 3),
    (("doctor", "--output", "table"), 252),
    (("doctor", "--document-name", "Dev-Shell"), 252),
    (("doctor", "word"), 252),
    (("sandbox", "env"), 252),
    (("sandbox", "word", "word"), 252),
    (("sandbox", "--"), 252),
    (("sandbox", "--port", "65536"), 252),
    (("sandbox", "--session-document-model", "2019"), 252),
    (("sandbox", "env", "alice"), 253),
]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    for name in [name for name in os.environ if name.startswith(("AWS_", "SSMGATE_", "_SSMGATE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    # The kernel says whose a daemon is, and not in every container.
    monkeypatch.setattr(daemon_verb.peer, "own_facts", dict)
    monkeypatch.setattr(daemon_verb.client, "connected", lambda *_: None)

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["ssmgate", *words])
        with pytest.raises(SystemExit) as ended:
            ssmgate()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return code or 0

    return run


@pytest.mark.parametrize(("words", "status"), STATUSES, ids=lambda value: str(value))
def test_verb_exits_with_documented_status(
    run: Callable[..., int], words: tuple[str, ...], status: int
) -> None:
    assert run(*words) == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (EOFError(), 130),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 255),
        (OSError(errno.ENOSPC, "No space left on device"), 255),
        (RuntimeError("a defect"), 255),
    ],
    ids=repr,
)
def test_failing_verb_exits_with_documented_status(
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
) -> None:
    def fail(_: object) -> object:
        raise error

    monkeypatch.setattr(config_verb.merge, "settings", fail)
    monkeypatch.setattr(os, "dup2", lambda *_: None)

    assert run("config", "show") == status


def leaves(group: click.Group, *before: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, *before, name)
        else:
            yield (*before, name), command


LEAVES = dict(leaves(main.main))


@pytest.mark.parametrize("verb", LEAVES, ids=" ".join)
def test_defect_is_printed_with_traceback_or_hint_that_works(
    verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(main.main, "invoke", fail)
    monkeypatch.setattr(sys, "argv", ["ssmgate", *verb])

    with pytest.raises(SystemExit) as ended:
        main.run()

    assert ended.value.code == 255
    printed = capsys.readouterr().err
    assert ("--debug shows where" in printed) != ("Traceback" in printed)
    if "--debug shows where" in printed:
        LEAVES[verb].make_context(verb[-1], ["--debug"])


def test_closed_stdout_gives_one_line(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "ssmgate", "config", "show"],
        env=environ,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert ended.returncode == 255
    assert ended.stderr == "ssmgate: [ERROR]: cannot write to standard output: Broken pipe\n"
