"""An author's test file: sessions, and what policies must answer about them."""

from __future__ import annotations

import json
import os
import re
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
    from ssmgate.gate.decision.question import ContextEntry

LARGEST = 131_072
ANSWERS = ("allowed", "denied", "unknown")
_REGION, _TARGET = "us-east-1", "i-0123456789abcdef0"
_CALLER, _ACCOUNT = "arn:aws:iam::{}:role/Example", "111122223333"
_REGIONS, _ACCOUNTS = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d"), re.compile(r"\d{12}")

_KEYS = {
    *("name", "policies", "boundary", "scp", "caller", "region", "target", "document"),
    *("context", "document_context", "expect", "unbound", "data_channel"),
}
_SHARED = _KEYS - {"name", "expect"}


@dataclass(frozen=True, slots=True)
class Case:
    """One session with the policies that apply, and the answers that are expected.

    `expect` is about the session, one of ANSWERS, and so is `data_channel`. `unbound` is whether
    the target is allowed although no document was checked. The last two are None if not tested.
    """

    name: str
    files: PolicyFiles
    scenario: Scenario
    expect: str
    unbound: bool | str | None = None
    data_channel: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """What was answered and expected, in words, and why it was answered."""

    answer: str
    expected: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """The answers to one case: first about the session."""

    case: Case
    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """Return the answers that are not the expected ones."""
        return tuple(one for one in self.checks if one.answer != one.expected)

    @property
    def message(self) -> str:
        """Return each answer that is not the expected one."""
        return "; ".join(f"{one.answer}, expected {one.expected}" for one in self.failures)

    @property
    def reason(self) -> str:
        """Return why the answers are not the expected ones."""
        return "; ".join(one.reason for one in self.failures)


def read_cases(path: str) -> tuple[Case, ...]:
    """Read a TOML file: `[[case]]` tables, and keys at the top that all cases share.

    Policy files are relative to the file. Raises InputError for an unknown key, a missing one, and
    a policy that cannot be read.
    """
    table = inventory.read_toml(path)
    with in_file(path):
        inventory.only(table, {"case", *_SHARED}, "")
        shared = {key: value for key, value in table.items() if key != "case"}
        return tuple(
            _case(one, shared, number, os.path.dirname(path))
            for number, (_, one) in enumerate(inventory.tables(table, "case", _KEYS))
        )


def _case(table: Any, shared: Mapping[str, Any], number: int, directory: str) -> Case:
    from ssmgate.explain.policy_files import PolicyFiles, Scenario, parse_caller
    from ssmgate.gate.decision.request import SessionRequest

    place = f"case[{number}]"
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
    return Case(
        _text(values, "name", place, f"case {number + 1}"),
        files,
        scenario,
        expect,
        _unbound(values, place),
        _data_channel(values, place),
    )


def _unbound(values: Mapping[str, Any], place: str) -> bool | str | None:
    value = values.get("unbound")
    if value is not None and not isinstance(value, bool) and value != "unknown":
        raise InputError('unbound must be true, false or "unknown"', place)
    return value


def _data_channel(values: Mapping[str, Any], place: str) -> str | None:
    value = values.get("data_channel")
    if value is not None and value not in ANSWERS:
        raise InputError(f"data_channel must be one of {', '.join(ANSWERS)}", place)
    return value


def _text(values: Mapping[str, Any], name: str, place: str, default: str = "") -> str:
    value = values.get(name, default)
    if not isinstance(value, str) or not value:
        raise InputError("must be a string", f"{place}.{name}")
    return value


def _context(values: Mapping[str, Any], name: str, place: str) -> tuple[ContextEntry, ...]:
    from ssmgate.explain.policy_files import entry

    given = values.get(name, {})
    if not isinstance(given, dict):
        raise InputError("must be a table", f"{place}.{name}")
    found: list[ContextEntry] = []
    for key, value in given.items():
        texts = [_scalar(one) for one in (value if isinstance(value, list) else [value])]
        if None in texts:
            text = "must be a string, a number, a boolean or a list of them"
            raise InputError(text, f"{place}.{name}.{key}")
        try:
            found.append(
                entry(f"{key}={json.dumps(texts) if isinstance(value, list) else texts[0]}")
            )
        except ValueError as error:
            raise InputError(f"{key!r} {error}", f"{place}.{name}") from None
    return tuple(found)


