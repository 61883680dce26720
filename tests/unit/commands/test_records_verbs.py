"""`ssmgate records`: what it prints."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ssmgate.commands.main import main


def run(*words: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["records", *words], input=input)


def chained(count: int) -> list[bytes]:
    texts: list[bytes] = []
    prev = None
    for seq in range(1, count + 1):
        texts.append(json.dumps({"n": seq, "chain": {"seq": seq, "prev": prev}}).encode())
        prev = hashlib.sha256(texts[-1]).hexdigest()
    return texts


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    texts = chained(6)
    (tmp_path / "log.2.gz").write_bytes(gzip.compress(b"\n".join(texts[:2]) + b"\n"))
    (tmp_path / "log.1").write_bytes(b"\n".join(texts[2:4]) + b"\n")
    (tmp_path / "log").write_bytes(b"\n" + b"\n".join(texts[4:]) + b"\n")
    return tmp_path


def test_verifies_rotated_files_as_one_chain(files: Path) -> None:
    ended = run("verify", "log.2.gz", "log.1", "log")
    head = hashlib.sha256(chained(6)[5]).hexdigest()

    assert ended.stdout.splitlines() == [
        "6 records, 1 to 6: the chain is intact",
        f"head: 6:{head}",
    ]
    assert run("verify", "log.1", "log", "--head", f"6:{head}").exit_code == 0


def test_prints_file_and_line_of_finding(files: Path) -> None:
    path = files / "log"
    path.write_bytes(path.read_bytes().replace(b'"n": 5', b'"n": 9'))

    ended = run("verify", "log.1", "log")
    assert ended.exit_code == 3
    assert ended.stdout.splitlines()[:2] == [
        "log:2: changed: is not the line that the next one follows on",
        "4 records, 3 to 6: 1 finding",
    ]


def test_reports_missing_file_between_two(files: Path) -> None:
    ended = run("verify", "log.2.gz", "log")
    assert ended.stdout.startswith("log:2: missing: 2 records are missing before it\n")


def test_prints_json(files: Path) -> None:
    found = json.loads(run("verify", "log.1", "log", "--output", "json").stdout)

    assert (found["findings"], found["records"], found["head"]["seq"]) == ([], 4, 6)


def test_reads_standard_input(files: Path) -> None:
    assert run("verify", "-", input=b"\n".join(chained(3))).exit_code == 0


@pytest.mark.parametrize("name", ["none", ".", "broken.gz"])
def test_unreadable_file_is_unknown(files: Path, name: str) -> None:
    (files / "broken.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    ended = run("verify", name)

    assert ended.exit_code == 4
    assert ended.stderr.startswith(f"ssmgate: [ERROR]: {name}: ")


def test_escapes_names_of_files(files: Path) -> None:
    (files / "a\x1bb").write_text("{}\n{}\n")
    assert "\x1b" not in run("verify", "log.1", "a\x1bb").output
