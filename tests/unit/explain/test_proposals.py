"""What a report proposes: for denied answers only, and nothing where a deny covers the check."""

import json

import pytest

from ssmgate.explain import proposals
from ssmgate.explain.report import Answer, Report, Verdict
from ssmgate.explain.sources import Sources, parse
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest

ANN = "arn:aws:iam::111122223333:user/ann"
HERE = "us-east-1:111122223333"
SHELL = f"arn:aws:ssm:{HERE}:document/SSM-SessionManagerRunShell"
NODE = f"arn:aws:ec2:{HERE}:instance/i-0123456789abcdef0"
SIMULATE = "iam:SimulatePrincipalPolicy"
CALLER = Caller("111122223333", ANN, ANN, "AIDA", "User", "aws")
CHECK = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}


def about(arn, action="ssm:StartSession", **more):
    return Question.about(
        CALLER, arn, region="us-east-1", secure_transport=True, mfa_done=False, action=action,
        **more,
    )  # fmt: skip


def known(*statements, unread=()):
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=1)
    return Sources((parse(text, "P"),), None, None, unread)


def allow(resource="*", action="ssm:StartSession", **elements):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def answered(arn, verdict, reason):
    return Answer(verdict, reason, "", (about(arn),))


def report(document, target):
    request = SessionRequest("i-0123456789abcdef0", None)
    return Report(request, "us-east-1", CALLER, document, target)


ALLOWED = answered(NODE, Verdict.ALLOWED, Reason.ALLOWED)
DENIED = answered(SHELL, Verdict.DENIED, Reason.IMPLICIT_DENY)


@pytest.mark.parametrize(
    ("operator", "key", "values", "words"),
    [
        ("BoolIfExists", "aws:MultiFactorAuthPresent", "false", "it requires MFA"),
        ("NotIpAddress", "aws:SourceIp", "203.0.113.0/24", "it depends on aws:SourceIp"),
    ],
)
def test_names_deny_that_covers_simulation(operator, key, values, words):
    deny = allow("*", "*", Effect="Deny", Condition={operator: {key: values}})

    why = proposals.simulation_denied(about(ANN, SIMULATE), known(allow("*", "*"), deny))

    assert why.startswith("policy P, line 9 denies iam:SimulatePrincipalPolicy")
    assert words in why


def test_missing_allow_does_not_count_as_denied_simulation():
    assert proposals.simulation_denied(about(ANN, SIMULATE), known(allow())) == ""


def test_only_denied_answers_are_changed():
    policies = known(allow(f"arn:aws:ec2:{HERE}:instance/*")).policies

    remedy = proposals.in_memory(report(DENIED, ALLOWED), policies, "111122223333", lambda _: None)
    shown = proposals.with_remedy(report(DENIED, ALLOWED), remedy)

    assert shown.ask_for == allow(SHELL, Condition=CHECK)
    assert [change.statements for change in shown.changes] == [(shown.ask_for,)]


@pytest.mark.parametrize(
    ("sources", "organizations", "complete"),
    [
        (known(allow(NODE)), None, True),
        (known(allow(NODE)), True, True),
        (known(allow(NODE)), False, False),
        (known(allow(NODE), unread=("the boundary",)), None, False),
        # They allow what IAM denies: something is missing among them.
        (known(allow("*")), None, False),
    ],
)
def test_policies_are_complete_if_they_deny_what_iam_denies(sources, organizations, complete):
    simulated = Evaluation(
        SHELL, EvalDecision.IMPLICIT_DENY, (), (), None, allowed_by_organizations=organizations
    )

    assert proposals.is_complete(report(DENIED, ALLOWED), sources, [simulated]) is complete


def test_target_that_tags_may_close_gets_no_statement():
    target = answered(NODE, Verdict.DENIED, Reason.IMPLICIT_DENY)
    tagged = target.questions[0].with_context(
        [*about(NODE).context, _tag("ssm:resourceTag/Env", "prod")]
    )
    closed = Answer(Verdict.DENIED, Reason.IMPLICIT_DENY, "", (tagged,))
    document = answered(SHELL, Verdict.ALLOWED, Reason.ALLOWED)

    remedy = proposals.with_iam(None, report(document, closed))

    assert remedy.changes == ()
    assert "ssm:resourceTag/Env" in remedy.obstacles[0]


def _tag(key, value):
    from ssmgate.gate.decision.question import ContextEntry

    return ContextEntry(key, "string", (value,))
