"""`policy check`: answers by the local evaluator alone, and what they hang on."""

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
def test_the_documented_policies(name, column):
    policies = offline.PolicyFiles((parse((DIRECTORY / name).read_text(), name),))

    report = offline.check(policies, scenario(DOCUMENTS[column], TAGS))

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
        # Nobody offline knows a unique id.
        ([allow(**when("StringEquals", "aws:userid", "AIDAX"))], [], "unknown", "unknown"),
        # A document does not have the node's tags; the node may.
        ([allow(**when("StringEquals", "ssm:resourceTag/T", "a"))], [], "denied", "unknown"),
        ([allow(**when("StringEquals", "ssm:resourceTag/T", "a"))],
         ["ssm:resourceTag/T=a"], "denied", "allowed"),
        ([allow(**when("StringEquals", "aws:ResourceTag/T", "a"))],
         ["aws:resourcetag/t=b"], "denied", "denied"),
        ([allow(**when("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", "o/r/a"))],
         ['aws:PrincipalOrgPaths=["o/r/a", "o/r/b"]'], "allowed", "allowed"),
        # What is said outweighs what is assumed.
        ([allow(**when("StringEquals", "aws:RequestedRegion", "us-east-1"))],
         [], "allowed", "allowed"),
        ([allow(**when("StringEquals", "aws:RequestedRegion", "us-east-1"))],
         ["aws:requestedregion=eu-west-1"], "denied", "denied"),
        ([allow()], ["aws:RequestedRegion="], "allowed", "allowed"),
        ([allow(**when("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"))],
         ["aws:CurrentTime=2019-01-01T00:00:00Z"], "allowed", "allowed"),
    ],
)  # fmt: skip
def test_what_an_answer_hangs_on(statements, context, document, target):
    report = offline.check(
        policy_files(*statements), scenario(context=tuple(map(offline.entry, context)))
    )

    assert (report.document.verdict.value, report.target.verdict.value) == (document, target)


def test_an_allow_names_the_keys_with_which_a_deny_might_apply():
    report = offline.check(
        policy_files(allow(), allow(Effect="Deny", **when("Bool", MFA, "false"))), scenario()
    )

    assert report.verdict is Verdict.ALLOWED
    assert [missing.key_name for missing in report.document.missing] == [MFA]


def test_tags_of_the_document_itself():
    statements = policy_files(allow(**when("StringEquals", "ssm:resourceTag/T", "a")))
    tags = (offline.entry("ssm:resourceTag/T=a"),)

    report = offline.check(statements, scenario(document_context=tags))

    assert report.document.verdict is Verdict.ALLOWED
    assert report.target.verdict is Verdict.UNKNOWN


def test_files_of_service_control_policies_are_one_level():
    guard = parse(json.dumps({"Statement": allow(Effect="Deny", Action="s3:*")}), "guard.json")
    everything = parse(json.dumps({"Statement": allow(Action="*")}), "full.json")

    both = offline.check(policy_files(allow(), service_control=(everything, guard)), scenario())
    one = offline.check(policy_files(allow(), service_control=(guard,)), scenario())

    assert both.verdict is Verdict.ALLOWED
    assert one.document.layer == "service control policy"


@pytest.mark.parametrize(
    ("arn", "source", "kind"),
    [
        ("arn:aws:iam::111122223333:user/a/ann", "arn:aws:iam::111122223333:user/a/ann", "User"),
        (ROLE, ROLE, "AssumedRole"),
        ("arn:aws-cn:sts::111122223333:assumed-role/Ops/ann",
         "arn:aws-cn:iam::111122223333:role/Ops", "AssumedRole"),
    ],
)  # fmt: skip
def test_who_the_caller_is(arn, source, kind):
    caller = offline.parse_caller(arn)

    assert (caller.policy_source_arn, caller.principal_type) == (source, kind)
    assert (caller.account, caller.partition) == ("111122223333", arn.split(":")[1])


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
def test_who_is_no_caller(arn):
    with pytest.raises(ValueError, match="is no ARN"):
        offline.parse_caller(arn)


@pytest.mark.parametrize("text", ["aws:SourceIp", "a=b", "aws:TagKeys=[1", "aws:TagKeys=[]"])
def test_what_is_no_context(text):
    with pytest.raises(ValueError, match=r"is n|takes"):
        offline.entry(text)


def test_a_value_may_have_an_equals_sign():
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


def test_rejects_an_option_without_its_value():
    with pytest.raises(InvalidRequest, match="--scp: expected one argument"):
        split(("a", "--target", "i-1", "--scp"))
