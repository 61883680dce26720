"""Read the content of session documents, and find what is risky in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.decision.wildcards import like
from ssmgate.policy_language import Effect, Policy, Statement
from ssmgate.policy_tools import json_files, yaml_policies
from ssmgate.policy_tools.findings import (
    START,
    Finding,
    Rule,
    Severity,
    about,
    allowing,
    parts_of,
)
from ssmgate.policy_tools.problem import InputError, in_file

SSH_DOCUMENT = "AWS-StartSSHSession"

SSH_BESIDE_RUN_AS = Rule(
    "SG003", "ssh-beside-run-as", Severity.HIGH, "SSH is allowed beside a document with run-as"
)
PREFERENCES = Rule(
    "SG014", "preferences", Severity.MEDIUM, "The default document has no logging or no run-as"
)

_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Content:
    """What a session document sets.

    `run_as` and `logged` are None if a parameter of the session or anything else that is not a
    fixed value decides. `logged` is whether a session is logged to S3 or CloudWatch.
    """

    file: str
    name: str
    run_as: bool | None
    logged: bool | None


def contents(paths: Iterable[str]) -> tuple[Content, ...]:
    """Return the session documents in answers of `aws ssm get-document`.

    Documents of other types are left out. Raises InputError.
    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetDocument.html
    """
    found: dict[str, Content] = {}
    for path in paths:
        with in_file(path):
            for answer in json_files.documents(path, _LARGEST):
                if not isinstance(answer, dict):
                    raise InputError("must be an object")
                name, text = answer.get("Name"), answer.get("Content")
                if not isinstance(name, str) or not isinstance(text, str):
                    raise InputError("has no Name and Content: is it the answer of get-document?")
                if answer.get("DocumentType", "Session") == "Session":
                    one = _content(path, name.rpartition("/")[2], answer, text)
                    if one.name in found:
                        raise InputError(f"{one.name} was already read from {found[one.name].file}")
                    found[one.name] = one
    return tuple(found.values())


def _content(file: str, name: str, answer: dict[str, Any], text: str) -> Content:
    if answer.get("DocumentFormat") == "YAML":
        document = yaml_policies.mapping(text)
    else:
        document = json_files.decode(text)
    inputs = document.get("inputs", {}) if isinstance(document, dict) else None
    if not isinstance(inputs, dict):
        raise InputError("Content has no mapping of inputs", name)
    logs = [_is_set(inputs.get(key)) for key in ("s3BucketName", "cloudWatchLogGroupName")]
    logged = True if True in logs else None if None in logs else False
    return Content(file, name, _boolean(inputs.get("runAsEnabled")), logged)


def _boolean(value: object) -> bool | None:
    """Return a value that AWS writes with and without quotes; None if it is something else."""
    text = value.lower() if isinstance(value, str) else json.dumps(value)
    return {"true": True, "false": False, "": False, "null": False}.get(text)


def _is_set(value: object) -> bool | None:
    if isinstance(value, str):
        return None if "{{" in value else bool(value.strip())
    return None if value else False


def run_as(found: Iterable[Content]) -> tuple[str, ...]:
    """Return the names of the documents whose sessions run as the user that IAM names."""
    return tuple(one.name for one in found if one.run_as)


def beside_run_as(policy: Policy, names: Iterable[str]) -> Iterator[Finding]:
    """Find policies that allow SSH and one of the documents `names`, which have run-as.

    A policy with a Deny statement about SSH without conditions has no finding.
    """
    for statement in policy.statements:
        denies = statement.effect is Effect.DENY and about(statement, START)
        if denies and not statement.conditions and _covers(statement, policy, SSH_DOCUMENT):
            return
    statements = list(allowing(policy))
    beside = [name for name in names if any(_covers(s, policy, name) for _, s in statements)]
    if beside:
        for number, statement in statements:
            if _covers(statement, policy, SSH_DOCUMENT):
                yield Finding(SSH_BESIDE_RUN_AS, ssh_words(beside), number)


def ssh_words(beside: list[str]) -> str:
    """Return what it means to allow SSH beside the documents `beside`."""
    return (
        f"allows {SSH_DOCUMENT} beside {', '.join(beside)}: ssh logs in as any user whose key"
        " the caller has, not as the one that run-as sets"
    )


def _covers(statement: Statement, policy: Policy, name: str) -> bool:
    each = [parts_of(text, policy) for text in statement.resources]
    found = any(like(parts[2], "ssm") and like(parts[5], f"document/{name}") for parts in each)
    return found is not statement.negated_resource


def preferences(content: Content) -> Iterator[Finding]:
    """Find a default document without logging, and one without run-as.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-getting-started-ssm-user-permissions.html
    """
    if content.name != DEFAULT_DOCUMENT_NAME:
        return
    if content.logged is False:
        text = f"{content.name} sets neither an S3 bucket nor a log group: sessions are not logged"
        yield Finding(PREFERENCES, text)
    if content.run_as is False:
        text = (
            f"{content.name} does not enable run-as: sessions run as ssm-user, an administrator of"
            " the node unless that was changed"
        )
        yield Finding(PREFERENCES, text)
