"""`policy check`: answers of the local evaluator, and what they depend on."""

import json
from pathlib import Path

import pytest

from ssmgate.commands.policy_check import split
from ssmgate.explain import offline
from ssmgate.explain.report import Verdict
from ssmgate.explain.sources import parse
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.question import ContextEntry
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.policy_language import PolicyKind

DIRECTORY = Path(__file__).parents[1] / "policy_language" / "documented"
EXPECTED = json.loads((DIRECTORY / "expected.json").read_text())["decisions"]
NODE = "i-02573cafcfEXAMPLE"
ROLE = "arn:aws:iam::111122223333:role/team/Ops"
DOCUMENTS = {
    2: None,
    3: "AWS-StartSSHSession",
    4: "AWS-StartPortForwardingSession",
    5: "exampleAllowedSessionDocument",
}
TAGS = tuple(map(offline.entry, ("ssm:resourceTag/Finance=WebServers", "ssm:resourceTag/Team=ops")))
NO_TAGS = tuple(offline.entry(f"{tag.key_name}=") for tag in TAGS)
VERDICTS = {
    "allowed": Verdict.ALLOWED,
    "implicitDeny": Verdict.DENIED,
    "explicitDeny": Verdict.DENIED,
}


def scenario(document=None, context=(), caller=ROLE, target=NODE, **more):
    return offline.Scenario(
        SessionRequest(target, document), "us-east-1", offline.parse_caller(caller), context, **more
    )


def policy_files(*statements, **layers):
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return offline.PolicyFiles((parse(text, "p.json"),), **layers)


