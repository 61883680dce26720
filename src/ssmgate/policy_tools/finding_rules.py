"""The rules of `ssmgate policy lint`: what each code finds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ssmgate.explain.changes import CHECK_CONDITION, CHECK_KEY, conditions_of, merge, written
from ssmgate.gate.decision.arn import AWS_OWNED_PREFIXES
from ssmgate.gate.decision.question import is_resource_tag
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.policy_language import Effect, Policy, PolicyKind, Statement
from ssmgate.policy_language.patterns import complete, is_incomplete
from ssmgate.policy_language.variables import parse_template
from ssmgate.policy_tools.document_content import PREFERENCES, SSH_BESIDE_RUN_AS
from ssmgate.policy_tools.effective import (
    allows_any_document,
    allows_unchecked_nodes,
    is_denied,
)
from ssmgate.policy_tools.findings import (
    SESSION,
    START,
    Check,
    Finding,
    Json,
    Rule,
    Severity,
    about,
    allowing,
    covers_any_document,
    covers_nodes,
    may_cover,
    names,
)
from ssmgate.policy_tools.fixes import keeps_resources, requires_check

UNBOUND = Rule(
    "SG001", "unbound", Severity.MEDIUM, "The service need not check the session document"
)
ANY_DOCUMENT = Rule("SG002", "any-document", Severity.HIGH, "Any session document is allowed")
REMOTE_HOST = Rule(
    "SG004", "remote-host", Severity.MEDIUM, "Ports of any remote host can be forwarded"
)
ENUMERATION = Rule(
    "SG005", "deny-by-enumeration", Severity.MEDIUM, "Documents are denied one by one"
)
TAG_CONDITION = Rule(
    "SG006", "tag-condition", Severity.LOW, "A condition on node tags applies to documents"
)
OTHER_WAYS = Rule("SG007", "other-ways", Severity.MEDIUM, "Another action gives access to nodes")
DEFAULT_DOCUMENT = Rule(
    "SG008", "default-document", Severity.HIGH, "The default document can be replaced"
)
SETS_TAGS = Rule("SG009", "sets-tags", Severity.HIGH, "The tags that a condition tests can be set")
OTHERS_SESSIONS = Rule(
    "SG010", "others-sessions", Severity.MEDIUM, "Sessions of others can be resumed or terminated"
)
BOOL = Rule("SG011", "bool", Severity.LOW, "Bool where BoolIfExists is needed")
SOME_STATEMENTS = Rule(
    "SG012", "some-statements", Severity.HIGH, "Only some statements require the check"
)
AWS_DOCUMENT = Rule(
    "SG013", "aws-document", Severity.LOW, "The ARN of an AWS-owned document has an account ID"
)
DATA_CHANNEL = Rule(
    "SG015", "data-channel", Severity.NOTE, "The data channel of a session is not allowed"
)
INCOMPLETE_ARN = Rule("SG016", "incomplete-arn", Severity.NOTE, "An ARN has too few parts")

RULES = (
    *(UNBOUND, ANY_DOCUMENT, SSH_BESIDE_RUN_AS, REMOTE_HOST, ENUMERATION, TAG_CONDITION),
    *(OTHER_WAYS, DEFAULT_DOCUMENT, SETS_TAGS, OTHERS_SESSIONS, BOOL, SOME_STATEMENTS),
    *(AWS_DOCUMENT, PREFERENCES, DATA_CHANNEL, INCOMPLETE_ARN),
)

_REMOTE_HOST_DOCUMENT = "AWS-StartPortForwardingSessionToRemoteHost"


def has_check(statement: Statement) -> bool:
    """Return whether the statement tests ssm:SessionDocumentAccessCheck."""
    return any(one.key.lower() == CHECK_KEY.lower() for one in statement.conditions)


def _with_check(statement: Statement) -> Json:
    own = conditions_of(statement)
    others = {
        operator: {key: value for key, value in keys.items() if key.lower() != CHECK_KEY.lower()}
        for operator, keys in own.items()
    }
    condition = merge(
        {operator: keys for operator, keys in others.items() if keys}, CHECK_CONDITION
    )
    return written(statement, Condition=condition)


def unbound(policy: Policy) -> Iterator[Finding]:
    """Find statements that allow nodes without the check; as SG012 where others have it."""
    found = [(n, s) for n, s in allowing(policy) if covers_nodes(s, policy)]
    unchecked = [number for number, one in found if allows_unchecked_nodes(policy, one)]
    some = any(has_check(one) and number not in unchecked for number, one in found)
    for number, statement in found:
        if number not in unchecked:
            continue
        fix = requires_check(policy, statement, _with_check(statement))
        if some:
            text = "allows nodes without the condition that other statements have, which is then"
            yield Finding(SOME_STATEMENTS, f"{text} without effect", number, fix)
        elif has_check(statement):
            text = f"tests {CHECK_KEY}, but allows nodes where it is false"
            yield Finding(UNBOUND, text, number, fix)
        else:
            text = f"allows nodes without a condition on {CHECK_KEY}"
            yield Finding(UNBOUND, text, number, fix)


def any_document(policy: Policy) -> Iterator[Finding]:
    """Find statements that allow documents which the policy does not name."""
    for number in _of_any_document(policy):
        text = "allows every session document, also those created later"
        yield Finding(ANY_DOCUMENT, text, number)


def _of_any_document(policy: Policy) -> list[int]:
    return [
        number
        for number, statement in allowing(policy)
        if covers_any_document(statement, policy) and allows_any_document(policy, statement)
    ]


def remote_host(policy: Policy) -> Iterator[Finding]:
    """Find statements that name the document for forwarding to any host."""
    for number, statement in allowing(policy):
        if names(statement, policy, _REMOTE_HOST_DOCUMENT):
            text = f"allows {_REMOTE_HOST_DOCUMENT}: the node forwards to any host that it reaches"
            yield Finding(REMOTE_HOST, text, number)


def enumeration(policy: Policy) -> Iterator[Finding]:
    """Find statements that deny named documents where another allows all."""
    if not _of_any_document(policy):
        return
    for number, statement in enumerate(policy.statements):
        named = [text for text in statement.resources if ":document/" in text]
        if (
            statement.effect is Effect.DENY
            and about(statement, START)
            and named
            and not statement.negated_resource
            and not covers_any_document(statement, policy)
        ):
            text = f"denies {len(named)} of all documents: one that is created later is allowed"
            yield Finding(ENUMERATION, text, number)


def tag_condition(policy: Policy) -> Iterator[Finding]:
    """Find conditions on tags of nodes in statements that also list documents."""
    for number, statement in allowing(policy):
        keys = [
            one.key
            for one in statement.conditions
            if is_resource_tag(one.key)
            and not one.operator.if_exists
            and not one.operator.negated
            and one.operator.base != "Null"
        ]
        named = any(":document/" in text for text in statement.resources)
        if keys and named and not statement.negated_resource and covers_nodes(statement, policy):
            text = f"tests {keys[0]}, which documents lack: allow documents in another statement"
            yield Finding(TAG_CONDITION, text, number)


_OTHER_WAYS = (
    "ssm:SendCommand",
    "ssm:StartAutomationExecution",
    "ssm:CreateAssociation",
    "ssm:UpdateAssociation",
    "ssm:StartAccessRequest",
    "ecs:ExecuteCommand",
    "ec2-instance-connect:SendSSHPublicKey",
    "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
)


def _left(policy: Policy, statement: Statement, actions: Sequence[str]) -> list[str]:
    """Return which of `actions` the statement is about, without those that the policy denies."""
    return [one for one in actions if about(statement, one) and not is_denied(policy, one)]


def other_ways(policy: Policy) -> Iterator[Finding]:
    """Find actions by which commands run on nodes without a session."""
    for number, statement in enumerate(policy.statements):
        if statement.effect is not Effect.ALLOW:
            continue
        found = _left(policy, statement, _OTHER_WAYS)
        if found:
            yield Finding(OTHER_WAYS, f"allows {', '.join(found)}", number)


_REPLACES = ("ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion", "ssm:DeleteDocument")


def default_document(policy: Policy) -> Iterator[Finding]:
    """Find statements that allow changing what the default document does."""
    for number, statement in enumerate(policy.statements):
        if statement.effect is not Effect.ALLOW:
            continue
        found = _left(policy, statement, _REPLACES)
        if found and (
            covers_any_document(statement, policy)
            or names(statement, policy, DEFAULT_DOCUMENT_NAME)
        ):
            text = f"allows {', '.join(found)} on {DEFAULT_DOCUMENT_NAME}"
            yield Finding(DEFAULT_DOCUMENT, text, number)


_TAGS = ("ec2:CreateTags", "ec2:DeleteTags", "ssm:AddTagsToResource", "ssm:RemoveTagsFromResource")


def sets_tags(policy: Policy) -> Iterator[Finding]:
    """Find statements that allow setting tags, where a statement about sessions tests tags."""
    tested = [
        one.key
        for statement in policy.statements
        if about(statement, START)
        for one in statement.conditions
        if is_resource_tag(one.key)
    ]
    if not tested:
        return
    for number, statement in enumerate(policy.statements):
        if statement.effect is not Effect.ALLOW:
            continue
        found = _left(policy, statement, _TAGS)
        if found:
            text = f"allows {', '.join(found)}, and another statement tests {tested[0]}"
            yield Finding(SETS_TAGS, text, number)


_OF_SESSIONS = ("ssm:ResumeSession", "ssm:TerminateSession")


def others_sessions(policy: Policy) -> Iterator[Finding]:
    """Find statements about sessions that are not limited to the caller's own."""
    for number, statement in enumerate(policy.statements):
        found = _left(policy, statement, _OF_SESSIONS)
        if (
            statement.effect is Effect.ALLOW
            and found
            and not statement.conditions
            and may_cover(statement, policy, SESSION)
            and not all("${aws:" in text for text in statement.resources)
        ):
            yield Finding(OTHERS_SESSIONS, f"allows {', '.join(found)} on any session", number)


