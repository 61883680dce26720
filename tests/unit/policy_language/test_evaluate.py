"""Layers and decisions, after
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json

import pytest

from ssmgate.policy_language import (
    Cause,
    Context,
    EvalDecision,
    Layer,
    Outcome,
    Policies,
    Request,
    evaluate,
    parse_policy,
)

DOC = "arn:aws:ssm:us-east-1:111122223333:document/Shell"
NODE = "arn:aws:ec2:us-east-1:111122223333:instance/i-02573cafcfEXAMPLE"
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY = ALLOW | {"Effect": "Deny"}
ONLY_NODES = ALLOW | {"Resource": "arn:aws:ec2:*:*:instance/*"}


def policy(*statements, name=""):
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return parse_policy(text, name)


def ask(policies, resource=DOC, action="ssm:StartSession", **context):
    return evaluate(Request(action, resource, Context(context)), policies)


ALLOWS, LACKS = policy(ALLOW, name="allows"), policy(ONLY_NODES, name="lacks")
DENIES = policy(DENY, name="denies")


@pytest.mark.parametrize(
    ("policies", "decision", "layer", "boundary", "organizations"),
    [
        pytest.param(Policies(), "implicitDeny", Layer.IDENTITY, None, None, id="nothing"),
        pytest.param(Policies((ALLOWS,)), "allowed", Layer.IDENTITY, None, None, id="identity"),
        pytest.param(Policies((LACKS,)), "implicitDeny", Layer.IDENTITY, None, None, id="none"),
        pytest.param(
            Policies((ALLOWS, DENIES)), "explicitDeny", Layer.IDENTITY, None, None, id="deny first"
        ),
        pytest.param(
            Policies((DENIES,)), "explicitDeny", Layer.IDENTITY, None, None, id="deny alone"
        ),
        pytest.param(
            Policies((ALLOWS,), ALLOWS), "allowed", Layer.IDENTITY, True, None, id="boundary"
        ),
        pytest.param(
            Policies((ALLOWS,), LACKS),
            "implicitDeny",
            Layer.BOUNDARY,
            False,
            None,
            id="boundary lacks",
        ),
        pytest.param(
            Policies((ALLOWS,), DENIES),
            "explicitDeny",
            Layer.BOUNDARY,
            False,
            None,
            id="boundary deny",
        ),
        pytest.param(
            Policies((LACKS,), ALLOWS),
            "implicitDeny",
            Layer.IDENTITY,
            True,
            None,
            id="never grants",
        ),
        pytest.param(
            Policies((ALLOWS,), None, ((ALLOWS,), (ALLOWS,))),
            "allowed",
            Layer.IDENTITY,
            None,
            True,
            id="every level",
        ),
        pytest.param(
            Policies((ALLOWS,), None, ((ALLOWS,), (LACKS,), (ALLOWS,))),
            "implicitDeny",
            Layer.ORGANIZATIONS,
            None,
            False,
            id="one level lacks",
        ),
        pytest.param(
            Policies((ALLOWS,), None, ((ALLOWS,), ())),
            "implicitDeny",
            Layer.ORGANIZATIONS,
            None,
            False,
            id="a level without policies",
        ),
        pytest.param(
            Policies((ALLOWS,), None, ((LACKS, ALLOWS),)),
            "allowed",
            Layer.IDENTITY,
            None,
            True,
            id="one policy of a level is enough",
        ),
        pytest.param(
            Policies((ALLOWS,), None, ((ALLOWS, DENIES), (ALLOWS,))),
            "explicitDeny",
            Layer.ORGANIZATIONS,
            None,
            False,
            id="a level denies",
        ),
        pytest.param(
            Policies((LACKS,), None, ((ALLOWS,),)),
            "implicitDeny",
            Layer.IDENTITY,
            None,
            True,
            id="levels never grant",
        ),
        pytest.param(
            Policies((ALLOWS,), ALLOWS, ((ALLOWS,),)),
            "allowed",
            Layer.IDENTITY,
            True,
            True,
            id="all three",
        ),
        pytest.param(
            Policies((ALLOWS,), DENIES, ((LACKS,),)),
            "explicitDeny",
            Layer.BOUNDARY,
            False,
            False,
            id="explicit before implicit",
        ),
    ],
)
def test_each_layer_decides(policies, decision, layer, boundary, organizations):
    found = ask(policies)
    assert found.eval_decision is EvalDecision(decision)
    assert found.decided_by is layer
    assert found.allowed_by_permissions_boundary is boundary
    assert found.allowed_by_organizations is organizations


class TestMatchedStatements:
    """Recorded of the simulator: aws-cli against IAM, radkawar/stackd@9dc356f5
    testdata/aws/iam/simulation.json and conditions.json.
    """

    def names(self, policies, **more):
        return [one.policy.source_policy_id for one in ask(policies, **more).matched_statements]

    def test_lists_all_allowing_statements(self):
        assert self.names(Policies((ALLOWS, LACKS, policy(ALLOW, name="too")))) == ["allows", "too"]

    def test_does_not_list_allowing_boundary(self):
        assert self.names(Policies((ALLOWS,), policy(ALLOW, name="boundary"))) == ["allows"]

    def test_explicit_deny_lists_only_denying_statements(self):
        assert self.names(Policies((ALLOWS, DENIES))) == ["denies"]
        assert self.names(Policies((ALLOWS,), DENIES)) == ["denies"]
        found = ask(Policies((DENIES,), DENIES))
        layers = [found.layer_of(one) for one in found.matched_statements]
        assert layers == [Layer.IDENTITY, Layer.BOUNDARY]

    def test_implicit_deny_lists_no_statements(self):
        assert self.names(Policies((ALLOWS,), LACKS)) == []
        assert self.names(Policies((LACKS,))) == []

    def test_service_control_policy_deny_has_no_statement(self):
        found = ask(Policies((ALLOWS,), None, ((ALLOWS, DENIES),)))
        assert found.eval_decision is EvalDecision.EXPLICIT_DENY
        assert found.matched_statements == ()
        assert found.allowed_by_organizations is False

    def test_positions_refer_to_policy_text(self):
        (found,) = ask(Policies((LACKS, ALLOWS))).matched_statements
        assert found.statement is ALLOWS.statements[0]
        assert found.policy is ALLOWS


CONDITION = {"StringEquals": {"stack:missing": "yes"}}
GET = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
PUT = GET | {"Action": "s3:PutObject"}


class TestMissingContextValues:
    """Recorded: simulation.json, cases missing_…"""

    @pytest.mark.parametrize(
        ("statements", "decision", "missing"),
        [
            pytest.param([GET | {"Condition": CONDITION}], "implicitDeny", True, id="key"),
            pytest.param([PUT | {"Condition": CONDITION}], "implicitDeny", True, id="other action"),
            pytest.param([GET, PUT | {"Condition": CONDITION}], "allowed", False, id="allowed"),
            pytest.param(
                [GET | {"Resource": "arn:aws:s3:::bucket/b", "Condition": CONDITION}],
                "implicitDeny",
                True,
                id="other resource",
            ),
            pytest.param(
                [GET | {"Effect": "Deny", "Condition": CONDITION}],
                "implicitDeny",
                True,
                id="in a deny",
            ),
            pytest.param(
                [GET, GET | {"Effect": "Deny", "Condition": CONDITION}],
                "allowed",
                False,
                id="in a deny, allowed",
            ),
            pytest.param(
                [GET | {"Effect": "Deny"}, GET | {"Condition": CONDITION}],
                "explicitDeny",
                False,
                id="explicit deny",
            ),
            *(
                pytest.param(
                    [GET | {"Condition": {operator: {"stack:missing": value}}}],
                    decision,
                    decision != "allowed",
                    id=operator + value,
                )
                for operator, value, decision in [
                    ("StringEqualsIfExists", "yes", "allowed"),
                    ("StringNotEqualsIfExists", "yes", "allowed"),
                    ("StringNotEquals", "yes", "allowed"),
                    ("Null", "true", "allowed"),
                    ("Null", "false", "implicitDeny"),
                    ("ForAllValues:StringEquals", "yes", "allowed"),
                    ("ForAnyValue:StringEquals", "yes", "implicitDeny"),
                ]
            ),
        ],
    )
    def test_matches_recorded_answers(self, statements, decision, missing):
        found = ask(Policies((policy(*statements),)), "arn:aws:s3:::bucket/a", "s3:GetObject")
        assert found.eval_decision is EvalDecision(decision)
        assert found.missing_context_values == (("stack:missing",) if missing else ())

    @pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject"])
    def test_missing_variables_are_listed(self, action):
        statement = GET | {"Resource": "arn:aws:s3:::bucket/${aws:username}"}
        found = ask(Policies((policy(statement),)), "arn:aws:s3:::bucket/a", action)
        assert found.eval_decision is EvalDecision.IMPLICIT_DENY
        assert found.missing_context_values == ("aws:username",)

    def test_present_keys_are_not_listed_in_any_case(self):
        statement = GET | {"Condition": {"StringEquals": {"stack:Key": "yes", "stack:Other": "x"}}}
        found = ask(
            Policies((policy(statement),)),
            "arn:aws:s3:::bucket/a",
            "s3:GetObject",
            **{"STACK:key": "lacks"},
        )
        assert found.missing_context_values == ("stack:Other",)

    def test_lists_keys_of_boundary_and_not_of_organization(self):
        conditioned = policy(ALLOW | {"Condition": {"StringEquals": {"a:boundary": "x"}}})
        level = policy(ALLOW | {"Condition": {"StringNotEquals": {"a:scp": "x"}}})
        found = ask(Policies((ALLOWS,), conditioned, ((level,),)))
        assert found.missing_context_values == ("a:boundary",)


class TestResourceTypes:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
    A resource of another type is an implicit deny even under Allow *: recorded of iam:GetUser and
    an S3 ARN (simulation.json, cases pagination_…).
    """

    @pytest.mark.parametrize(
        ("action", "resource", "decision"),
        [
            ("ssm:StartSession", DOC, "allowed"),
            ("ssm:StartSession", "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession", "allowed"),
            ("ssm:StartSession", NODE, "allowed"),
            ("ssm:StartSession", "arn:aws:ssm:r:1:managed-instance/mi-1", "allowed"),
            ("ssm:StartSession", "arn:aws:ecs:r:1:task/cluster/1", "allowed"),
            ("ssm:StartSession", "*", "allowed"),
            ("SSM:STARTSESSION", DOC, "allowed"),
            ("ssm:StartSession", "arn:aws:ssm:r:1:instance/i-1", "implicitDeny"),
            ("ssm:StartSession", "arn:aws:ecs:r:1:cluster/c", "implicitDeny"),
            ("ssm:StartSession", "arn:aws:ssm:r:1:session/alice-1", "implicitDeny"),
            ("ssm:StartSession", "arn:aws:s3:::document/x", "implicitDeny"),
            ("SSM:STARTSESSION", "arn:aws:ssm:r:1:session/alice-1", "implicitDeny"),
            ("ssm:TerminateSession", "arn:aws:ssm:r:1:session/alice-1", "allowed"),
            ("ssm:DescribeSessions", "*", "allowed"),
            ("ssm:DescribeSessions", DOC, "implicitDeny"),
            ("iam:GetUser", "arn:aws:s3:::bucket/a", "implicitDeny"),
            ("s3:GetObject", "arn:aws:iam::1:user/fictional", "implicitDeny"),
            ("iam:GetUser", "arn:aws:iam::1:user/p/alice", "allowed"),
            ("nosuch:Action", DOC, "allowed"),
        ],
    )
    def test_resource_must_have_type_of_action(self, action, resource, decision):
        found = ask(Policies((ALLOWS,)), resource, action)
        assert found.eval_decision is EvalDecision(decision)
        if decision == "implicitDeny":
            assert found.decided_by is Layer.RESOURCE_TYPE
            assert found.matched_statements == ()

    def test_allow_is_available_for_explanation(self):
        found = ask(Policies((ALLOWS,)), "arn:aws:ssm:r:1:instance/i-1")
        assert found.layers[0].allows


