"""An author's test file: sessions, and what policies must answer about them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET  # only writes

from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.policy_language import PolicyError, PolicyKind
from ssmgate.policy_tools import inventory, json_files
from ssmgate.policy_tools.problem import InputError, in_file

if TYPE_CHECKING:
    from ssmgate.explain.policy_files import PolicyFiles, Scenario
    from ssmgate.explain.sources import Source

LARGEST = 131_072
ANSWERS = ("allowed", "denied", "unknown")
_REGION, _TARGET = "us-east-1", "i-0123456789abcdef0"
_CALLER = "arn:aws:iam::111122223333:role/Example"

_KEYS = {
    *("name", "policies", "boundary", "scp", "caller", "region", "target", "document"),
    *("context", "document_context", "expect"),
}
_SHARED = _KEYS - {"name", "expect"}


@dataclass(frozen=True, slots=True)
class Case:
    """One session with the policies that apply, and the answer that is expected."""

    name: str
    files: PolicyFiles
    scenario: Scenario
    expect: str


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one case. `reason` is why, in a sentence for each resource."""

    case: Case
    answer: str
    reason: str

    @property
    def passed(self) -> bool:
        """Return whether the answer is the expected one."""
        return self.answer == self.case.expect


def read_cases(path: str) -> tuple[Case, ...]:
    """Read a TOML file: `[[case]]` tables, and keys at the top that all cases share.

    Policy files are relative to the file. Raises InputError for an unknown key, a missing one, and
    a policy that cannot be read.
    """
    table = inventory.read_toml(path)
    with in_file(path):
        inventory.only(table, {"case", *_SHARED}, "")
        shared = {key: value for key, value in table.items() if key != "case"}
        given = table.get("case")
        if not isinstance(given, list) or not given:
            raise InputError("has no [[case]]")
        return tuple(
            _case(one, shared, number, os.path.dirname(path)) for number, one in enumerate(given)
        )


def _case(table: Any, shared: Mapping[str, Any], number: int, directory: str) -> Case:
    from ssmgate.explain.policy_files import PolicyFiles, Scenario, parse_caller
    from ssmgate.gate.decision.request import SessionRequest

    place = f"case[{number}]"
    inventory.only(table, _KEYS, place)
    values: dict[str, Any] = {**shared, **table}
    expect = values.get("expect")
    if expect not in ANSWERS:
        raise InputError(f"expect must be one of {', '.join(ANSWERS)}", place)
    caller = _text(values, "caller", place)
    try:
        request = SessionRequest(
            _text(values, "target", place, _TARGET),
            _text(values, "document", place) if "document" in values else None,
        )
        scenario = Scenario(
            request,
            _text(values, "region", place, _REGION),
            parse_caller(caller),
            _context(values, "context", place),
            _context(values, "document_context", place),
        )
    except (InvalidRequest, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(error), place) from None
    levels = values.get("scp", [])
    if not isinstance(levels, list):
        raise InputError("scp must be a list of levels, each a list of files", place)
    boundary = _text(values, "boundary", place) if "boundary" in values else None
    files = PolicyFiles(
        tuple(
            _source(directory, file)
            for file in inventory.texts(values.get("policies"), f"{place}.policies")
        ),
        None if boundary is None else _source(directory, boundary),
        tuple(
            tuple(
                _source(directory, file, PolicyKind.SERVICE_CONTROL)
                for file in inventory.texts(level, f"{place}.scp")
            )
            for level in levels
        ),
    )
    return Case(_text(values, "name", place, f"case {number + 1}"), files, scenario, expect)


def _text(values: Mapping[str, Any], name: str, place: str, default: str = "") -> str:
    value = values.get(name, default)
    if not isinstance(value, str) or not value:
        raise InputError("must be a text", f"{place}.{name}")
    return value


