"""Wildcards, ARNs part by part, and action names."""

import pytest

from ssmgate.gate.decision.wildcards import Wildcard, like
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.patterns import (
    Cover,
    PolicyKind,
    action_matches,
    arn_like,
    check_action,
    check_arn_pattern,
    check_resource,
    resource_matches,
    split_arn,
)
from ssmgate.policy_language.variables import Version, parse_template

C, N, A, U = Cover.COVERED, Cover.NOT_COVERED, Cover.AMBIGUOUS, Cover.UNRESOLVED


def pattern(text):
    resolved = parse_template(text, Version.V2012).resolve(Context())
    assert resolved is not None
    return resolved


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_String
# The rows with brackets, backslashes, newlines and characters beyond U+FFFF are what the real
# simulator answered: radkawar/stackd@9dc356f5 testdata/aws/iam/condition_strings.json.
@pytest.mark.parametrize(
    ("wildcards", "text", "matches"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("?", "", False),
        ("a*b", "ab", True),
        ("a*b", "a/b", True),
        ("a*b", "abc", False),
        ("a?b", "a:b", True),
        ("a?b", "ab", False),
        ("a?*b", "ab", False),
        ("*a*a*", "banana", True),
        ("*ab", "aab", True),
        ("*ab*cd*ab", "ababcdcdab", True),
        ("a", "A", False),
        ("a[b]", "ab", False),
        ("a[b]", "a[b]", True),
        ("a\\*b", "a*b", False),
        ("a.b", "axb", False),
        ("a*b", "a\nb", True),
        ("a?b", "a\nb", True),
        ("?", "\U00010400", False),
        ("??", "\U00010400", True),
        ("*?", "\U00010400", True),
        ("\U00010400?", "\U00010400x", True),
        ("\U00010400?", "\U00010400\U00010428", False),
    ],
)
def test_matches_wildcards(wildcards, text, matches):
    assert like(pattern(wildcards), text) is matches


def test_many_stars_match_in_linear_time():
    assert not like(pattern("*a" * 40 + "b"), "a" * 4000)


ARN = "arn:aws:ssm:us-east-1:111122223333:document/Shell"
AWS_OWNED = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
# and, for the ARN operators, …/reference_policies_elements_condition_operators.html#Conditions_ARN
@pytest.mark.parametrize(
    ("wildcards", "arn", "matches"),
    [
        pytest.param("*", ARN, True, id="everything"),
        pytest.param(ARN, ARN, True, id="itself"),
        pytest.param("arn:*:*:*:*:*", ARN, True, id="every part"),
        pytest.param("arn:aws:ssm:*:*:document/*", ARN, True, id="any account"),
        pytest.param("arn:aws:ssm:*:*:document/AWS-*", AWS_OWNED, True, id="empty account"),
        pytest.param("arn:aws:ssm:*::document/AWS-*", AWS_OWNED, True, id="none wanted"),
        pytest.param("arn:aws:ssm:*:?*:document/AWS-*", AWS_OWNED, False, id="one wanted"),
        pytest.param("arn:aws:ssm:*:111122223333:document/AWS-*", AWS_OWNED, False, id="another"),
        pytest.param("arn:aws:ssm:*:*:Document/*", ARN, False, id="case is significant"),
        pytest.param("arn:aws-cn:ssm:*:*:document/*", ARN, False, id="partition"),
        pytest.param("arn:aws:ssm*:document/*:x:y:z", ARN, False, id="star stops at a colon"),
        pytest.param("arn:aws:s3:::b/f/*/o", "arn:aws:s3:::b/f/a:b/o", True, id="colon in part 6"),
        pytest.param("arn:aws:s3:::b/f/*/o", "arn:aws:s3:::b/f/a/b/o", True, id="slash in part 6"),
        pytest.param("arn:aws:s3:::b/f/*/o", "arn:aws:s3:::b/f/a/o/c", False, id="to the end"),
        pytest.param(
            "arn:aws:someservice:*:111122223333:finance/*",
            "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
            False,
            id="the documentation's ArnLike example",
        ),
        pytest.param("arn:aws:ssm:*", ARN, None, id="too few parts to decide"),
    ],
)
def test_matches_arns_part_by_part(wildcards, arn, matches):
    assert arn_like(pattern(wildcards), arn) is matches


@pytest.mark.parametrize(
    "text", ["", "*", "arn", "arn:aws:ssm:us-east-1:document/x", "arn:aws:ssm:::", "x:a:b:c:d:e"]
)
def test_rejects_invalid_arn(text):
    assert split_arn(text) is None