def bool_operator(policy: Policy) -> Iterator[Finding]:
    """Find Bool on the check where the key was seen to be absent.

    Observed on a real account, not documented: 85 % sure.
    """
    for number, statement in allowing(policy):
        strict = any(
            one.key.lower() == CHECK_KEY.lower()
            and not one.operator.if_exists
            and one.operator.base != "Null"
            for one in statement.conditions
        )
        if (
            strict
            and covers_nodes(statement, policy)
            and not allows_unchecked_nodes(policy, statement)
        ):
            text = (
                f"tests {CHECK_KEY} with Bool: where a document of the account is named, the key"
                " was seen to be absent and the session denied (85 % sure)"
            )
            fix = requires_check(policy, statement, _with_check(statement))
            yield Finding(BOOL, text, number, fix)


_OWNED = re.compile(
    rf"(arn:[^:]*:ssm:[^:]*:)(?:[0-9]{{12}})(:document/(?:{'|'.join(AWS_OWNED_PREFIXES)}).*)"
)


def aws_document(policy: Policy) -> Iterator[Finding]:
    """Find ARNs of AWS's documents with an account ID: these have none."""
    for number, statement in enumerate(policy.statements):
        wrong = [text for text in statement.resources if _OWNED.fullmatch(text)]
        if wrong and (about(statement, START) or statement.negated_action):
            changed = tuple(_OWNED.sub(r"\1\2", text) for text in statement.resources)
            fix = keeps_resources(policy, statement, changed, written)
            text = f"{wrong[0]} names no document: the ARNs of AWS's documents have no account ID"
            yield Finding(AWS_DOCUMENT, text, number, fix)