def _context(values: Mapping[str, Any], name: str, place: str) -> tuple[Any, ...]:
    from ssmgate.explain.policy_files import entry

    given = values.get(name, {})
    if not isinstance(given, dict):
        raise InputError("must be a table", f"{place}.{name}")
    return tuple(
        entry(f"{key}={json.dumps(value) if isinstance(value, list) else _scalar(value)}")
        for key, value in given.items()
    )


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _source(directory: str, file: str, kind: PolicyKind = PolicyKind.IDENTITY) -> Source:
    from ssmgate.explain import sources

    path = os.path.join(directory, file)
    try:
        text = json_files.read_bytes(path, LARGEST).decode("utf-8-sig")
        return sources.parse(text, file, kind)
    except InputError as error:
        raise InputError(f"policy {file}: {error}") from None
    except (PolicyError, UnicodeDecodeError) as error:
        line = getattr(error, "line", None)
        where = "" if line is None else f", line {line}"
        raise InputError(f"policy {file}{where}: {error}") from None


def run(case: Case) -> Result:
    """Evaluate one case. No AWS call is made."""
    from ssmgate.explain import offline

    report = offline.check(case.files, case.scenario)
    resources = {"document": report.document, "target": report.target}
    reasons = [
        f"{name}: {answer.reason}"
        for name, answer in resources.items()
        if answer.verdict is report.verdict
    ]
    return Result(case, report.verdict.value, "; ".join(reasons))


def as_text(results: Sequence[Result]) -> str:
    """Return a line for each case, with the reason of each that failed."""
    lines = []
    for one in results:
        if one.passed:
            lines.append(f"ok    {one.case.name}: {one.answer}")
        else:
            lines.append(f"FAIL  {one.case.name}: {one.answer}, expected {one.case.expect}")
            lines.append(f"      {one.reason}")
    failed = sum(not one.passed for one in results)
    lines.append(f"{len(results)} cases, {failed} failed")
    return "\n".join(lines)


def as_junit(path: str, results: Sequence[Result]) -> str:
    """Return JUnit XML, as CI systems read it. Characters that XML cannot have are left out.

    https://github.com/testmoapp/junitxml
    """
    failed = str(sum(not one.passed for one in results))
    counts = {"name": _xml(path), "tests": str(len(results)), "failures": failed, "errors": "0"}
    suite = ET.Element("testsuite", counts)
    for one in results:
        case = ET.SubElement(
            suite, "testcase", name=_xml(one.case.name), classname="ssmgate.policy"
        )
        if not one.passed:
            message = f"{one.answer}, expected {one.case.expect}"
            ET.SubElement(case, "failure", message=message).text = _xml(one.reason)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def first_cases(path: str, policies: Iterable[str]) -> str:
    """Return a test file for policy files: what they answer today about the usual documents.

    `path` is where it will be, which the names of the policy files are relative to. The caller and
    the target are examples. Raises InputError for a policy that cannot be read.
    """
    from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME

    directory = os.path.dirname(os.path.abspath(path))
    files = [os.path.relpath(os.path.abspath(one), directory) for one in policies]
    shared = {"policies": files, "caller": _caller(directory, files)}
    lines = [
        "# Sessions, and what the policies must answer: ssmgate policy test",
        *(f"{key} = {json.dumps(value)}" for key, value in shared.items()),
        f'region = "{_REGION}"',
        f'target = "{_TARGET}"',
    ]
    documents = {
        "the default document": None,
        "the default document by its name": DEFAULT_DOCUMENT_NAME,
        "ssh": "AWS-StartSSHSession",
        "port forwarding": "AWS-StartPortForwardingSession",
        "a document that no policy names": "NoSuchDocument",
    }
    for name, document in documents.items():
        table: dict[str, Any] = {"name": name, "expect": "denied"}
        if document is not None:
            table["document"] = document
        result = run(_case(table, shared, 0, directory))
        lines += ["", "[[case]]", f"name = {json.dumps(name)}"]
        if document is not None:
            lines.append(f"document = {json.dumps(document)}")
        lines.append(f'expect = "{result.answer}"')
    return "\n".join(lines) + "\n"


def _caller(directory: str, files: Sequence[str]) -> str:
    """Return an example of a caller, in the account that the policies name first."""
    for file in files:
        source = _source(directory, file)
        for statement in source.policy.statements:
            for text in statement.resources:
                parts = text.split(":")
                if len(parts) > 4 and len(parts[4]) == 12 and parts[4].isdigit():
                    return _CALLER.replace("111122223333", parts[4])
    return _CALLER


def write_new(path: str, text: str) -> None:
    """Write a file that does not exist yet. Raises InputError."""
    with in_file(path):
        try:
            with Path(path).open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror}") from None
