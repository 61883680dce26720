"""What a refusal and a "cannot tell" say: what was asked, for whom, why, and the next step."""

from __future__ import annotations

import json

from ssmgate.gate.decision.arn import account_of, principal, target_arn
from ssmgate.gate.decision.decision import Denial, Layer, Unknown
from ssmgate.gate.decision.errors import AccessDenied, AccessUnknown, GateError, RestrictionDenied
from ssmgate.gate.decision.question import ACTION, Caller, Question, is_resource_tag
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial

CONFIG_FILE = "~/.config/ssmgate/config.toml"

BEYOND_SIMULATION = (
    "IAM simulation allowed the document; the words above are the service's, which also asks"
    " about the target ('ssmgate check' does too)",
    "and sees what simulation cannot: session policies, VPC endpoint policies, resource control"
    " policies, resource policies, and what only the live request has",
)
"""Notes for a start that the service refuses after simulation allowed the document."""


def explain(
    outcome: Denial | Unknown | LocalDenial, request: SessionRequest, caller: Caller | None
) -> GateError:
    """The error that tells `outcome` to the person refused, in at most ten lines."""
    if isinstance(outcome, LocalDenial):
        return _refused_here(outcome)
    if isinstance(outcome, Denial):
        return _refused(outcome, request, caller)
    notes = [f"nothing was started: whether there is access to {document(request)} is not known"]
    if outcome.question is not None and caller is not None:
        notes.append(_checked(outcome.question, caller))
    return AccessUnknown(
        f"cannot tell whether the session is permitted: {outcome.reason}",
        notes=tuple(notes),
        hints=_cannot_tell_hints(outcome, request, caller),
    )


def document(request: SessionRequest) -> str:
    """The session document of `request`, for a sentence."""
    if request.document_name is None:
        return (
            f"session document {DEFAULT_DOCUMENT_NAME!r}"
            " (the default, as no --document-name was given)"
        )
    return f"session document {request.document_name!r}"


def _refused(outcome: Denial, request: SessionRequest, caller: Caller | None) -> AccessDenied:
    question = outcome.question
    who = caller.caller_arn if caller else question.policy_source_arn
    # AWS's own sentence, so that whatever reads aws's errors understands this one too:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    match outcome.reason_code:
        case "explicit-deny":
            why = f"with an explicit deny in {_article(outcome.layer)}"
        case "not-named":
            why = "because no statement names the document, as this machine's configuration demands"
        case _:
            why = f"because no {outcome.layer.value} allows the {ACTION} action"
    notes = [f"refused before the call: no explicit access to {document(request)}"]
    if caller:
        notes.append(_checked(question, caller))
    if outcome.reason_code == "explicit-deny" and outcome.matched_policies:
        notes.append("denied by: " + ", ".join(outcome.matched_policies))
    if outcome.reason_code == "not-named":
        notes.append(
            "explicit = 'named': IAM allows it by a wildcard only, in "
            + ", ".join(outcome.matched_policies)
        )
    if outcome.missing_context:
        notes.append("condition keys that IAM was not given: " + ", ".join(outcome.missing_context))
    details = (
        f"User: {who} is not authorized to perform: {ACTION} on resource:"
        f" {question.resource_arn} {why}"
    )
    return AccessDenied(
        "An error occurred (AccessDeniedException) when calling the StartSession operation:"
        f" {details}",
        details=details,
        notes=tuple(notes),
        hints=(*_refusal_hints(outcome, request), *_context_hints(outcome.missing_context)),
    )


def _refused_here(outcome: LocalDenial) -> RestrictionDenied:
    # Not in IAM's words: IAM allows it, and nobody there could help.
    hints = (
        ("say why you need it: --reason 'TICKET-1 …'",)
        if outcome.reason_code == "reason-required"
        else ("'ssmgate config show --origin' names the file that says so",)
    )
    return RestrictionDenied(
        f"refused by this machine's rules: {outcome.reason} ({outcome.rule})",
        notes=("nothing was started, though IAM allows the session document",),
        hints=hints,
    )


def _refusal_hints(outcome: Denial, request: SessionRequest) -> tuple[str, ...]:
    if outcome.reason_code == "explicit-deny":
        return (
            "an explicit deny outweighs every allow: ask the owner of that"
            f" {outcome.layer.value} to exempt the document, or name another --document-name",
        )
    statement = least_statement(outcome.question, request)
    if outcome.layer is Layer.IDENTITY:
        return (f"ask your administrator for this statement: {statement}",)
    return (
        f"the {outcome.layer.value} has to allow this, beside the caller's own policies:"
        f" {statement}",
    )