def allow(resource="*", **elements):
    return {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": resource, **elements}


def when(operator, key, value):
    return {"Condition": {operator: {key: value}}}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("column", DOCUMENTS)
def test_each_documented_policy_has_its_answer(name, column):
    policies = offline.PolicyFiles((parse((DIRECTORY / name).read_text(), name),))

    asked = scenario(DOCUMENTS[column], TAGS, document_context=NO_TAGS)
    report = offline.check(policies, asked)

    assert report.document.verdict is VERDICTS[EXPECTED[name][column]]
    assert report.target.verdict is VERDICTS[EXPECTED[name][0]]
    if report.target.verdict is Verdict.ALLOWED:
        assert report.target.enforced is (EXPECTED[name][1] != "allowed")
    for answer in (report.document, report.target):
        if answer.verdict is not Verdict.ALLOWED:
            assert answer.advice


MFA = "aws:MultiFactorAuthPresent"
NEEDS_MFA = allow(**when("Bool", MFA, "true"))
NO_MFA_DENIED = allow(Effect="Deny", **when("BoolIfExists", MFA, "false"))


@pytest.mark.parametrize(
    ("statements", "context", "document", "target"),
    [
        ([NEEDS_MFA], [], "unknown", "unknown"),
        ([NEEDS_MFA], [f"{MFA}=true"], "allowed", "allowed"),
        ([NEEDS_MFA], [f"{MFA}=false"], "denied", "denied"),
        ([NEEDS_MFA], [f"{MFA}="], "denied", "denied"),
        ([allow(), NO_MFA_DENIED], [], "unknown", "unknown"),
        ([allow(), NO_MFA_DENIED], [f"{MFA}=true"], "allowed", "allowed"),
        ([allow(), NO_MFA_DENIED], [f"{MFA}="], "denied", "denied"),
        ([allow(), NO_MFA_DENIED, allow(Effect="Deny")], [], "denied", "denied"),
        # Two keys at once, of which one is known not to match.
        ([allow(Condition={"Bool": {MFA: "true"}, "StringEquals": {"aws:userid": "x"}})],
         [f"{MFA}=false"], "denied", "denied"),
        # A unique id is unknown offline.
        ([allow(**when("StringEquals", "aws:userid", "AIDAX"))], [], "unknown", "unknown"),
        # A document does not have the node's tags, and may have its own.
        ([allow(**when("StringEquals", "ssm:resourceTag/T", "a"))], [], "unknown", "unknown"),
        ([allow(**when("StringEquals", "ssm:resourceTag/T", "a"))],
         ["ssm:resourceTag/T=a"], "unknown", "allowed"),
        ([allow(**when("StringEquals", "aws:ResourceTag/T", "a"))],
         ["aws:resourcetag/t=b"], "unknown", "denied"),
        # A key that is absent for this caller or this action.
        ([allow(**when("StringEquals", "aws:username", "ann"))], [], "denied", "denied"),
        ([allow(), allow(Effect="Deny", **when("StringLike", "aws:CalledVia", "*"))],
         [], "allowed", "allowed"),
        ([allow(**when("StringEquals", "ec2:ResourceTag/T", "a"))], [], "denied", "denied"),
        ([allow(**when("StringEquals", "ssm:resourceTags/T", "a"))], [], "denied", "denied"),
        # A variable without a value, in a condition and in a Resource.
        ([allow(**when("StringEquals", "ssm:resourceTag/T", "${aws:PrincipalTag/T}"))],
         ["ssm:resourceTag/T=a"], "unknown", "unknown"),
        ([allow(**when("StringEquals", "ssm:resourceTag/T", "${aws:PrincipalTag/T}"))],
         ["ssm:resourceTag/T=a", "aws:PrincipalTag/T=a"], "unknown", "allowed"),
        ([allow(), allow(Effect="Deny", **when("StringNotEqualsIfExists", "aws:ResourceOrgID",
                                               "${aws:PrincipalOrgID}"))],
         [], "unknown", "unknown"),
        ([allow("arn:aws:ssm:*:*:document/${aws:PrincipalTag/T}"), allow("arn:aws:ec2:*:*:*")],
         [], "unknown", "allowed"),
        ([allow("arn:aws:ssm:*:*:document/${aws:PrincipalTag/T}-x"), allow("arn:aws:ec2")],
         [], "denied", "allowed"),
        # A deny that may apply.
        ([allow(), allow(Effect="Deny", **when("Bool", MFA, "false"))], [], "unknown", "unknown"),
        # Incomplete ARNs.
        ([allow(["arn:aws:ssm", "arn:aws:ec2:us-east-1:*"])], [], "allowed", "allowed"),
        ([allow("arn:aws:ssm:*:document/SSM-SessionManagerRunShell")], [], "unknown", "denied"),
        ([allow(**when("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", "o/r/a"))],
         ['aws:PrincipalOrgPaths=["o/r/a", "o/r/b"]'], "allowed", "allowed"),
        # Given context overrides assumed context.
        ([allow(**when("StringEquals", "aws:RequestedRegion", "us-east-1"))],
         [], "allowed", "allowed"),
        ([allow(**when("StringEquals", "aws:RequestedRegion", "us-east-1"))],
         ["aws:requestedregion=eu-west-1"], "denied", "denied"),
        ([allow()], ["aws:RequestedRegion="], "allowed", "allowed"),
        ([allow(**when("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"))],
         ["aws:CurrentTime=2019-01-01T00:00:00Z"], "allowed", "allowed"),
    ],
)  # fmt: skip
def test_names_keys_that_answer_depends_on(statements, context, document, target):
    report = offline.check(
        policy_files(*statements), scenario(context=tuple(map(offline.entry, context)))
    )

    assert (report.document.verdict.value, report.target.verdict.value) == (document, target)


def reasons_of(report):
    return report.document.reason, report.target.reason


def test_names_option_for_each_missing_key():
    tag = when("StringEquals", "ssm:resourceTag/T", "${aws:PrincipalTag/T}")
    document, target = reasons_of(offline.check(policy_files(allow(**tag)), scenario()))

    assert target == (
        "an allow depends on ssm:resourceTag/T, aws:PrincipalTag/T, which are not given:"
        " --context ssm:resourceTag/T=VALUE --context aws:PrincipalTag/T=VALUE"
    )
    assert "--document-context ssm:resourceTag/T=VALUE --context aws:PrincipalTag/T" in document


def test_unknown_answer_names_deciding_statement():
    report = offline.check(
        policy_files(allow(), allow(Effect="Deny", Sid="Mfa", **when("Bool", MFA, "false"))),
        scenario(),
    )

    assert [(s.sid, s.line) for s in report.target.statements] == [("Mfa", 1)]
    assert report.target.reason.startswith(f"a deny depends on {MFA}, which is not given")
    assert [missing.key_name for missing in report.target.missing] == [MFA]


def test_names_incomplete_arn_that_has_two_readings():
    arn = "arn:aws:ssm:*:document/SSM-SessionManagerRunShell"
    report = offline.check(policy_files(allow(arn)), scenario())

    assert report.document.reason == (
        f"AWS's documentation is ambiguous about the incomplete ARN {arn}: write all six parts"
    )


def test_documents_of_aws_have_no_tags():
    """No statement lists them: the tag of the node makes no difference."""
    own = when("StringEquals", "ssm:resourceTag/team", "${aws:PrincipalTag/team}")
    report = offline.check(policy_files(allow(**own)), scenario("AWS-StartSSHSession"))

    assert report.document.verdict is Verdict.DENIED
    assert report.target.verdict is Verdict.UNKNOWN


CHECK = "ssm:SessionDocumentAccessCheck"


@pytest.mark.parametrize(
    ("document", "operator", "target"),
    [
        # A document of the account that is named: the key may be absent for the node.
        ("Dev-Shell", "Bool", "unknown"),
        ("SSM-SessionManagerRunShell", "Bool", "unknown"),
        ("Dev-Shell", "StringEquals", "unknown"),
        ("Dev-Shell", "BoolIfExists", "allowed"),
        ("AWS-StartSSHSession", "Bool", "allowed"),
        (None, "Bool", "allowed"),
        (None, "BoolIfExists", "allowed"),
    ],
)
def test_evaluates_target_of_named_document_with_and_without_access_check_key(
    document, operator, target
):
    policies = policy_files(allow(**when(operator, CHECK, "true")), allow("arn:aws:ssm:*:*:*"))
    report = offline.check(policies, scenario(document))

    assert report.target.verdict.value == target
    assert report.document.verdict is Verdict.ALLOWED
    if target == "unknown":
        assert report.target.reason_code == "access_check_unknown"
        assert "policy p.json, line 1" in report.target.reason
        assert "write BoolIfExists in place of Bool" in report.target.reason
    else:
        assert report.target.enforced is True


def test_given_access_check_key_is_evaluated_once():
    policies = policy_files(allow(**when("Bool", CHECK, "true")))
    given = tuple(offline.entry(f"{CHECK}=true") for _ in range(1))

    assert offline.check(policies, scenario("Dev-Shell", given)).verdict is Verdict.ALLOWED


def test_condition_on_false_access_check_key_does_not_allow():
    """The service may set it to false where no document is named: reported, and no answer."""
    policies = policy_files(allow(**when("Bool", CHECK, "false")), allow("arn:aws:ssm:*:*:*"))

    assert offline.check(policies, scenario()).target.verdict is Verdict.DENIED


SSO = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/"
SESSION = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/ann"


@pytest.mark.parametrize(
    ("caller", "operator", "arn", "answer"),
    [
        (SESSION, "ArnLike", f"{SSO}*AWSReservedSSO_Ops_*", "allowed"),
        (SESSION, "ArnLike", f"{SSO}*/AWSReservedSSO_Ops_*", "unknown"),
        (SESSION, "ArnLike", f"{SSO}eu-west-1/AWSReservedSSO_Ops_0123456789abcdef", "unknown"),
        (SESSION, "ArnLike", f"{SSO}*AWSReservedSSO_Dev_*", "denied"),
        (SESSION, "ArnLike", "arn:aws:iam::111122223333:role/AWSReservedSSO_Ops_*", "denied"),
        (SESSION, "ArnNotLike", "arn:aws:iam::*:role/aws-reserved/*", "denied"),
        ("arn:aws:sts::111122223333:assumed-role/Ops/ann", "ArnLike",
         "arn:aws:iam::111122223333:role/Ops", "unknown"),
        ("arn:aws:sts::111122223333:assumed-role/Ops/ann", "ArnLike",
         "arn:aws:iam::111122223333:role/*Ops", "allowed"),
        ("arn:aws:iam::111122223333:role/Ops", "ArnLike",
         "arn:aws:iam::111122223333:role/Ops", "allowed"),
    ],
)  # fmt: skip
def test_path_of_role_session_is_unknown(caller, operator, arn, answer):
    policies = policy_files(allow(**when(operator, "aws:PrincipalArn", arn)))
    report = offline.check(policies, scenario(caller=caller))

    assert report.document.verdict.value == answer
    if answer == "unknown":
        assert "--caller arn:aws:iam::111122223333:role/PATH/" in report.document.reason
    given = (offline.entry(f"aws:PrincipalArn={arn.replace('*', 'x/')}"),)
    likes = operator == "ArnLike"
    known = offline.check(policies, scenario(caller=caller, context=given))
    assert (known.document.verdict is Verdict.ALLOWED) is likes


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        (when("StringEquals", "ec2:ResourceTag/Env", "dev"),
         "no condition key ec2:ResourceTag/Env; write aws:ResourceTag/Env in place"),
        (when("StringEquals", "ssm:resourceTags/Env", "dev"),
         "no condition key ssm:resourceTags/Env; write ssm:resourceTag/Env in place"),
        (when("StringEquals", "aws:ResourceTag", "dev"),
         "aws:ResourceTag: a tag's key has to follow; write aws:ResourceTag/TAG in place"),
        (when("Bool", "ssm:SessionDocumentAcessCheck", "true"),
         "write ssm:SessionDocumentAccessCheck in place"),
        (when("BoolIfExists", CHECK, "ture"),
         f"{CHECK} is compared with 'ture', which is neither true nor false"),
    ],
)  # fmt: skip
def test_advice_names_correct_key_and_value(statement, advice):
    report = offline.check(policy_files(allow(**statement)), scenario())

    assert any(advice in one for one in report.target.advice), report.target.advice


