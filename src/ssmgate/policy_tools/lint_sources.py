"""Find policies in files: JSON and YAML policies, Terraform plans, and account details."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ssmgate.policy_language import Policy, PolicyError, PolicyKind, parse_policy
from ssmgate.policy_language.document import policy_of
from ssmgate.policy_tools import json_files, yaml_policies
from ssmgate.policy_tools.gaad import LISTS, read_accounts
from ssmgate.policy_tools.members import objects
from ssmgate.policy_tools.problem import InputError, Problem

_JSON, _YAML = (".json", ".json.gz"), (".yaml", ".yml")

Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """A policy in a file.

    `name` is its place in a file with several: an address, a policy's name, a path in YAML.
    `positions` has the line and column of each parsed statement, None where they are not known, and
    `numbers` its number in the document, from 0.
    """

    file: str
    name: str
    policy: Policy
    positions: tuple[Position | None, ...]
    numbers: tuple[int, ...]


def find(paths: Iterable[str]) -> Iterator[Source | Problem]:
    """Yield each policy in `paths`, files or directories, and what cannot be read.

    In a directory, files that are not policies are passed over; a file that is named must be one.
    """
    for path in paths:
        if os.path.isdir(path):
            for file in json_files.below(path, (*_JSON, *_YAML), hidden=False):
                if isinstance(file, Problem):
                    yield file
                else:
                    yield from _in_file(file, named=False)
        else:
            yield from _in_file(path, named=True)


def _in_file(file: str, *, named: bool) -> Iterator[Source | Problem]:
    try:
        if file.lower().endswith(_YAML):
            found = list(_in_yaml(file, named=named))
            found = found or [Problem(file, "", "has no policy")] * named
        else:
            found = list(_in_json(file, named=named))
    except InputError as error:
        yield error.problem(file)
        return
    yield from found


def _in_json(file: str, *, named: bool) -> Iterator[Source | Problem]:
    try:
        text = json_files.read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", f"byte {error.start}") from None
    document = next(json_files.parsed(text))
    if _is_account(document):
        yield from _in_account(file)
    elif isinstance(document, dict) and "Statement" in document:
        if named or not _is_resource_based(document):
            yield _of_text(file, text)
    elif isinstance(document, dict) and _is_plan(document):
        yield from _in_plan(file, document)
    else:
        try:
            found = list(_nested(file, document, ""))
        except RecursionError:
            raise InputError("is nested too deeply") from None
        if named and not found:
            raise InputError("has no policy, and is neither a Terraform plan nor account details")
        yield from found


def _nested(file: str, value: Any, path: str) -> Iterator[Source | Problem]:
    """Yield the policies at any depth, as in a template or in the answer of an API."""
    if isinstance(value, dict):
        if "Statement" in value and "Version" in value:
            if not _is_resource_based(value):
                yield _of_document(file, value, path, PolicyKind.IDENTITY)
            return
        for name, member in value.items():
            yield from _nested(file, member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _nested(file, member, f"{path}[{number}]")


def _is_resource_based(document: Mapping[str, Any]) -> bool:
    """Return whether a policy has a principal: it is not one of a principal, then."""
    found = document["Statement"]
    each = found if isinstance(found, list) else [found]
    return any(isinstance(one, dict) and {"Principal", "NotPrincipal"} & one.keys() for one in each)


def _of_text(file: str, text: str) -> Source | Problem:
    try:
        policy = parse_policy(text)
    except PolicyError as error:
        place = "" if error.line is None else f"line {error.line}"
        return Problem(file, place, str(error))
    positions = tuple((one.opening.line, one.opening.column) for one in policy.statements)
    return Source(file, "", policy, positions, tuple(range(len(positions))))


def _is_account(document: Any) -> bool:
    page = document[0] if isinstance(document, list) and document else document
    return isinstance(page, dict) and any(name in page for name in LISTS)


def _in_account(file: str) -> Iterator[Source | Problem]:
    for account in read_accounts([file], lambda _: True):
        if isinstance(account, Problem):
            yield account
            continue
        yield from account.problems
        for held in account.policies:
            unknown = (None,) * len(held.numbers)
            yield Source(file, held.arn or held.name, held.policy, unknown, held.numbers)


# https://registry.terraform.io/providers/hashicorp/aws/latest/docs
_ATTRIBUTES: Mapping[str, tuple[str, PolicyKind]] = {
    "aws_iam_policy": ("policy", PolicyKind.IDENTITY),
    "aws_iam_role_policy": ("policy", PolicyKind.IDENTITY),
    "aws_iam_user_policy": ("policy", PolicyKind.IDENTITY),
    "aws_iam_group_policy": ("policy", PolicyKind.IDENTITY),
    "aws_ssoadmin_permission_set_inline_policy": ("inline_policy", PolicyKind.IDENTITY),
    "aws_organizations_policy": ("content", PolicyKind.SERVICE_CONTROL),
}
# A role may have inline policies in blocks of its own; the provider calls that deprecated.
_ROLE, _BLOCK = "aws_iam_role", "inline_policy"
# Other policies of an organization are about tags, backups and the like, in languages of their own.
_SCP = "SERVICE_CONTROL_POLICY"


def _is_plan(document: Mapping[str, Any]) -> bool:
    return "planned_values" in document or {"format_version", "values"} <= document.keys()


def _in_plan(file: str, plan: Mapping[str, Any]) -> Iterator[Source | Problem]:
    """Yield the policies in the JSON of a Terraform plan or state (`terraform show -json`).

    https://developer.hashicorp.com/terraform/internals/json-format
    """
    top = "planned_values" if "planned_values" in plan else "values"
    try:
        waiting = [(top, _object(_object(plan, top), "root_module", top))]
    except InputError as error:
        yield error.problem(file)
        return
    while waiting:
        place, module = waiting.pop(0)
        place = str(module.get("address", place))
        try:
            waiting += [(place, one) for one in objects(module, "child_modules", place)]
            resources = objects(module, "resources", place)
        except InputError as error:
            yield error.problem(file)
            continue
        for resource in resources:
            if resource.get("mode", "managed") == "managed":
                yield from _of_resource(file, resource)


def _object(item: Mapping[str, Any], name: str, place: str = "") -> Mapping[str, Any]:
    """Return an object, empty if there is none. Raises InputError."""
    value = item.get(name)
    if not isinstance(value, dict | None):
        raise InputError("must be an object", f"{place}.{name}" if place else name)
    return value or {}


def _of_resource(file: str, resource: Mapping[str, Any]) -> Iterator[Source | Problem]:
    kind = resource.get("type")
    if not isinstance(kind, str) or kind not in (_ROLE, *_ATTRIBUTES):
        return
    address = str(resource.get("address", kind))
    try:
        values = _object(resource, "values", address)
        blocks = objects(values, _BLOCK, address) if kind == _ROLE else ()
    except InputError as error:
        yield error.problem(file)
        return
    for number, block in enumerate(blocks):
        # An empty block removes the role's inline policies.
        if block.get("policy") or block.get("name"):
            name = f"{address}.{_BLOCK}[{number}]"
            yield _of_attribute(file, name, block, "policy", PolicyKind.IDENTITY)
    if kind in _ATTRIBUTES:
        attribute, of_kind = _ATTRIBUTES[kind]
        if kind != "aws_organizations_policy" or values.get("type", _SCP) == _SCP:
            yield _of_attribute(file, address, values, attribute, of_kind)


def _of_attribute(
    file: str, address: str, values: Mapping[str, Any], attribute: str, kind: PolicyKind
) -> Source | Problem:
    text = values.get(attribute)
    if not isinstance(text, str):
        return Problem(file, address, f"{attribute} is not known before the plan is applied")
    try:
        return _of_document(file, json_files.decode(text), address, kind)
    except InputError as error:
        return Problem(file, address, str(error))


def _of_document(file: str, document: Any, name: str, kind: PolicyKind) -> Source | Problem:
    try:
        policy, numbers = policy_of(document, name, kind)
    except PolicyError as error:
        return Problem(file, name, str(error))
    return Source(file, name, policy, (None,) * len(numbers), numbers)


def _in_yaml(file: str, *, named: bool) -> Iterator[Source | Problem]:
    try:
        text = json_files.read_bytes(file, yaml_policies.LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", f"byte {error.start}") from None
    for found in yaml_policies.policies(text):
        if found.problem:
            yield Problem(file, found.problem.place, str(found.problem))
            continue
        if (found.path or not named) and _is_resource_based(found.document):
            continue
        try:
            policy, numbers = policy_of(found.document)
        except PolicyError as error:
            yield Problem(file, f"line {found.line}", str(error))
            continue
        positions = tuple(found.statements[number] for number in numbers)
        yield Source(file, found.path, policy, positions, numbers)