def least_statement(question: Question, request: SessionRequest) -> str:
    """The least policy statement that permits `request`, as one line of JSON.

    It names both resources that StartSession authorises, and has the condition that makes the
    service enforce the document check itself. A target of a kind that IAM does not list is a
    placeholder in it.
    """
    region = next(e.values[0] for e in question.context if e.key_name == "aws:RequestedRegion")
    source = question.policy_source_arn
    node = target_arn(
        request.target,
        partition=source.split(":")[1],
        region=region,
        account=account_of(source),
    )
    return json.dumps(
        {
            "Effect": "Allow",
            "Action": ACTION,
            "Resource": [question.resource_arn, node or f"ARN of target {request.target}"],
            "Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}},
        }
    )


def _cannot_tell_hints(
    outcome: Unknown, request: SessionRequest, caller: Caller | None
) -> tuple[str, ...]:
    match outcome.reason_code:
        case "not-allowed-to-simulate" if caller is not None:
            return (
                f"let the caller ask IAM about itself: {simulate_statement(caller)}",
                "or name a profile or role that may ask, as checker.profile or checker.role_arn in"
                f" {CONFIG_FILE}",
            )
        case "tags-unknown" | "tags-deny" if outcome.question is not None:
            return _read_hints(outcome.live_context, outcome.question)
        case "live-deny":
            return _context_hints(outcome.live_context)
        case "live-context" if outcome.question is not None:
            # IAM names the keys of every statement, so there may be no grant at all.
            return (
                *_context_hints(outcome.live_context),
                "or, if no statement names the document, ask your administrator for:"
                f" {least_statement(outcome.question, request)}",
            )
        case "root":
            return ("IAM policies do not bind the root user: use an IAM user or role",)
        case "federated-user":
            return (
                "a session of GetFederationToken has policies that nobody can look up:"
                " use an IAM user or role",
            )
        case "throttled":
            return ("IAM allows an account few simulations a second: try again in a moment",)
        case "timed-out" | "unreachable":
            return (
                "StartSession's --endpoint-url is not used for STS and IAM: for a local AWS set"
                " AWS_ENDPOINT_URL, behind a proxy HTTPS_PROXY",
            )
        case "grant-unknown":
            return ("set explicit = 'allowed' if a wildcard shall do",)
        case "other-account":
            return ("use credentials of the caller's own account as checker",)
        case "expired":
            return ("get fresh credentials, for example with 'aws sso login' or 'aws login'",)
    return ()


def simulate_statement(caller: Caller) -> str:
    """The statement that lets `caller` simulate itself and no one else, as one line of JSON.

    A role whose path is not known gets a wildcard where IAM Identity Center puts one.
    """
    who = principal(caller.caller_arn)
    resource = caller.policy_source_arn
    if not caller.role_path_known and who.name.startswith("AWSReservedSSO_"):
        # The path has a region segment or not, depending on the directory's region.
        resource = resource.replace(":role/", ":role/aws-reserved/sso.amazonaws.com/*")
    actions = ["iam:SimulatePrincipalPolicy", *(["iam:GetRole"] if who.kind == "role" else [])]
    return json.dumps({"Effect": "Allow", "Action": actions, "Resource": resource})


def _read_hints(keys: tuple[str, ...], question: Question) -> tuple[str, ...]:
    """What lets the tags of `keys` be read: the statement, and for the caller's the [context]."""
    principal = tuple(key for key in keys if not is_resource_tag(key))
    needed = []
    if principal != keys:
        needed.append(("ssm:ListTagsForResource", question.resource_arn))
    if principal:
        needed.append(("iam:GetUser", question.policy_source_arn))
    statements = [
        json.dumps({"Effect": "Allow", "Action": action, "Resource": arn}) for action, arn in needed
    ]
    return (
        *(f"let the caller read these tags: {one}" for one in statements),
        *_context_hints(principal),
    )


def _context_hints(keys: tuple[str, ...]) -> tuple[str, ...]:
    tags = [key for key in keys if is_resource_tag(key)]
    lines = [f'"{key}" = {_example(key)}' for key in keys if key not in tags]
    hints = []
    if tags:
        hints.append(
            "a session document does not have the node's tags: a statement with a condition on"
            f" {tags[0]} never matches it; list the document in a statement without"
        )
    if lines:
        hints.append(
            f"if you know what the service will see, put it under [context] in {CONFIG_FILE}: "
            + "; ".join(lines[:3])
        )
    return tuple(hints)


def _example(key: str) -> str:
    lowered = key.lower()
    if lowered.startswith("aws:principaltag/"):
        return '"…"'
    if lowered.endswith(("present", "viaawsservice", "accesscheck")):
        return "true"
    if lowered.endswith("age"):
        return "0"
    return '"…"'


def _checked(question: Question, caller: Caller) -> str:
    as_whom = (
        ""
        if caller.caller_arn == caller.policy_source_arn
        else f" by the policies of {caller.policy_source_arn}"
    )
    return f"checked: {ACTION} on {question.resource_arn} for {caller.caller_arn}{as_whom}"


def _article(layer: Layer) -> str:
    return f"an {layer.value}" if layer is Layer.IDENTITY else f"a {layer.value}"