@pytest.mark.parametrize(
    "statement",
    [
        when("StringEquals", "ssm:resourceTag/Env", "dev"),
        when("StringEquals", "aws:PrincipalTag/Env", "dev"),
        when("StringEquals", "aws:RequestTag/Env", "dev"),
        when("Bool", CHECK, "${aws:PrincipalTag/Check}"),
        when("StringEquals", "aws:SourceVpc", "vpc-1"),
        when("StringEquals", "aws:ResourceOrgID", "o-1"),
    ],
)
def test_correct_keys_get_no_advice(statement):
    report = offline.check(policy_files(allow(**statement)), scenario())

    assert not [one for one in report.target.advice if "condition key" in one or "neither" in one]


def test_warns_that_incomplete_arn_is_completed_with_wildcards():
    guard = parse(
        json.dumps({"Statement": allow("arn:aws:ssm:*")}), "guard.json", PolicyKind.SERVICE_CONTROL
    )
    report = offline.check(
        policy_files(allow("arn:aws:ssm"), service_control=((guard,),)), scenario()
    )

    assert report.document.verdict is Verdict.ALLOWED
    (broad,) = [one for one in report.document.advice if "p.json" in one]
    assert "Resource 'arn:aws:ssm' is an incomplete ARN, which means arn:aws:ssm:*:*:*" in broad
    (of_guard,) = [one for one in report.document.advice if "guard.json" in one]
    assert "only for identity-based policies" in of_guard