def _scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


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


_BOUND = {True: "unbound", False: "bound", "unknown": "unknown whether bound"}
_ALLOWED = {"allowed": True, "denied": False, "unknown": "unknown"}


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
    checks = [Check(report.verdict.value, case.expect, "; ".join(reasons))]
    if case.unbound is not None:
        answer = offline.without_document_check(case.files, case.scenario)
        bound = _BOUND[_ALLOWED[answer.verdict.value]]
        reason = f"target without a document check: {answer.reason}"
        checks.append(Check(bound, _BOUND[case.unbound], reason))
    if case.data_channel is not None and report.data_channel is not None:
        found = report.data_channel
        checks.append(
            Check(
                f"data channel {found.verdict.value}",
                f"data channel {case.data_channel}",
                f"data channel: {found.reason}",
            )
        )
    return Result(case, tuple(checks))


def as_text(results: Sequence[Result]) -> str:
    """Return a line for each case, with the reason of each that failed."""
    lines = []
    for one in results:
        if one.failures:
            lines.append(f"FAIL  {one.case.name}: {one.message}")
            lines.append(f"      {one.reason}")
        else:
            answers = ", ".join(check.answer for check in one.checks)
            lines.append(f"ok    {one.case.name}: {answers}")
    failed = sum(bool(one.failures) for one in results)
    noun = "case" if len(results) == 1 else "cases"
    lines.append(f"{len(results)} {noun}, {failed} failed")
    return "\n".join(lines)


def as_junit(path: str, results: Sequence[Result]) -> str:
    """Return JUnit XML, as CI systems read it. Characters that XML cannot have are left out.

    https://github.com/testmoapp/junitxml
    """
    failed = str(sum(bool(one.failures) for one in results))
    counts = {"name": _xml(path), "tests": str(len(results)), "failures": failed, "errors": "0"}
    suite = ET.Element("testsuite", counts)
    for one in results:
        case = ET.SubElement(
            suite, "testcase", name=_xml(one.case.name), classname="ssmgate.policy"
        )
        if one.failures:
            failure = ET.SubElement(case, "failure", message=_xml(one.message))
            failure.text = _xml(one.reason)
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
    region, account = _place(directory, files)
    shared: dict[str, Any] = {
        "policies": files,
        "caller": _CALLER.format(account),
        "region": region,
        "target": _TARGET,
    }
    # What is expected does not matter here: the answers are written.
    every = {"expect": "denied", "unbound": "unknown", "data_channel": "unknown"}
    _, bound, channel = run(_case(every, shared, 0, directory)).checks
    in_toml = {words: value for value, words in _BOUND.items()}
    shared["unbound"] = in_toml[bound.answer]
    shared["data_channel"] = channel.answer.rpartition(" ")[2]
    lines = [
        "# Sessions, and what the policies must answer: ssmgate policy test",
        *(f"{key} = {json.dumps(value)}" for key, value in shared.items()),
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
        session, *_ = run(_case(table, shared, 0, directory)).checks
        lines += ["", "[[case]]", f"name = {json.dumps(name)}"]
        if document is not None:
            lines.append(f"document = {json.dumps(document)}")
        lines.append(f'expect = "{session.answer}"')
    return "\n".join(lines) + "\n"


def _place(directory: str, files: Sequence[str]) -> tuple[str, str]:
    """Return the region and the account that the policies name first, or those of the examples."""
    region = account = ""
    for file in files:
        for statement in _source(directory, file).policy.statements:
            for text in statement.resources:
                parts = text.split(":")
                if len(parts) > 4:
                    region = region or (parts[3] if _REGIONS.fullmatch(parts[3]) else "")
                    account = account or (parts[4] if _ACCOUNTS.fullmatch(parts[4]) else "")
    return region or _REGION, account or _ACCOUNT


def write_new(path: str, text: str) -> None:
    """Write a file that does not exist yet. Raises InputError."""
    with in_file(path):
        try:
            with Path(path).open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror}") from None