class TestNearMisses:
    """Each element is matched independently of the others."""

    def test_finds_statement_that_differs_in_one_element(self):
        condition = {
            "Bool": {"ssm:SessionDocumentAccessCheck": "true"},
            "StringEquals": {"ssm:resourceTag/Team": "ops"},
        }
        statement = {
            "Effect": "Allow",
            "Action": ["ssm:Get*", "ssm:Start*"],
            "Resource": "arn:aws:ssm:*:*:document/Other",
            "Condition": condition,
        }
        found = ask(Policies((policy(statement),)), **{"ssm:SessionDocumentAccessCheck": "true"})
        (match,) = found.layers[0].statements
        assert not match.applies
        assert (match.action.element, match.action.outcome) == ("Action", Outcome.MATCHED)
        assert match.action.text == "ssm:Start*"
        assert (match.resource.outcome, match.resource.text) == (Outcome.NOT_MATCHED, None)
        assert [(one.condition.key, one.outcome, one.cause) for one in match.conditions] == [
            ("ssm:SessionDocumentAccessCheck", Outcome.MATCHED, Cause.VALUE_EQUAL),
            ("ssm:resourceTag/Team", Outcome.NOT_MATCHED, Cause.KEY_ABSENT),
        ]

    def test_not_element_excludes_values(self):
        statement = {"Effect": "Allow", "NotAction": ["iam:*", "ssm:*"], "NotResource": [DOC]}
        (match,) = ask(Policies((policy(statement),))).layers[0].statements
        assert (match.action.element, match.action.text) == ("NotAction", "ssm:*")
        assert (match.resource.element, match.resource.text) == ("NotResource", DOC)
        assert match.outcome is Outcome.NOT_MATCHED


