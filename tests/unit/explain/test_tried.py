"""What IAM's simulation is asked after a denial, where the caller's policies cannot be read."""

import json
from dataclasses import replace

import pytest

from ssmgate.explain import data_channel, exclusion, tried
from ssmgate.explain.report import Answer, Verdict
from ssmgate.gate.decision.decision import decide_about
from ssmgate.gate.decision.question import ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language import Layer, Policies, parse_policy
from ssmgate.sandbox import simulator

ACCOUNT = "111122223333"
ANN = f"arn:aws:iam::{ACCOUNT}:user/ann"
SHELL = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell"
NODE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-0123456789abcdef0"
SESSION = f"arn:aws:ssm:us-east-1:{ACCOUNT}:session/AIDAX-0123456789abcdef0"
START, CHANNEL = "ssm:StartSession", "ssmmessages:OpenDataChannel"


class Iam:
    """A client of IAM's simulator with the policies of one user; it can exclude policies."""

    def __init__(self, *statements, boundary=None, scp=None, unlisted=()):
        self.layers = Policies(
            (policy(*statements),) if statements else (),
            None if boundary is None else policy(*boundary),
            () if scp is None else ((policy(*scp),),),
        )
        self.asked = []
        self.unlisted = unlisted

    def simulate_principal_policy(self, PolicyExclusionList=(), **request):
        self.asked.append({**request, "PolicyExclusionList": list(PolicyExclusionList)})
        layers = self.layers
        for name in PolicyExclusionList:
            match name["PolicyType"]:
                case "scp":
                    layers = replace(layers, service_control=())
                case "permission-boundary":
                    layers = replace(layers, boundary=None)
                case "inline":
                    layers = replace(layers, identity=())
        if request["ResourceArns"][0] in self.unlisted:
            layers = Policies()
        return simulator.simulate(request, layers, {}, ACCOUNT)


def policy(*statements):
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), "p")


def allow(resource="*", action=START, **elements):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def deny(resource="*", action=START):
    return allow(resource, action, Effect="Deny")


def question(arn=SHELL, action=START):
    entries = (ContextEntry("ssm:SessionDocumentAccessCheck", "boolean", ("true",)),)
    return Question(ANN, arn, entries, action)


@pytest.mark.parametrize(
    ("iam", "lacking", "layers"),
    [
        (Iam(allow(NODE)), Layer.IDENTITY, [Layer.IDENTITY]),
        (Iam(allow(), boundary=[allow(NODE)]), Layer.BOUNDARY, [Layer.BOUNDARY]),
        (Iam(allow(NODE), boundary=[allow(NODE)]), Layer.BOUNDARY,
         [Layer.BOUNDARY, Layer.IDENTITY]),
        (Iam(allow(), scp=[allow(NODE)]), Layer.ORGANIZATIONS, [Layer.ORGANIZATIONS]),
    ],
)  # fmt: skip
def test_tries_statement_in_each_layer_that_lacks_it(iam, lacking, layers):
    remedy = tried.find(iam, [question()], lacking)

    assert [change.layer for change in remedy.changes] == layers
    assert remedy.obstacles == ()
    assert {change.statements[0]["Resource"] for change in remedy.changes} == {SHELL}
    assert len(iam.asked) <= 3


def test_tries_one_statement_for_document_and_target():
    iam = Iam(allow("*", "s3:*"))

    remedy = tried.find(iam, [question(), question(NODE)], Layer.IDENTITY)

    assert remedy.changes[0].statements[0]["Resource"] == [SHELL, NODE]
    assert [len(asked["ResourceArns"]) for asked in iam.asked] == [1, 1]


@pytest.mark.parametrize(
    ("iam", "obstacle"),
    [
        (Iam(deny()), "still explicitly denied"),
        (Iam(boundary=[deny()]), "still explicitly denied"),
        (Iam(scp=[deny()]), "still explicitly denied"),
    ],
)
def test_proposes_no_statement_that_is_not_enough(iam, obstacle):
    remedy = tried.find(iam, [question()], Layer.IDENTITY)

    assert remedy.changes == ()
    assert obstacle in remedy.obstacles[0]


def denied(iam, about):
    evaluation = simulator.simulate(
        {"ActionNames": [about.action], "ResourceArns": [about.resource_arn]},
        iam.layers, {}, ACCOUNT,
    )["EvaluationResults"][0]  # fmt: skip
    explicit = evaluation["EvalDecision"] == "explicitDeny"
    reason = Reason.EXPLICIT_DENY if explicit else Reason.IMPLICIT_DENY
    return Answer(Verdict.DENIED, reason, "", (about,))


