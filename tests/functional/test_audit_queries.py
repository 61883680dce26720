"""The queries of docs/how-to/audit.md, run by DuckDB over what `ssmgate policy audit` writes."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from conftest import FAKES
from fakes import pages
from fakes.needs import REASON
from plugins import ways

pytestmark = pytest.mark.skipif(find_spec("duckdb") is None, reason=f"{REASON}duckdb")

PAGE = FAKES.parents[1] / "docs" / "how-to" / "audit.md"
BLOCKS = pages.blocks(PAGE)
QUERIES = [block.text for block in BLOCKS if block.language == "sql"]
ACCOUNT = "111122223333"
ADA, OLU = (f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("ada", "olu"))
WELL_KNOWN = {
    "AWS-StartSSHSession", "AWS-StartPortForwardingSession", "SSM-SessionManagerRunShell", "*",
}  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("audit")
    (account,) = (block.text for block in BLOCKS if block.title == "account.json")
    (directory / "account.json").write_text(account)
    command = ["-P", "-m", "ssmgate", "policy", "audit", "--from", "account.json"]
    command += ["--region", "us-east-1", "--output", "ndjson"]
    content = {"Name": "Ops", "Content": json.dumps({"inputs": {"runAsEnabled": True}})}
    (directory / "ops.json").write_text(json.dumps(content))
    command += ["--document-content", "ops.json"]
    environ = dict(os.environ) | {"HOME": str(directory)}
    ended = ways.python(command, env=environ, cwd=directory)
    assert ended.returncode == 0, ended.stderr
    (directory / "answers.ndjson").write_text(ended.stdout)
    # Earlier, ada had no access.
    lines = ended.stdout.splitlines(keepends=True)
    earlier = [line.replace('"allowed"', '"denied"') if ADA in line else line for line in lines]
    (directory / "before.ndjson").write_text("".join(earlier))
    return directory


def rows(number: int, directory: Path) -> list[tuple[Any, ...]]:
    import duckdb

    query = QUERIES[number]
    for name in ("answers", "before"):
        query = query.replace(f"'{name}.ndjson'", f"'{directory / name}.ndjson'")
    with duckdb.connect() as connection:
        return list(connection.execute(query).fetchall())


def test_query_lists_who_may_start_any_document(answers: Path) -> None:
    assert rows(0, answers) == [(ACCOUNT, ADA, "unbound")]


def test_query_counts_principals_per_document(answers: Path) -> None:
    found = {document: (allowed, some) for document, allowed, some in rows(1, answers)}
    assert found["Ops"] == (2, 1)
    assert set(found) > WELL_KNOWN


def test_query_lists_conditions_that_access_depends_on(answers: Path) -> None:
    assert ('ssm:resourceTag/env is "dev"', 1) in rows(2, answers)


def test_query_counts_unbound_principals_by_account(answers: Path) -> None:
    assert rows(3, answers) == [(ACCOUNT, 1)]


def test_query_lists_findings_about_documents(answers: Path) -> None:
    assert rows(4, answers) == [("SG003", ADA)]


def test_query_lists_no_findings_without_content_of_documents(answers: Path) -> None:
    lines = (answers / "answers.ndjson").read_text().replace('["SG003"]', "[]")
    (answers / "none").mkdir()
    for name in ("answers", "before"):
        (answers / "none" / f"{name}.ndjson").write_text(lines)
    assert rows(4, answers / "none") == []


def test_query_lists_who_gained_access(answers: Path) -> None:
    found = rows(5, answers)
    assert {principal for principal, _ in found} == {ADA}
    assert (ADA, "*") in found


def test_each_query_is_tested() -> None:
    assert len(QUERIES) == 6