def data_channel(policy: Policy) -> Iterator[Finding]:
    """Find policies that allow sessions and not their data channel."""
    sessions = [number for number, statement in allowing(policy) if covers_nodes(statement, policy)]
    if sessions and not any(allowing(policy, "ssmmessages:OpenDataChannel")):
        text = (
            "does not allow ssmmessages:OpenDataChannel, which session-manager-plugin 1.2.764.0 and"
            " later needs; another policy may"
        )
        yield Finding(DATA_CHANNEL, text, sessions[0])


def incomplete_arn(policy: Policy) -> Iterator[Finding]:
    """Find ARNs with fewer than six parts, which AWS completes."""
    for number, statement in enumerate(policy.statements):
        if not about(statement, START):
            continue
        for text in statement.resources:
            if is_incomplete(text, policy.version):
                whole = _completed(text, policy)
                changed = tuple(whole if one == text else one for one in statement.resources)
                fix = keeps_resources(policy, statement, changed, written)
                means = f"means {whole}" if policy.kind is PolicyKind.IDENTITY else "is not defined"
                yield Finding(INCOMPLETE_ARN, f"{text} has too few parts: it {means}", number, fix)


def _completed(text: str, policy: Policy) -> str:
    pieces = parse_template(text, policy.version).pieces
    missing = len(complete(tuple(p for p in pieces if not hasattr(p, "key")))) - len(pieces)
    return text + ":*" * (missing // 2)


CHECKS: tuple[Check, ...] = (
    *(unbound, any_document, remote_host, enumeration, tag_condition, other_ways),
    *(default_document, sets_tags, others_sessions, bool_operator, aws_document, data_channel),
    incomplete_arn,
)
