"""Judge what the caller may do: from IAM's answers and the default document's content."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ssmgate.doctor.calls import Call
from ssmgate.doctor.results import Result, not_checked, ok, problem, unknown, warning
from ssmgate.explain.target import TargetAttempt
from ssmgate.gate.access.questions import DATA_CHANNEL_ACTION, QuestionBuilder
from ssmgate.gate.aws import simulate
from ssmgate.gate.decision.context_keys import unknown_keys
from ssmgate.gate.decision.decision import Decision, Denial, Permit, Unknown, decide_about
from ssmgate.gate.decision.denial import unless_unknown
from ssmgate.gate.decision.messages import simulate_statement
from ssmgate.gate.decision.question import (
    Caller,
    ContextEntry,
    Question,
    is_resource_tag,
)
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.plugin.find import Plugin

TERMINATE_ACTION = "ssm:TerminateSession"

CONDITION = '"Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}'

# By the names of the default document's inputs.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
_PREFERENCES = {
    "s3BucketName": "logs to S3 bucket {}",
    "cloudWatchLogGroupName": "logs to CloudWatch group {}",
    "kmsKeyId": "KMS key {}",
    "runAsDefaultUser": "runs as {}",
    "idleSessionTimeout": "idle time-out {} min",
    "maxSessionDuration": "at most {} min",
}


def statement(action: str, resource: str) -> str:
    """Return a policy statement that allows `action` on `resource`, as one line of JSON."""
    return json.dumps({"Effect": "Allow", "Action": action, "Resource": resource})


def simulation(outcome: Decision, caller: Caller) -> Result:
    """Check whether IAM simulates the caller's policies. `outcome` is about the document."""
    name = "simulation"
    if not isinstance(outcome, Unknown):
        return ok(name, "iam:SimulatePrincipalPolicy is allowed")
    match outcome.reason_code:
        case Reason.NOT_ALLOWED_TO_SIMULATE:
            return problem(name, outcome.reason, simulate_statement(caller))
        case Reason.OTHER_ACCOUNT | Reason.FAILED:
            return problem(name, outcome.reason, "ssmgate config show --origin")
        case Reason.TIMED_OUT | Reason.UNREACHABLE:
            return unknown(name, outcome.reason, "ssmgate doctor")
        case Reason.THROTTLED:
            return unknown(name, "IAM throttles this account's requests", "ssmgate doctor")
        case Reason.UNREADABLE | Reason.NO_ANSWER | Reason.CONTRADICTION | Reason.EXPIRED:
            return problem(name, outcome.reason)
    return ok(name, "iam:SimulatePrincipalPolicy is allowed")


def role_path(caller: Caller, calls: Sequence[Call]) -> Result:
    """Check whether the role's path can be read. `calls` are those to IAM."""
    name = "role path"
    if caller.principal_type == "User":
        return ok(name, "not needed: the caller is an IAM user")
    if caller.role_path_known:
        return ok(name, f"can be read: {caller.policy_source_arn}")
    denied = [call for call in calls if call.operation == "get_role" and call.answered]
    if not denied:
        return not_checked(name, "IAM")
    text = "iam:GetRole is denied: the role is simulated without its path"
    return warning(name, text, statement("iam:GetRole", caller.policy_source_arn))


def document_access(outcome: Decision, fix: str) -> Result:
    """Check whether the caller may use the default document. `fix` finds out more."""
    name = "document access"
    match outcome:
        case Permit():
            return ok(name, f"{DEFAULT_DOCUMENT_NAME} is allowed")
        case Denial():
            text = (
                f"{DEFAULT_DOCUMENT_NAME} is denied ({outcome.layer.value}): name another document"
            )
            return warning(name, text, fix)
        case Unknown(reason_code=Reason.GRANT_UNKNOWN):
            return unknown(name, outcome.reason)
    return unknown(name, outcome.reason, fix)


def default_document(call: Call, content: Mapping[str, Any] | None, arn: str) -> Result:
    """Check the default document. `call` is that of GetDocument, `content` the JSON it returned."""
    name = "default document"
    if not call.answered:
        return not_checked(name, "SSM")
    match call.error_code:
        case "":
            pass
        case "InvalidDocument":
            return ok(name, f"{DEFAULT_DOCUMENT_NAME} does not exist: sessions get a plain shell")
        case "AccessDeniedException":
            text = "ssm:GetDocument is denied: its preferences are not known"
            return warning(name, text, statement("ssm:GetDocument", arn))
        case code:
            return unknown(name, f"GetDocument: {code}")
    inputs = None if content is None else content.get("inputs", {})
    if not isinstance(inputs, Mapping):
        return warning(name, f"{DEFAULT_DOCUMENT_NAME} is not a valid session document",
                       f"aws ssm get-document --name {DEFAULT_DOCUMENT_NAME}")  # fmt: skip
    settings = [
        text.format(inputs[key])
        for key, text in _PREFERENCES.items()
        if inputs.get(key) not in ("", None)
    ]
    return ok(name, "; ".join(settings) or "sets no logs, key, user or time-outs")