def test_last_part_of_arn_keeps_its_colons():
    assert split_arn("arn:a:b:c:d:e:f") == ["arn", "a", "b", "c", "d", "e:f"]


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        pytest.param("arn:aws:ssm:*:*:document/${ssm:Name}", C, id="variable"),
        pytest.param("arn:aws:ssm:*:*:document/${ssm:Absent}", U, id="no value"),
        pytest.param("arn:aws:ssm:*:*:document/${ssm:Absent, 'Shell'}", C, id="default"),
        pytest.param("arn:aws:ssm:${aws:Region}:*:document/*", U, id="before the fifth colon"),
        pytest.param("arn:aws:ssm:*:*:document/${ssm:Star}", N, id="a value's star is a star"),
    ],
)
def test_substitutes_variables_in_resource(text, covered):
    context = Context({"ssm:Name": "Shell", "ssm:Star": "*", "aws:Region": "us-east-1"})
    assert resource_matches(text, Version.V2012, ARN, context) is covered


def test_value_with_colons_is_not_split():
    context = Context({"aws:userid": "AROAEXAMPLE:alice"})
    session = "arn:aws:ssm:us-east-1:111122223333:session/AROAEXAMPLE:alice-0a1b"
    text = "arn:aws:ssm:*:*:session/${aws:userid}-*"
    assert resource_matches(text, Version.V2012, session, context) is Cover.COVERED


def test_only_star_matches_unspecified_resource():
    assert resource_matches("*", Version.V2012, "*", Context()) is Cover.COVERED
    assert resource_matches("arn:*:*:*:*:*", Version.V2012, "*", Context()) is Cover.NOT_COVERED


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
@pytest.mark.parametrize(
    ("text", "action", "matches"),
    [
        ("*", "ssm:StartSession", True),
        ("ssm:*", "ssm:StartSession", True),
        ("ssm:*", "ssmmessages:OpenDataChannel", False),
        ("ssm:Start*", "ssm:StartSession", True),
        ("ssm:StartSessio?", "ssm:StartSession", True),
        ("SSM:startsession", "ssm:StartSession", True),
        ("ssm:StartSession", "SSM:STARTSESSION", True),
        ("iam:*AccessKey*", "iam:ListAccessKeys", True),
        ("ssm:StartSession", "ssm:StartSessions", False),
    ],
)
def test_matches_actions(text, action, matches):
    assert action_matches(text, action) is matches


@pytest.mark.parametrize(
    "text", ["", "ssm", "ssm:", ":StartSession", "ssm:Start:Session", "*:StartSession", "ss?:*"]
)
def test_rejects_invalid_action(text):
    with pytest.raises(PolicyError, match="action"):
        check_action(text)


@pytest.mark.parametrize(
    "text", ["", "document/x", "arn:aws", "*:aws:ssm:*:*:x", "${ssm:Arn}", "arn", "aws:ssm"]
)
def test_rejects_invalid_resource(text):
    with pytest.raises(PolicyError, match="ARN format"):
        check_resource(text, Version.V2012)


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
@pytest.mark.parametrize(
    ("text", "identity", "service_control"),
    [
        ("arn:aws:ssm", C, A),
        ("arn:aws:ssm:*", C, C),
        ("arn:aws:ssm:us-east-1", C, A),
        ("arn:aws:ssm:us-east-1:*", C, C),
        ("arn:aws:ssm:us-east-1:111122223333", C, A),
        ("arn:aws:ssm:us-east-1:1111*", C, C),
        ("arn:aws:ssm:eu-*", N, N),
        ("arn:aws:ssm:us-east-1:999999999999", N, N),
        ("arn:aws:ec2", N, N),
        ("arn:aws:ec2:*", N, N),
        # The `*` of the region may match beyond it, or the missing name is `*`.
        ("arn:aws:ssm:*:document/Shell", A, A),
        ("arn:aws:ssm:*:document/Other", N, N),
    ],
)
def test_completes_incomplete_arns(text, identity, service_control):
    for kind, expected in (
        (PolicyKind.IDENTITY, identity),
        (PolicyKind.SERVICE_CONTROL, service_control),
    ):
        check_resource(text, Version.V2012, kind)
        assert resource_matches(text, Version.V2012, ARN, Context(), kind) is expected


def test_incomplete_arn_is_invalid_in_session_policy():
    with pytest.raises(PolicyError, match="ARN format"):
        check_resource("arn:aws:ssm:*", Version.V2012, PolicyKind.SESSION)


@pytest.mark.parametrize("text", ["", "not-an-arn", "arn:aws:ssm", "a:b:c:d:e:f"])
def test_rejects_pattern_that_is_not_arn(text):
    with pytest.raises(PolicyError, match="ARN format"):
        check_arn_pattern(text, Version.V2012)


def test_arn_operator_may_use_variable():
    check_arn_pattern("${aws:PrincipalTag/arn}", Version.V2012)
    with pytest.raises(PolicyError, match="ARN format"):
        check_arn_pattern("${aws:PrincipalTag/arn}", Version.V2008)


def test_single_star_is_one_piece():
    assert pattern("*") == (Wildcard.ANY,)
