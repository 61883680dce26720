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
from ssmgate.gate.decision.context_keys import is_absent
from ssmgate.gate.decision.decision import Denial, Layer, Unknown
from ssmgate.gate.decision.denial import with_article
from ssmgate.gate.decision.question import (
    ACTION,
    FIXED_KEYS,
    MFA_KEY,
    Caller,
    Question,
    is_resource_tag,
)
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial

CONFIG_FILE = "~/.config/ssmgate/config.toml"

OTHER_CREDENTIALS = "session-manager-plugin resolves credentials itself, and may not find those of"

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

_NOT_ANSWERED = {
    Reason.EXPIRED,
    Reason.FAILED,
    Reason.TIMED_OUT,
    Reason.UNREACHABLE,
    Reason.UNREADABLE,
}
"""With these reasons `ssmgate check` would fail as well; `ssmgate doctor` finds out why."""


def explain(
    decision: Denial | Unknown | LocalDenial,
    request: SessionRequest,
    caller: Caller | None,
    options: Sequence[Option] = (),
) -> AccessError:
    """Return the error for `decision`.

    `caller` is None if it is not known. `options` are the user's options that decide which
    principal is checked, and where: commands in the error repeat them.
    """
    match decision:
        case Denial():
            return _denied(decision, request, caller, options)
        case LocalDenial():
            return _denied_here(decision, request, caller)
    return _unknown(decision, request, caller, options)


