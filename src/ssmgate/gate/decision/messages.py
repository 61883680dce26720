"""Make the error for a session that was not allowed: caller, document, reason, next step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, assert_never

from ssmgate.gate.decision.access_errors import (
    AccessDenied,
    AccessError,
    AccessUnknown,
    DenialFacts,
    RestrictionDenied,
)
from ssmgate.gate.decision.arn import account_of, principal
from ssmgate.gate.decision.decision import Denial, Layer, Unknown
from ssmgate.gate.decision.question import ACTION, Caller, Question, is_resource_tag
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial
from ssmgate.gate.decision.target import target_arn

CONFIG_FILE = "~/.config/ssmgate/config.toml"

OTHER_CREDENTIALS = (
    "session-manager-plugin looks for credentials of its own, and may not find those of"
)

PASS_CREDENTIALS = f"plugin.pass_credentials = true in {CONFIG_FILE} passes them to it"

BEYOND_SIMULATION = (
    "this error came from AWS; IAM simulation allowed the session document",
    "AWS also evaluates the target ('ssmgate check' does too) and what simulation does not cover:"
    " session policies, VPC endpoint policies, resource control policies, resource policies, and"
    " condition keys that only the live request has",
)
"""Notes for a session that the service denies after simulation allowed the document."""

Option = tuple[str, str | Literal[True] | None]
"""An option of the command line: its name, and its value, True for a flag, None if not given."""

_REQUEST = "To request access, send your administrator the output of:"
_REQUEST_SIMULATION = "To request permission for the check, send your administrator the output of:"
_EXPLAIN = "To find out why:"


def explain(
    outcome: Denial | Unknown | LocalDenial,
    request: SessionRequest,
    caller: Caller | None,
    options: Sequence[Option] = (),
) -> AccessError:
    """Return the error for `outcome`.

    `caller` is None if it is not known. `options` are the user's options that decide which
    principal is checked, and where: commands in the error repeat them.
    """
    match outcome:
        case Denial():
            return _denied(outcome, request, caller, options)
        case LocalDenial():
            return _denied_here(outcome, request, caller)
    return _unknown(outcome, request, caller, options)


def _denied(
    outcome: Denial, request: SessionRequest, caller: Caller | None, options: Sequence[Option]
) -> AccessDenied:
    question, layer = outcome.question, outcome.layer
    who = caller.caller_arn if caller else question.policy_source_arn
    by = f" ({', '.join(outcome.matched_policies)})" if outcome.matched_policies else ""
    match outcome.reason_code:
        case Reason.IMPLICIT_DENY:
            before, after = f"no {layer.value} allows", ""
            why = f"because no {layer.value} allows the {ACTION} action"
            remarks = (
                ()
                if layer is Layer.IDENTITY
                else (f"the {layer.value} has to allow it, beside the caller's own policies",)
            )
        case Reason.EXPLICIT_DENY:
            before, after = f"an explicit deny in {_article(layer)}{by} forbids", ""
            why = f"with an explicit deny in {_article(layer)}"
            remarks = (
                "an explicit deny overrides every allow: ask the owner of that policy to exempt the"
                " document, or choose another --document-name",
            )
        case Reason.NOT_NAMED:
            before = f"only a wildcard{by} allows"
            after = "; this machine requires a statement that names it"
            why = "because no statement names the document, as this machine's configuration demands"
            remarks = ()
        case _:
            assert_never(outcome.reason_code)
    return AccessDenied(
        DenialFacts(
            outcome.reason_code,
            f"{before} {ACTION} on it{after}",
            f"{before} {question.resource_arn} for {_short(who)}{after}",
            *_asked(request),
            document_arn=question.resource_arn,
            caller_arn=who,
            policy_source_arn=question.policy_source_arn,
            layer=layer.name.lower(),
            missing=outcome.missing_context,
            remarks=(*remarks, *_context_hints(outcome.missing_context)),
            heading=_REQUEST,
            command=check_command("--request", request, options),
            hint=check_command("--explain", request, options),
        ),
        # AWS's own sentence, so that programs which read its errors understand this one too:
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
        details=f"User: {who} is not authorized to perform: {ACTION} on resource:"
        f" {question.resource_arn} {why}",
    )


def _denied_here(
    outcome: LocalDenial, request: SessionRequest, caller: Caller | None
) -> RestrictionDenied:
    # Never in IAM's words: IAM allows the document.
    match outcome.reason_code:
        case Reason.REASON_REQUIRED:
            heading, command = "To say why you need the session, add:", "--reason 'TICKET-1 …'"
            hint = f"add {command}"
        case Reason.DOCUMENT_DENIED | Reason.DOCUMENT_NOT_LISTED | Reason.TARGET_NOT_LISTED:
            heading = "To find the file that sets the rule:"
            command = hint = "ssmgate config show --origin"
        case _:
            assert_never(outcome.reason_code)
    return RestrictionDenied(
        DenialFacts(
            outcome.reason_code,
            outcome.reason,
            f"{outcome.reason} ({outcome.rule}); IAM allows the session document",
            *_asked(request),
            caller_arn=caller.caller_arn if caller else "",
            policy_source_arn=caller.policy_source_arn if caller else "",
            layer="machine",
            rule=outcome.rule,
            heading=heading,
            command=command,
            hint=hint,
        )
    )


def _unknown(
    outcome: Unknown, request: SessionRequest, caller: Caller | None, options: Sequence[Option]
) -> AccessUnknown:
    question = outcome.question
    remarks = _remarks(outcome)
    heading, flag = _EXPLAIN, "--explain"
    if outcome.reason_code == Reason.NOT_ALLOWED_TO_SIMULATE and caller is not None:
        heading, flag = _REQUEST_SIMULATION, "--request"
    elif outcome.reason_code == Reason.LIVE_CONTEXT and question is not None:
        # IAM names the keys of every statement, so there may be no grant at all.
        heading, flag = _REQUEST, "--request"
    command = check_command(flag, request, options)
    return AccessUnknown(
        DenialFacts(
            outcome.reason_code,
            outcome.reason,
            outcome.reason,
            *_asked(request),
            document_arn=question.resource_arn if question else "",
            caller_arn=caller.caller_arn if caller else "",
            policy_source_arn=caller.policy_source_arn if caller else "",
            missing=outcome.live_context,
            remarks=remarks,
            heading=heading,
            command=command,
            hint=command if heading == _REQUEST_SIMULATION or not remarks else remarks[0],
        )
    )


def _asked(request: SessionRequest) -> tuple[str, bool, str]:
    """Return the document, whether it is the default because none was given, and the target."""
    document = request.document_name
    return document or DEFAULT_DOCUMENT_NAME, document is None, request.target


def check_command(flag: str, request: SessionRequest, options: Sequence[Option] = ()) -> str:
    """Return the `ssmgate check` command about `request`, with `options`, quoted for a shell."""
    import shlex  # here alone: an allowed session does not load it

    words = ["ssmgate", "check", flag]
    document = ("--document-name", request.document_name)
    for name, value in (("--target", request.target), document, *options):
        if value is True:
            words.append(name)
        elif value is not None and value.startswith("-"):
            words.append(f"{name}={value}")  # else it would be read as an option
        elif value is not None:
            words += [name, value]
    return shlex.join(words)


def _short(arn: str) -> str:
    """Return the name in an ARN, with its kind: `user/alice`."""
    return arn.split(":", 5)[-1]


def least_statement(question: Question, request: SessionRequest) -> str:
    """Return the smallest policy statement that allows `request`, as one line of JSON.

    It names both resources that StartSession authorizes, and has the condition that makes the
    service enforce the document check itself. For a kind of target that IAM does not list it has a
    placeholder.
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