def test_document_context_applies_to_document_only():
    statements = policy_files(allow(**when("StringEquals", "ssm:resourceTag/T", "a")))
    tags = (offline.entry("ssm:resourceTag/T=a"),)

    report = offline.check(statements, scenario(document_context=tags))

    assert report.document.verdict is Verdict.ALLOWED
    assert report.target.verdict is Verdict.UNKNOWN


def test_each_level_of_service_control_policies_must_allow():
    guard = parse(json.dumps({"Statement": allow(Effect="Deny", Action="s3:*")}), "guard.json")
    everything = parse(json.dumps({"Statement": allow(Action="*")}), "full.json")

    def verdict(*levels):
        return offline.check(policy_files(allow(), service_control=levels), scenario()).verdict

    assert verdict((everything, guard)) is Verdict.ALLOWED
    assert verdict((everything,), (guard, everything)) is Verdict.ALLOWED
    assert verdict((guard,)) is Verdict.DENIED
    assert verdict((everything,), (guard,)) is Verdict.DENIED


@pytest.mark.parametrize(
    ("arn", "source", "kind"),
    [
        ("arn:aws:iam::111122223333:user/a/ann", "arn:aws:iam::111122223333:user/a/ann", "User"),
        (ROLE, ROLE, "AssumedRole"),
        ("arn:aws-cn:sts::111122223333:assumed-role/Ops/ann",
         "arn:aws-cn:iam::111122223333:role/Ops", "AssumedRole"),
    ],
)  # fmt: skip
def test_reads_caller_from_arn(arn, source, kind):
    caller = offline.parse_caller(arn)

    assert (caller.policy_source_arn, caller.principal_type) == (source, kind)
    assert (caller.account, caller.partition) == ("111122223333", arn.split(":")[1])