@pytest.mark.parametrize(
    ("iam", "words", "calls"),
    [
        (Iam(allow(), scp=[allow("*", "*"), deny()]),
         "service control policies deny it; without them IAM's simulation allows it", 1),
        (Iam(allow(), boundary=[allow("*", "*"), deny()]),
         "the policies of the permissions boundary deny it; without them IAM's simulation", 2),
        (Iam(allow(NODE), scp=[deny()]),
         "service control policies deny it; without them no policy allows it either", 1),
        (Iam(allow(), deny()), "inline policies deny it", 3),
        (Iam(deny(), scp=[deny()]), "", 5),
        (Iam(allow(NODE)), "", 0),
    ],
)  # fmt: skip
def test_names_kind_of_policy_that_denies(iam, words, calls):
    found = exclusion.deciding(iam, denied(iam, question()))

    assert found.startswith(words)
    assert bool(found) is bool(words)
    assert len(iam.asked) == calls


def test_excludes_policies_from_every_simulation():
    registered = {}

    class Client:
        class meta:
            class events:
                register = staticmethod(registered.__setitem__)

    exclusion.exclude(Client, ["boundary", "scp"])

    (add,) = registered.values()
    assert list(registered) == ["provide-client-params.iam.SimulatePrincipalPolicy"]
    assert add(params={"PolicySourceArn": ANN}, model=None) == {
        "PolicySourceArn": ANN,
        "PolicyExclusionList": [{"PolicyType": "permission-boundary"}, {"PolicyType": "scp"}],
    }


def inline(name, kind, entity):
    attached = {"AttachmentType": kind, "AttachmentName": entity}
    return {"InlinePolicyIdentifier": {"PolicyName": name, **attached}}


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("boundary", ANN, {"PolicyType": "permission-boundary"}),
        ("aws-managed", ANN, {"PolicyType": "aws-managed"}),
        ("arn:aws:iam::aws:policy/ReadOnlyAccess", ANN,
         {"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
        ("Sessions", ANN, inline("Sessions", "user", "ann")),
        ("Sessions", ANN, inline("Sessions", "group", "*")),
        ("Sessions", ANN, {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/Sessions"}),
        ("user_ann_My_Sessions", ANN, inline("My_Sessions", "user", "ann")),
        ("group_Ops_All_Nodes", ANN, inline("All_Nodes", "group", "Ops")),
        ("group_Ops_All_Nodes", ANN, inline("Nodes", "group", "Ops_All")),
        ("Sessions", f"arn:aws:iam::{ACCOUNT}:role/team/Ops", inline("Sessions", "role", "Ops")),
    ],
)  # fmt: skip
def test_identifies_policy_by_type_arn_or_name(name, source, expected):
    assert expected in list(exclusion.identifiers(name, source))


def channel_answer(iam):
    def answer_to(about):
        from ssmgate.explain import reasons
        from ssmgate.gate.aws import simulate

        evaluations = simulate.evaluations_of(
            iam.simulate_principal_policy(
                ActionNames=[about.action], ResourceArns=[about.resource_arn]
            ),
            about.resource_arn,
            about.action,
        )
        return reasons.answer(decide_about(about, evaluations), (about,), evaluations)

    return answer_to


@pytest.mark.parametrize(
    ("iam", "expected"),
    [
        (Iam(allow("*", CHANNEL)), Verdict.ALLOWED),
        (Iam(allow("*", "*"), unlisted=(SESSION,)), Verdict.ALLOWED),
        (Iam(allow("arn:aws:ssm:*:*:session/*", CHANNEL)), Verdict.UNKNOWN),
        (Iam(allow("*", "*"), deny("arn:aws:ssm:*:*:session/*", CHANNEL)), Verdict.UNKNOWN),
        (Iam(allow(NODE)), Verdict.DENIED),
        (Iam(allow("*", "*"), deny("*", CHANNEL)), Verdict.DENIED),
        # IAM's simulation does not evaluate the session: it may be allowed.
        (Iam(allow("arn:aws:ssm:*:*:session/*", CHANNEL), unlisted=(SESSION,)), Verdict.UNKNOWN),
    ],
)
def test_simulates_data_channel_with_both_resources(iam, expected):
    asked = (question("*", CHANNEL), question(SESSION, CHANNEL))

    def placeable(about):
        return about.resource_arn not in iam.unlisted

    answer = data_channel.combined(asked, channel_answer(iam), placeable)

    assert answer.verdict is expected
    if expected is Verdict.UNKNOWN:
        assert answer.reason_code == Reason.DOCUMENTATION_DIFFERS
        assert "Service Authorization Reference" in answer.reason


@pytest.mark.parametrize(
    ("iam", "evaluated"),
    [
        (Iam(allow(NODE)), True),
        (Iam(allow(NODE), boundary=[allow(NODE)]), True),
        (Iam(deny("*", CHANNEL)), True),
    ],
)
def test_recognises_resource_that_iam_evaluates(iam, evaluated):
    assert exclusion.is_evaluated(iam, question(SESSION, CHANNEL)) is evaluated


def test_recognises_resource_that_iam_does_not_evaluate():
    parameter = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/a"

    assert not exclusion.is_evaluated(Iam(allow()), question(parameter))
