"""A gallery of denials: what a user and what a program read, for each way to be denied.

A reviewer has read each text. After an intended change, UPDATE_GALLERY=1 writes them anew: read
the difference.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conftest import FAKES
from functional.test_sandbox import Server, serving

GALLERY = Path(__file__).parent / "gallery"
CASES = json.loads((GALLERY / "cases.json").read_text())
# All texts have a golden file; of equal JSON shapes only one has.
REPORTS = sorted(set(GALLERY.glob("*.json")) - {GALLERY / "cases.json"})
SCHEMA = json.loads(resources.files("ssmgate.explain").joinpath("schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

Run = Callable[[str, list[str], dict[str, str]], dict[str, Any]]


@pytest.fixture(scope="module")
def gallery() -> Iterator[Server]:
    with serving("--seed", str(GALLERY / "seed.toml")) as server:
        yield server


@pytest.fixture(scope="module")
def run(gallery: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SSMGATE_"))}
    environ |= {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PATH": f"{FAKES}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": gallery.url,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SECRET_ACCESS_KEY": "secret-of-example",
    }
    runner = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "gallery_runner.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ,
    )  # fmt: skip
    assert runner.stdin is not None
    assert runner.stdout is not None
    stdin, stdout = runner.stdin, runner.stdout

    def ask(who: str, words: list[str], more: dict[str, str]) -> dict[str, Any]:
        signs = gallery.principals[who]
        as_whom = {"AWS_ACCESS_KEY_ID": str(signs["access_key_id"])}
        if signs["session_token"]:
            as_whom["AWS_SESSION_TOKEN"] = str(signs["session_token"])
        stdin.write(json.dumps({"environ": {**as_whom, **more}, "words": words}) + "\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        for value in (*as_whom.values(), environ["AWS_SECRET_ACCESS_KEY"]):
            assert value not in answer["stdout"] + answer["stderr"]
        return answer

    yield ask
    stdin.close()
    assert runner.wait(20) == 0
    stdout.close()


def normalized(text: str) -> str:
    """Replace the ids that moto generates, the port, and the time by texts of the same length.

    The length matters because lines are wrapped.
    """
    text = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:5000", text)
    text = re.sub(r"(aws:userid=)[a-z0-9]{20}(?=,|$)", r"\1" + "u" * 20, text, flags=re.M)
    text = re.sub(r"\b(?=[a-z]*[0-9])[a-z0-9]{20}\b", "u" * 20, text)
    text = re.sub(r"\b20(?!20)\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2030-01-01T00:00:00Z", text)
    text = re.sub(r"AROA[A-Z0-9]{17}", "AROA" + "R" * 17, text)
    return re.sub(r'("key": "aws:userid",\s+"type": "string",\s+"values": \[\s+")[a-z0-9]{20}"',
                  r"\1" + "u" * 20 + '"', text)  # fmt: skip


def compare_with_golden(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GALLERY"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_report_is_that_of_golden_file(case: dict[str, Any], run: Run) -> None:
    answers = {
        how: run(case["as"], ["check", *case["words"], *words], case["environ"])
        for how, words in {
            "json": ["--output", "json"],
            "explain": ["--explain"],
            "brief": [],
            "request": ["--request"],
        }.items()
    }

    assert {answer["stderr"] for answer in answers.values()} == {""}
    codes = {answer["code"] for answer in answers.values()}
    report = json.loads(answers["json"]["stdout"])
    VALIDATOR.validate(report)
    assert codes == {{"allowed": 0, "denied": 3, "unknown": 4}[report["answer"]]}
    assert answers["brief"]["stdout"].splitlines()[0] == report["answer"]
    assert "\x1b" not in "".join(answer["stdout"] for answer in answers.values())
    for line in answers["explain"]["stdout"].splitlines():
        # What cannot be broken, an ARN or a name, may be longer.
        assert len(line) <= 80 or len(line.split()) <= 3 or '"' in line, line
    name = case["name"]
    shown = "\n".join(
        f"$ ssmgate check {' '.join((*case['words'], *words))}\n{answers[how]['stdout']}"
        for how, words in {"brief": [], "explain": ["--explain"], "request": ["--request"]}.items()
    )
    compare_with_golden(GALLERY / f"{name}.txt", normalized(shown))
    if (GALLERY / f"{name}.json").exists():
        compare_with_golden(GALLERY / f"{name}.json", normalized(answers["json"]["stdout"]))
    assert shapes(report) <= SHOWN, "a shape that no report of the gallery shows: add this one"


def shapes(value: object, path: str = "") -> set[str]:
    """Return what a reader of the JSON has to expect: members, their types, and the values of
    an answer.
    """
    if isinstance(value, dict):
        return {f"{path}{{}}"}.union(*(shapes(v, f"{path}.{k}") for k, v in value.items()))
    if isinstance(value, list):
        return {f"{path}[{len(value) > 0}]"}.union(*(shapes(v, f"{path}[]") for v in value))
    is_value = path.endswith((".answer", ".reason_code", ".layer"))
    return {f"{path} {value if is_value else type(value).__name__}"}


SHOWN = set().union(*(shapes(json.loads(p.read_text())) for p in REPORTS))


def test_each_report_has_unique_shape() -> None:
    found = {path: shapes(json.loads(path.read_text())) for path in REPORTS}
    for path, own in found.items():
        assert own - set().union(*(found[other] for other in found if other != path)), path.name


def test_has_at_least_40_denials() -> None:
    firsts = [(GALLERY / f"{c['name']}.txt").read_text().splitlines()[1] for c in CASES]
    assert len([first for first in firsts if first != "allowed"]) >= 40
    assert len({c["name"] for c in CASES}) == len(CASES)
