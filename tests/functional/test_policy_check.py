"""`ssmgate policy check`: what an author of policies reads, without AWS and without a network.

A reviewer has read each text. After an intended change, UPDATE_GALLERY=1 writes them anew: read
the difference.
"""

from __future__ import annotations

import json
import os
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from functional.test_gallery import compare_with_golden
from functional.test_sandbox import serving
from plugins import ways

DIRECTORY = Path(__file__).parent / "offline"
CASES = json.loads((DIRECTORY / "cases.json").read_text())
SCHEMA = json.loads(resources.files("ssmgate.explain").joinpath("schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
CODES = {"allowed": 0, "denied": 3, "unknown": 4}

GOOD = CASES[[case["name"] for case in CASES].index("as-it-should-be")]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    others = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SSMGATE_"))}
    # No server listens there: each request fails.
    nowhere = "http://127.0.0.1:9"
    return others | {
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "error",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "HTTPS_PROXY": nowhere,
        "HTTP_PROXY": nowhere,
        "NO_PROXY": "",
    }


def write_case(case: dict[str, Any], directory: Path) -> None:
    for name, policy in case["files"].items():
        (directory / name).write_text(json.dumps(policy, indent=2))


def check(
    words: list[str], directory: Path, environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return ways.python(
        ["-P", "-m", "ssmgate", "policy", "check", *words], env=environ, cwd=directory
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_evaluates_policies_offline(
    case: dict[str, Any], tmp_path: Path, environ: dict[str, str]
) -> None:
    write_case(case, tmp_path)
    hows = ([], ["--explain"], ["--output", "json"])
    brief, explained, machine = (check([*case["words"], *how], tmp_path, environ) for how in hows)

    assert {run.stderr for run in (brief, explained, machine)} == {""}
    report = json.loads(machine.stdout)
    VALIDATOR.validate(report)
    assert report["evaluated_by"] == "local evaluation, not IAM's answer"
    codes = {run.returncode for run in (brief, explained, machine)}
    assert codes == {CODES[report["answer"]]}
    for line in explained.stdout.splitlines():
        assert len(line) <= 80 or len(line.split()) <= 3 or '"' in line, line
    shown = "\n".join(
        f"$ ssmgate policy check {' '.join((*case['words'], *how))}\n{run.stdout}"
        for how, run in zip(hows[:2], (brief, explained), strict=True)
    )
    compare_with_golden(DIRECTORY / f"{case['name']}.txt", shown)


def test_has_at_least_25_denials() -> None:
    firsts = [(DIRECTORY / f"{case['name']}.txt").read_text().splitlines()[1] for case in CASES]

    assert len([first for first in firsts if not first.startswith("allowed")]) >= 25
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.json"], "policy 'none.json' cannot be read: No such file"),
        (["."], "policy '.' cannot be read: Is a directory"),
        (["broken.json"], "policy 'broken.json', line 3: invalid JSON"),
        (["unknown.json"], "policy 'unknown.json', line 5: Statement[1].Condition"),
        (["binary.json"], "policy 'binary.json' cannot be read"),
        (["--boundary", "policy.json", "--target", "i-1"], "required: FILE"),
        (["policy.json", "--bound", "x", "--target", "i-1"], "Unknown options: --bound"),
        (["policy.json", "--context", "x"], "--context 'x' must have the form KEY=VALUE"),
        (["policy.json", "--caller", "ann"], "--caller 'ann' must be the ARN"),
        (["policy.json", "--scp", "policy.json", "--scp-level"], "must have --scp FILE before"),
        (["policy.json", "--scp-level", "--scp", "policy.json"], "must have --scp FILE before"),
        (["policy.json", *["--scp", "policy.json", "--scp-level"] * 7, "--scp", "policy.json"],
         "at most 7 levels, and 8 are given"),
        (["policy.json", "--document-name", "a b", "--target", "i-1"], "--document-name"),
        (["policy.json", "--policy", "x", "--target", "i-1"], "Unknown options: --policy, x"),
        (["policy.json", "--target", "i-1", "--scp"], "--scp: expected one argument"),
    ],
)  # fmt: skip
def test_reports_usage_errors(
    words: list[str], message: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    write_case(GOOD, tmp_path)
    (tmp_path / "broken.json").write_text('{\n"Statement":\n[}')
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    statement = '{"Effect": "Allow", "Action": "*", "Resource": "*"'
    (tmp_path / "unknown.json").write_text(
        '{"Statement": [\n\n' + statement + "},\n\n" + statement
        + ', "Condition": {"StringEqual": {"a:b": "c"}}}\n]}'
    )  # fmt: skip
    caller = ["--caller", "arn:aws:iam::111122223333:user/ann"]
    ended = check([*caller, *words], tmp_path, environ | {"AWS_REGION": "us-east-1"})

    assert (ended.returncode, ended.stdout) == (252, "")
    assert message in ended.stderr


def test_rejects_missing_caller(tmp_path: Path, environ: dict[str, str]) -> None:
    write_case(GOOD, tmp_path)
    ended = check(["policy.json", "--target", "i-1"], tmp_path, environ)

    assert ended.returncode == 252
    assert "required: --caller" in ended.stderr


def test_rejects_missing_region(tmp_path: Path, environ: dict[str, str]) -> None:
    write_case(GOOD, tmp_path)
    words = [word for word in GOOD["words"] if word not in ("--region", "us-east-1")]

    ended = check(words, tmp_path, environ)
    said = check([*words, "--context", "aws:RequestedRegion=us-east-1"], tmp_path, environ)

    assert (ended.returncode, ended.stdout) == (253, "")
    assert "You must specify a region" in ended.stderr
    assert said.returncode == 0


def test_quiet_and_redact_work_offline(tmp_path: Path, environ: dict[str, str]) -> None:
    write_case(GOOD, tmp_path)
    quiet = check([*GOOD["words"], "-q"], tmp_path, environ)
    masked = check([*GOOD["words"], "--explain", "--redact"], tmp_path, environ)

    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    for secret in ("111122223333", "i-0123456789abcdef0", "team/Ops"):
        assert secret not in masked.stdout
    assert "arn:aws:iam::000000000001:role/path-1/role-1" in masked.stdout


def test_aws_option_simulates_policy_files(tmp_path: Path, environ: dict[str, str]) -> None:
    """With --aws the files are sent to iam:SimulateCustomPolicy, and its answer is reported."""
    names = ("as-it-should-be", "aws-document-with-account", "boundary-without-document")
    with serving() as server:
        who = server.principals["admin"]
        aws = environ | {
            "NO_PROXY": "*",
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": str(who["access_key_id"]),
            "AWS_SECRET_ACCESS_KEY": str(who["secret_access_key"]),
        }
        for case in (one for one in CASES if one["name"] in names):
            write_case(case, tmp_path)
            run = check([*case["words"], "--aws", "--output", "json"], tmp_path, aws)
            report = json.loads(run.stdout)
            offline = json.loads(
                check([*case["words"], "--output", "json"], tmp_path, environ).stdout
            )

            VALIDATOR.validate(report)
            assert report["evaluated_by"] == "IAM, by the given policies"
            for about in ("document", "target"):
                assert report[about]["answer"] == offline[about]["answer"], case["name"]
                assert "InputList" not in json.dumps(report[about])