def _remarks(outcome: Unknown) -> tuple[str, ...]:
    """Return next steps for `outcome`, the most useful one first."""
    match outcome.reason_code:
        case Reason.NOT_ALLOWED_TO_SIMULATE:
            return (
                "the configuration can name other credentials to check with, as checker.profile"
                f" or checker.role_arn in {CONFIG_FILE}",
            )
        case Reason.TAGS_UNKNOWN | Reason.TAGS_DENY:
            if outcome.question is None:
                return ()
            return _read_hints(outcome.live_context, outcome.question)
        case Reason.LIVE_DENY | Reason.LIVE_CONTEXT:
            return _context_hints(outcome.live_context)
        case Reason.ROOT:
            return ("IAM policies do not apply to the root user: use an IAM user or role",)
        case Reason.FEDERATED_USER:
            return (
                "the policies of a GetFederationToken session cannot be read: use an IAM user or"
                " role",
            )
        case Reason.THROTTLED:
            return ("IAM allows an account few simulations a second: try again in a moment",)
        case Reason.TIMED_OUT | Reason.UNREACHABLE:
            return (
                "StartSession's --endpoint-url is not used for STS and IAM: for a local AWS set"
                " AWS_ENDPOINT_URL, behind a proxy HTTPS_PROXY",
            )
        case Reason.GRANT_UNKNOWN:
            return ("set allow_wildcard_grants = true to accept a wildcard",)
        case Reason.OTHER_ACCOUNT:
            return ("use credentials of the caller's own account as checker",)
        case Reason.EXPIRED:
            return ("get fresh credentials, for example with 'aws sso login' or 'aws login'",)
        case (
            Reason.ACCESS_CHECK_UNKNOWN
            | Reason.CONTRADICTION
            | Reason.FAILED
            | Reason.IDENTITY
            | Reason.NO_ANSWER
            | Reason.NO_QUESTION
            | Reason.UNKNOWN_TARGET
            | Reason.UNREADABLE
        ):
            return ()
    assert_never(outcome.reason_code)


def simulate_statement(caller: Caller) -> str:
    """Return the statement that lets `caller` simulate only itself, as one line of JSON.

    For a role of IAM Identity Center whose path is not known, the path is a wildcard.
    """
    who = principal(caller.caller_arn)
    resource = caller.policy_source_arn
    if not caller.role_path_known and who.name.startswith("AWSReservedSSO_"):
        # The path has a region segment or not, depending on the directory's region.
        resource = resource.replace(":role/", ":role/aws-reserved/sso.amazonaws.com/*")
    actions = ["iam:SimulatePrincipalPolicy", *(["iam:GetRole"] if who.kind == "role" else [])]
    return json.dumps({"Effect": "Allow", "Action": actions, "Resource": resource})


def _read_hints(keys: tuple[str, ...], question: Question) -> tuple[str, ...]:
    """Return hints how the tags of `keys` can be read, or set under [context] for the caller's."""
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
        *(f"let the caller read these tags: {statement}" for statement in statements),
        *_context_hints(principal),
    )


def _context_hints(keys: tuple[str, ...]) -> tuple[str, ...]:
    tags = [key for key in keys if is_resource_tag(key)]
    lines = [f'"{key}" = {_example(key)}' for key in keys if key not in tags]
    hints = []
    if tags:
        hints.append(
            "a session document does not have the node's tags: a statement with a condition on"
            f" {tags[0]} never matches it; list the document in a statement without that condition"
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


def _article(layer: Layer) -> str:
    return f"an {layer.value}" if layer is Layer.IDENTITY else f"a {layer.value}"