def _denied(
    decision: Denial, request: SessionRequest, caller: Caller | None, options: Sequence[Option]
) -> AccessDenied:
    question, layer = decision.question, decision.layer
    who = caller.caller_arn if caller else question.policy_source_arn
    by = f" ({', '.join(decision.matched_policies)})" if decision.matched_policies else ""
    match decision.reason_code:
        case Reason.IMPLICIT_DENY:
            before, after = f"no {layer.value} allows", ""
            why = f"because no {layer.value} allows the {ACTION} action"
            remarks = (
                ()
                if layer is Layer.IDENTITY
                else (f"the {layer.value} has to allow it as well as the caller's own policies",)
            )
        case Reason.EXPLICIT_DENY:
            before, after = f"an explicit deny in {with_article(layer)}{by} forbids", ""
            why = f"with an explicit deny in {with_article(layer)}"
            remarks = (
                "an explicit deny overrides every allow: ask the owner of that policy to exempt the"
                " document, or choose another --document-name",
            )
        case Reason.NOT_NAMED:
            before = f"only a wildcard{by} allows"
            after = "; this machine requires a statement that names it"
            why = "because no statement names the document, as this machine requires"
            remarks = ()
        case _:
            assert_never(decision.reason_code)
    return AccessDenied(
        DenialFacts(
            decision.reason_code,
            f"{before} {ACTION} on it{after}",
            f"{before} {question.resource_arn} for {_short(who)}{after}",
            *_asked(request),
            document_arn=question.resource_arn,
            caller_arn=who,
            policy_source_arn=question.policy_source_arn,
            layer=layer.name.lower(),
            missing=decision.missing_context,
            remarks=(*remarks, *_context_hints(decision.missing_context, question)),
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
    decision: LocalDenial, request: SessionRequest, caller: Caller | None
) -> RestrictionDenied:
    # Never in IAM's words: IAM allows the document.
    match decision.reason_code:
        case Reason.REASON_REQUIRED:
            heading, command = "To say why you need the session, add:", "--reason 'TICKET-1 …'"
            hint = f"add {command}"
        case Reason.DOCUMENT_DENIED | Reason.DOCUMENT_NOT_LISTED | Reason.TARGET_NOT_LISTED:
            heading = "To find the file that sets the rule:"
            command = hint = "ssmgate config show --origin"
        case _:
            assert_never(decision.reason_code)
    return RestrictionDenied(
        DenialFacts(
            decision.reason_code,
            decision.reason,
            f"{decision.reason} ({decision.rule}); IAM allows the session document",
            *_asked(request),
            caller_arn=caller.caller_arn if caller else "",
            policy_source_arn=caller.policy_source_arn if caller else "",
            layer="machine",
            rule=decision.rule,
            heading=heading,
            command=command,
            hint=hint,
        )
    )


def _unknown(
    decision: Unknown, request: SessionRequest, caller: Caller | None, options: Sequence[Option]
) -> AccessUnknown:
    question = decision.question
    remarks = _remarks(decision, options)
    heading, flag = _EXPLAIN, "--explain"
    if decision.reason_code == Reason.NOT_ALLOWED_TO_SIMULATE and caller is not None:
        heading, flag = _REQUEST_SIMULATION, "--request"
    elif decision.reason_code == Reason.LIVE_CONTEXT and question is not None:
        # IAM names the keys of every statement, so there may be no grant at all.
        heading, flag = _REQUEST, "--request"
    step = check_command(flag, request, options)
    if decision.reason_code in _NOT_ANSWERED:
        step = command(("doctor",), options)
    return AccessUnknown(
        DenialFacts(
            decision.reason_code,
            decision.reason,
            decision.reason,
            *_asked(request),
            document_arn=question.resource_arn if question else "",
            caller_arn=caller.caller_arn if caller else "",
            policy_source_arn=caller.policy_source_arn if caller else "",
            layer=decision.denial.layer.name.lower() if decision.denial else "",
            missing=decision.live_context,
            remarks=remarks,
            heading=heading,
            command=step,
            hint=step if heading == _REQUEST_SIMULATION or not remarks else remarks[0],
        )
    )


def _asked(request: SessionRequest) -> tuple[str, bool, str]:
    """Return the document, whether it is the default because none was given, and the target."""
    document = request.document_name
    return document or DEFAULT_DOCUMENT_NAME, document is None, request.target


def check_command(flag: str, request: SessionRequest, options: Sequence[Option] = ()) -> str:
    """Return the `ssmgate check` command about `request`, with `options`, quoted for a shell."""
    document = ("--document-name", request.document_name)
    return command(("check", flag), (("--target", request.target), document, *options))


def command(words: Sequence[str], options: Sequence[Option]) -> str:
    """Return the command `ssmgate WORDS` with `options`, quoted for a shell."""
    import shlex  # here alone: an allowed session does not load it

    quoted = ["ssmgate", *words]
    for name, value in options:
        if value is True:
            quoted.append(name)
        elif value is not None and value.startswith("-"):
            quoted.append(f"{name}={value}")  # else it would be read as an option
        elif value is not None:
            quoted += [name, value]
    return shlex.join(quoted)


def _short(arn: str) -> str:
    """Return the name in an ARN, with its kind: `user/alice`."""
    return arn.split(":", 5)[-1]


WITH_MFA = (
    "use a profile with mfa_serial, or credentials of 'aws sts get-session-token' with"
    " --serial-number and --token-code"
)
_CHECKER = (
    f"to check with other credentials, set checker.profile or checker.role_arn in {CONFIG_FILE}"
)
_SERVICE = (
    f'on_unknown = "service" in {CONFIG_FILE} starts without simulation: AWS alone then checks the'
    " document, which the request names"
)


def _remarks(decision: Unknown, options: Sequence[Option]) -> tuple[str, ...]:
    """Return next steps for `decision`, the most useful one first."""
    match decision.reason_code:
        case Reason.NOT_ALLOWED_TO_SIMULATE:
            return _CHECKER, _SERVICE
        case Reason.TAGS_UNKNOWN | Reason.TAGS_DENY:
            if decision.question is None:
                return ()
            return _read_hints(decision.live_context, decision.question)
        case Reason.LIVE_DENY | Reason.LIVE_CONTEXT:
            return _context_hints(decision.live_context, decision.question)
        case Reason.KEYS_NOT_LISTABLE:
            return _listing_hints(decision.denial)
        case Reason.SIMULATION_DENIED:
            return (
                "a policy that denies every action often requires MFA or certain addresses: use"
                " credentials for which an MFA code was entered (mfa_serial in the profile), or ask"
                " the owner of that policy to exempt iam:SimulatePrincipalPolicy",
                _CHECKER,
                _SERVICE,
            )
        case Reason.ROOT:
            return "IAM policies do not apply to the root user: use an IAM user or role", _SERVICE
        case Reason.FEDERATED_USER:
            return (
                "the policies of a GetFederationToken session cannot be read: use an IAM user or"
                " role",
                _SERVICE,
            )
        case Reason.THROTTLED:
            return ("IAM limits the simulations of an account: try again in a moment",)
        case Reason.TIMED_OUT | Reason.UNREACHABLE:
            if dict(options).get("--endpoint-url"):
                return (
                    "--endpoint-url is used for StartSession only: for a local AWS set"
                    " AWS_ENDPOINT_URL",
                )
            return decision.hints or (
                "STS and IAM have to be reachable: allow their endpoints, or set HTTPS_PROXY",
            )
        case Reason.GRANT_UNKNOWN:
            return ("set allow_wildcard_grants = true to accept a wildcard",)
        case Reason.OTHER_ACCOUNT:
            return ("use credentials of the caller's own account as checker",)
        case Reason.EXPIRED:
            return ("get fresh credentials, for example with 'aws sso login' or 'aws login'",)
        case Reason.FAILED:
            return decision.hints
        case (
            Reason.ACCESS_CHECK_UNKNOWN
            | Reason.CONTRADICTION
            | Reason.IDENTITY
            | Reason.NO_ANSWER
            | Reason.NO_QUESTION
            | Reason.UNKNOWN_TARGET
            | Reason.UNREADABLE
        ):
            return ()
    assert_never(decision.reason_code)


def simulate_statement(caller: Caller) -> str:
    """Return the statement that lets `caller` simulate only itself, as one line of JSON.

    For a role of IAM Identity Center whose path is not known, the path is a wildcard.
    """
    who = principal(caller.caller_arn)
    resource = caller.policy_source_arn
    if not caller.role_path_known:
        resource = _with_path(resource)
    actions = ["iam:SimulatePrincipalPolicy", *(["iam:GetRole"] if who.kind == "role" else [])]
    return json.dumps({"Effect": "Allow", "Action": actions, "Resource": resource})


def _with_path(role_arn: str) -> str:
    """Return the ARN of a role of IAM Identity Center with a wildcard for its path."""
    # The path has a region segment or not, depending on the directory's region.
    path = ":role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_"
    return role_arn.replace(":role/AWSReservedSSO_", path)


def _read_hints(keys: tuple[str, ...], question: Question) -> tuple[str, ...]:
    """Return hints how the tags of `keys` can be read, or set under [context] for the caller's."""
    principal = tuple(key for key in keys if not is_resource_tag(key))
    source, needed = question.policy_source_arn, []
    if principal != keys and account_of(question.resource_arn) == account_of(source):
        needed.append(f"ssm:ListTagsForResource on {question.resource_arn}")
    if principal:
        action = "iam:GetUser" if ":user/" in source else "iam:GetRole"
        needed.append(f"{action} on {source}")
    return (
        *(
            f"to let ssmgate read these tags, allow the caller {permission}"
            for permission in needed
        ),
        *_context_hints(principal, question),
    )


def _listing_hints(denial: Denial | None) -> tuple[str, ...]:
    """Return hints for an explicit deny whose condition keys could not be listed."""
    if denial is None:
        return ()
    exempt = (
        f"ask the owner of that {denial.layer.value} whether the deny has a condition. If you know"
        f" the value that AWS will see, set the condition key under [context] in {CONFIG_FILE}"
    )
    if denial.layer is not Layer.IDENTITY:
        return (exempt,)
    source = denial.question.policy_source_arn
    permission = f"iam:GetContextKeysForPrincipalPolicy on {source}"
    return f"to let ssmgate list the condition keys, allow the caller {permission}", exempt


def _context_hints(keys: tuple[str, ...], question: Question | None) -> tuple[str, ...]:
    absent = {key for key in keys if question is not None and is_absent(question, key)}
    tags = [key for key in keys if is_resource_tag(key)]
    lines = [
        f'"{key}" = {_example(key)}'
        for key in keys
        if key not in tags and key not in absent and key.lower() not in FIXED_KEYS
    ]
    hints = []
    if question is not None and "aws:principalarn" in {key.lower() for key in keys}:
        permission = f"iam:GetRole on {_with_path(question.policy_source_arn)}"
        hints.append(f"to let ssmgate read the path of the role, allow the caller {permission}")
    if MFA_KEY.lower() in {key.lower() for key in absent}:
        hints.append(f"a policy requires MFA: {WITH_MFA}")
    if tags:
        hints.append(
            "a session document does not have the node's tags: a statement with a condition on"
            f" {tags[0]} never matches it; list the document in a statement without that condition"
        )
    if lines:
        hints.append(
            f"if you know the value that AWS will see, set it under [context] in {CONFIG_FILE}: "
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