class TestUndefined:
    """A statement whose match is undefined never contributes to an allow."""

    @pytest.mark.parametrize(
        "element",
        [
            {"NotResource": "arn:aws:ssm:*:*:document/${aws:username}"},
            {"NotResource": ["arn:aws:ec2:*:${aws:PrincipalAccount}:instance/*"]},
            {"Resource": "*", "Condition": {"ArnNotLike": {"aws:PrincipalArn": "${a:junk}"}}},
        ],
    )
    def test_undefined_statement_denies_and_does_not_allow(self, element):
        context = {"aws:PrincipalArn": "arn:aws:iam::1:user/alice", "a:junk": "not-an-arn"}
        allow = policy({"Effect": "Allow", "Action": "*", **element})
        deny = policy({"Effect": "Deny", "Action": "*", **element})
        allowed = ask(Policies((allow,)), **context)
        assert allowed.eval_decision is EvalDecision.IMPLICIT_DENY
        assert allowed.layers[0].statements[0].outcome is Outcome.UNDEFINED
        denied = ask(Policies((ALLOWS, deny)), **context)
        assert denied.eval_decision is EvalDecision.EXPLICIT_DENY

    def test_another_element_decides_undefined_statement(self):
        deny = {"Effect": "Deny", "Action": "iam:*", "NotResource": "arn:a:b:c:d:${e:f}"}
        assert ask(Policies((ALLOWS, policy(deny)))).eval_decision is EvalDecision.ALLOWED


