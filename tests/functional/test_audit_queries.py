"""The queries of docs/how-to/audit.md, run by DuckDB over what `ssmgate policy audit` writes."""

from __future__ import annotations

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


def test_who_may_start_any_document(answers: Path) -> None:
    assert rows(0, answers) == [(ACCOUNT, ADA, "unbound")]


def test_how_many_may_start_each_document(answers: Path) -> None:
    found = {document: (allowed, some) for document, allowed, some in rows(1, answers)}
    assert found["Ops"] == (2, 1)
    assert set(found) > WELL_KNOWN


def test_conditions_that_access_depends_on(answers: Path) -> None:
    assert ('ssm:resourceTag/env is "dev"', 1) in rows(2, answers)


def test_unbound_principals_by_account(answers: Path) -> None:
    assert rows(3, answers) == [(ACCOUNT, 1)]


def test_who_gained_access(answers: Path) -> None:
    found = rows(4, answers)
    assert {principal for principal, _ in found} == {ADA}
    assert (ADA, "*") in found


def test_each_query_has_a_test() -> None:
    assert len(QUERIES) == 5