@pytest.mark.parametrize(
    ("arn", "known"),
    [
        ("arn:aws:iam::111122223333:user/ann", True),
        (ROLE, True),
        ("arn:aws:iam::111122223333:role/AWSReservedSSO_Ops_0123456789abcdef", False),
        (
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Ops_0",
            True,
        ),
        ("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/me", False),
        ("arn:aws:sts::111122223333:assumed-role/Ops/me", False),
    ],
)
def test_path_of_role_is_known_only_from_its_arn(arn, known):
    """A role of IAM Identity Center always has a path."""
    assert offline.parse_caller(arn).role_path_known is known


@pytest.mark.parametrize(
    "arn",
    [
        "ann",
        "",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::1111:role/Ops",
        "arn:aws:sts::111122223333:federated-user/ann",
        f"{ROLE}\n",
    ],
)
def test_rejects_invalid_caller(arn):
    with pytest.raises(ValueError, match="must be the ARN"):
        offline.parse_caller(arn)


@pytest.mark.parametrize("text", ["aws:SourceIp", "a=b", "aws:TagKeys=[1", "aws:TagKeys=[]"])
def test_rejects_invalid_context(text):
    with pytest.raises(ValueError, match=r"must have|must be|is not"):
        offline.entry(text)


def test_value_may_contain_equals_sign():
    assert offline.entry("aws:userid=A=B") == ContextEntry("aws:userid", "string", ("A=B",))


# Which words are the verb's own.


@pytest.mark.parametrize(
    ("line", "files", "rest"),
    [
        ("a --target i-1", "a", "--target i-1"),
        ("a b --target i-1", "a b", "--target i-1"),
        ("a --explain --target i-1 -q", "a", "--target i-1"),
        ("--explain --caller c a --target i-1", "a", "--target i-1"),
        ("--caller=c a -q b --target i-1", "a b", "--target i-1"),
        # Not a file: it may be the value of an option.
        ("a --target i-1 b", "a", "--target i-1 b"),
        ("--target i-1 a", "", "--target i-1 a"),
        ("a --target i-1 -- b --caller c", "a", "--target i-1 -- b --caller c"),
        # Abbreviations are start-session's: its parser rejects these.
        ("a --bound b --cont c --call d", "a", "--bound b --cont c --call d"),
        ("a --re us-east-1 --doc D", "a", "--re us-east-1 --doc D"),
        ("a --policy b", "a", "--policy b"),
        # The value of one of our options may look like an option of start-session.
        ("a --scp --target --target i-1", "a", "--target i-1"),
        ("a --reason=--scp --target=i-1", "a", "--reason=--scp --target=i-1"),
    ],
)
def test_separates_files_from_start_session_arguments(line, files, rest):
    found = split(tuple(line.split()))

    assert (found[0], found[3]) == (files.split(), rest.split())


def test_rejects_option_without_value():
    with pytest.raises(InvalidRequest, match="--scp: expected one argument"):
        split(("a", "--target", "i-1", "--scp"))