# Recorded: simulation.json, cases action_… and organizations_…
@pytest.mark.parametrize(
    ("action", "decision"),
    [
        ("s3:GetObject", "allowed"),
        ("S3:gEtObJeCt", "allowed"),
        ("s3:*", "implicitDeny"),
        ("s3:", "implicitDeny"),
        ("s3:Get Object", "implicitDeny"),
        ("s3:MadeUp", "implicitDeny"),
        ("madeup:Action", "implicitDeny"),
    ],
)
def test_action_is_matched_literally(action, decision):
    levels = ((ALLOWS,), (LACKS, ALLOWS))
    found = ask(Policies((policy(GET),), None, levels), "*", action)
    assert found.eval_decision is EvalDecision(decision)
    assert found.allowed_by_organizations is True


# Recorded: `The action is invalid since it is missing names`.
@pytest.mark.parametrize("action", ["", "StartSession", ":StartSession"])
def test_request_requires_action(action):
    with pytest.raises(ValueError, match="is not an action"):
        Request(action)


@pytest.mark.parametrize("resource", ["", "Shell", "arn:aws:ssm:us-east-1:document/Shell", "**"])
def test_request_requires_resource(resource):
    # Recorded: `ResourceNames are not in a valid ARN format: X.`
    with pytest.raises(ValueError, match="ARN format"):
        Request("ssm:StartSession", resource)


def test_wildcards_of_request_are_literal():
    everything = "arn:aws:ssm:us-east-1:111122223333:document/*"
    one = policy(ALLOW | {"Resource": DOC})
    assert ask(Policies((one,)), everything).eval_decision is EvalDecision.IMPLICIT_DENY