def document_check(attempt: TargetAttempt, *, target: str | None) -> Result:
    """Check whether the service itself checks the document for this caller.

    `attempt` simulated a node, an imaginary one if `target` is None.
    """
    name = "document check"
    if attempt.demanded:
        return ok(name, "AWS checks the document too")
    if attempt.demanded is False:
        text = "AWS may start a session without checking the document: no condition requires it"
        return warning(name, text, CONDITION)
    if isinstance(attempt.obstacle, Unknown) and target is not None:
        return unknown(
            name, attempt.obstacle.reason, f"ssmgate check --target {shlex.quote(target)}"
        )
    if target is None:
        text = "unknown without a node: name one that you use"
        return unknown(name, text, "ssmgate doctor --target i-0123456789abcdef0")
    return ok(name, f"{target} is denied in any case")


def imaginary_target(iam: Any, builder: QuestionBuilder, target: str) -> TargetAttempt:
    """Simulate a node that does not exist, without tags, with both values of the check's key."""
    answers: list[Denial | Unknown | None] = []
    for check in (True, False):
        question = builder.target(target, document_access_check=check)
        if question is None:
            raise ValueError(target)
        answers.append(_answer(iam, question))
    with_key, without = answers
    if with_key is not None or isinstance(without, Unknown):
        return TargetAttempt(with_key or without)
    return TargetAttempt(None, demanded=without is not None)


def _answer(iam: Any, question: Question) -> Denial | Unknown | None:
    evaluations = simulate.simulate(iam, question, datetime.now(UTC))
    if isinstance(evaluations, Unknown):
        return evaluations
    obstacle = decide_about(question, evaluations)
    if isinstance(obstacle, Denial):
        return unless_unknown(obstacle, unknown_keys(question, obstacle.missing_context))
    return obstacle


def session_arn(builder: QuestionBuilder) -> str:
    """Return the ARN of a session that the caller could have started.

    A session's ID begins with the name of the user or of the role session.
    """
    caller = builder.caller
    name = caller.caller_arn.rpartition("/")[2]
    return f"arn:{builder.partition}:ssm:{builder.region}:{caller.account}:session/{name}-0abcdef0"


def data_channel(iam: Any, builder: QuestionBuilder, plugin: Callable[[], Plugin | None]) -> Result:
    """Check ssmmessages:OpenDataChannel. `plugin` waits for the plugin, which may not need it.

    Older documentation of AWS allows it for the ARNs of sessions, but the action has no resource
    types: it is not known whether such a statement is enough.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsessionmanagermessagegatewayservice.html
    """
    name = "data channel"
    question = builder.data_channel()
    answer = _answer(iam, question)
    if isinstance(answer, Denial):
        other = _answer(iam, replace(question, resource_arn=session_arn(builder)))
        if other is None:
            text = f"{DATA_CHANNEL_ACTION} is allowed on sessions only, which may not be enough"
            return unknown(name, text, statement(DATA_CHANNEL_ACTION, "*"))
    match answer:
        case None:
            return ok(name, f"{DATA_CHANNEL_ACTION} is allowed")
        case Denial():
            found = plugin()
            result = warning if found is not None and not found.signs_channel else problem
            text = f"{DATA_CHANNEL_ACTION} is denied ({answer.layer.value})"
            return result(name, text, statement(DATA_CHANNEL_ACTION, "*"))
    return not_simulated(name, answer)


def termination(iam: Any, builder: QuestionBuilder) -> Result:
    """Check ssm:TerminateSession on the caller's own sessions.

    ssmgate ends a session with it that no plugin could take over.
    """
    name, caller = "termination", builder.caller
    arn = session_arn(builder)
    question = replace(builder.data_channel(), action=TERMINATE_ACTION, resource_arn=arn)
    question = question.with_context(
        (ContextEntry("aws:ResourceAccount", "string", (caller.account,)),)
    )
    answer = _answer(iam, question)
    match answer:
        case None:
            return ok(name, f"{TERMINATE_ACTION} is allowed")
        case Denial() if any(map(is_resource_tag, answer.missing_context)):
            return unknown(name, f"{TERMINATE_ACTION} depends on the tags of the session")
        case Denial():
            text = f"{TERMINATE_ACTION} is denied: a failed start leaves its session open"
            own = arn.removesuffix("0abcdef0") + "*"
            return warning(name, text, statement(TERMINATE_ACTION, own))
    return not_simulated(name, answer)


def not_simulated(name: str, why: Unknown) -> Result:
    """Return the result of the check `name` if IAM's answer is unknown."""
    if why.reason_code is Reason.NOT_ALLOWED_TO_SIMULATE:
        return not_checked(name, "simulation")
    return unknown(name, why.reason, "ssmgate doctor" if why.reason_code in _AGAIN else "")


_AGAIN = (Reason.TIMED_OUT, Reason.UNREACHABLE, Reason.THROTTLED)
"""With these reasons another try may have an answer."""
