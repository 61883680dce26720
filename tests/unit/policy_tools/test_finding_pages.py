"""The page of each finding: its title and severity, its example, and its fix."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from fakes import pages
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.policy_language import parse_policy
from ssmgate.policy_tools import findings
from ssmgate.policy_tools.document_content import (
    SSH_BESIDE_RUN_AS,
    beside_run_as,
    contents,
    preferences,
)
from ssmgate.policy_tools.finding_rules import CHECKS, PREFERENCES, RULES
from ssmgate.policy_tools.findings import Finding, Rule, find

ROOT = Path(__file__).parents[3]
INDEX = ROOT / "docs" / "reference" / "findings.md"
HEADINGS = ("What it means", "Example", "Why it matters", "Fix", "Ignore it")
IDS = [rule.code for rule in RULES]
# The page of SG003 says that this document has run-as.
RUN_AS = ("Team",)


def path(rule: Rule) -> Path:
    return ROOT / findings.PAGES / f"{rule.code}.md"


def example_and_fix(rule: Rule) -> tuple[Any, str, Any]:
    """Return the example, what the page says above its fix, and the fix."""
    example, fix = pages.blocks(path(rule))
    lines = path(rule).read_text().splitlines()
    words = " ".join(lines[lines.index("## Fix") + 1 : fix.line - 1]).strip()
    return json.loads(example.text), words, json.loads(fix.text)


def found(rule: Rule, document: Any, directory: Path) -> list[Finding]:
    """Return the findings about a policy; for SG014 about the content of the default document."""
    if rule is not PREFERENCES:
        policy = parse_policy(json.dumps(document))
        names = RUN_AS if rule is SSH_BESIDE_RUN_AS else ()
        return find(policy, (*CHECKS, lambda policy: beside_run_as(policy, names)))
    answer = {"Name": DEFAULT_DOCUMENT_NAME, "Content": json.dumps(document)}
    file = directory / "document.json"
    file.write_text(json.dumps(answer))
    return [one for content in contents([str(file)]) for one in preferences(content)]


def fixed(example: Any, words: str, fix: Any, flagged: list[int]) -> Any:
    """Return the example with the fix, which the page says how to apply."""
    if re.match(r"Replace the (policy|content)", words):
        return fix
    statements = fix if isinstance(fix, list) else [fix]
    own = example["Statement"]
    if words.startswith("Add the statement"):
        return {**example, "Statement": [*own, *statements]}
    assert re.search(r"[Rr]eplace the statement with", words)
    (number,) = flagged
    return {**example, "Statement": [*own[:number], *statements, *own[number + 1 :]]}


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_page_has_title_severity_and_sections(rule: Rule) -> None:
    text = path(rule).read_text()

    assert text.startswith(f"# {rule.code}: {rule.title}\n")
    assert re.search(rf"^\| `{rule.name}` \| {rule.severity.name.lower()} \|", text, re.MULTILINE)
    assert tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) == HEADINGS
    assert f"--ignore {rule.code} " in text
    assert "https://" in text, "no source"


def test_index_has_each_finding() -> None:
    row = r"^\| \[(SG\d+)\]\(findings/\1\.md\) \| `(.*)` \| (.*) \| (.*) \|$"
    rows = re.findall(row, INDEX.read_text(), re.MULTILINE)

    assert rows == [(r.code, r.name, r.severity.name.lower(), r.title) for r in RULES]
    assert sorted(path(rule).name for rule in RULES) == sorted(
        page.name for page in (ROOT / findings.PAGES).iterdir()
    )


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_example_has_finding_and_fixed_example_has_none(rule: Rule, tmp_path: Path) -> None:
    example, words, fix = example_and_fix(rule)
    announced = re.findall(r"also\s+has\s+\[(SG\d+)\]", path(rule).read_text())

    before = found(rule, example, tmp_path)
    flagged = [n for one in before if one.rule is rule and (n := one.statement) is not None]
    after = found(rule, fixed(example, words, fix, flagged), tmp_path)

    assert {one.rule.code for one in before} == {rule.code, *announced}
    assert [one.rule.code for one in after] == []


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_page_shows_fix_that_lint_prints(rule: Rule, tmp_path: Path) -> None:
    example, _, fix = example_and_fix(rule)
    printed = [one.fix for one in found(rule, example, tmp_path) if one.rule is rule and one.fix]

    assert printed in ([], [fix])


URLS = {
    (): "docs/reference/findings/SG004.md",
    ("Source, https://example.com/x",): "docs/reference/findings/SG004.md",
    ("Findings, https://example.com/f",): "https://example.com/f/SG004.md",
    ("Source, x", "Findings, https://example.com/f/"): "https://example.com/f/SG004.md",
}


def test_page_is_a_path_without_a_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.metadata", missing)
    findings.address_of_pages.cache_clear()
    try:
        assert findings.page(RULES[0]) == "docs/reference/findings/SG001.md"
    finally:
        findings.address_of_pages.cache_clear()


@pytest.mark.parametrize("urls", URLS)
def test_page_is_url_if_package_names_one(
    urls: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Metadata:
        def get_all(self, name: str, default: object) -> object:
            return {"Project-URL": list(urls)}.get(name, default)

    monkeypatch.setattr("importlib.metadata.metadata", lambda name: Metadata())
    findings.address_of_pages.cache_clear()
    try:
        (rule,) = (rule for rule in RULES if rule.code == "SG004")
        assert findings.page(rule) == URLS[urls]
    finally:
        findings.address_of_pages.cache_clear()
