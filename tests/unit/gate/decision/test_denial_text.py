"""The forms of a denial: for a terminal, for logs, and those of --cli-error-format."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.hostile import FORGED, HOSTILE, SHOWN
from ssmgate.gate.decision.access_errors import AccessDenied, AccessError, DenialFacts
from ssmgate.gate.decision.decision import Denial, Layer, Unknown
from ssmgate.gate.decision.denial_text import Form, form, has_time, members, render
from ssmgate.gate.decision.evaluation import MatchedStatement
from ssmgate.gate.decision.messages import explain
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial

BOB = Caller(
    account="111122223333",
    caller_arn="arn:aws:iam::111122223333:user/bob",
    policy_source_arn="arn:aws:iam::111122223333:user/bob",
    user_id="AIDAX",
    principal_type="User",
    partition="aws",
)
ROLE = replace(
    BOB,
    caller_arn="arn:aws:sts::111122223333:assumed-role/Dev/bob",
    policy_source_arn="arn:aws:iam::111122223333:role/team/Dev",
    principal_type="AssumedRole",
)
NODE = "i-0123456789abcdef0"
MINE, AWSS = "arn:aws:ssm:us-east-1:111122223333:document", "arn:aws:ssm:us-east-1::document"
DEFAULT, SSH = SessionRequest(NODE), SessionRequest(NODE, "AWS-StartSSHSession")
DEV = SessionRequest(NODE, "Dev-Shell")
REGION = (("--region", "eu-west-1"), ("--profile", None))


def question(arn: str, caller: Caller = BOB) -> Question:
    return Question.about(caller, arn, region="us-east-1", secure_transport=True, mfa_done=False)


def no_allow(request: SessionRequest, arn: str, caller: Caller = BOB) -> AccessError:
    denial = Denial(Reason.IMPLICIT_DENY, question(arn, caller), Layer.IDENTITY)
    return explain(denial, request, caller)


def denied_default() -> AccessError:
    error = no_allow(DEFAULT, f"{MINE}/SSM-SessionManagerRunShell")
    error.nearest = "policy NodesOnly, line 3: allows the node, not the document"
    return error


def denied_role() -> AccessError:
    denial = Denial(
        Reason.EXPLICIT_DENY,
        question(f"{MINE}/Dev-Shell", ROLE),
        Layer.ORGANIZATIONS,
        (MatchedStatement("p-1"),),
        ("aws:PrincipalTag/team",),
    )
    return explain(denial, DEV, ROLE, REGION)


def timed_out(request: SessionRequest = DEV) -> AccessError:
    reason = "IAM did not answer within 10 s (iam.amazonaws.com)"
    return explain(Unknown(Reason.FAILED, reason, question(f"{MINE}/Dev-Shell")), request, BOB)


def restricted() -> AccessError:
    reason = "session document 'Dev-Shell' is denied"
    return explain(LocalDenial(Reason.DOCUMENT_DENIED, "documents.deny", reason), DEV, BOB)


def without_reason() -> AccessError:
    return explain(LocalDenial(Reason.REASON_REQUIRED, "require_reason", "it needs one"), DEV, BOB)


def without_reason_on_bastion() -> AccessError:
    error = without_reason()
    error.offers_commands = False
    return error


def on_bastion() -> AccessError:
    error = timed_out()
    error.offers_commands = False
    return error


TERMINAL = {
    denied_default: """\
ssmgate: [ERROR]: access denied: session document SSM-SessionManagerRunShell
  It is the default document; no --document-name was given.
  reason    no identity-based policy allows ssm:StartSession on it
  document  arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell
  caller    arn:aws:iam::111122223333:user/bob
  nearest   policy NodesOnly, line 3: allows the node, not the document
  code      AccessDeniedException (IAM simulation; no session was started)

  To request access, send your administrator the output of:
    ssmgate check --request --target i-0123456789abcdef0""",
    denied_role: """\
ssmgate: [ERROR]: access denied: session document Dev-Shell
  reason    an explicit deny in a service control policy (p-1) forbids ssm:StartSession on it
  document  arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell
  caller    arn:aws:sts::111122223333:assumed-role/Dev/bob
  role      arn:aws:iam::111122223333:role/team/Dev
  missing   aws:PrincipalTag/team
  hint      an explicit deny overrides every allow: ask the owner of that policy to exempt the\
 document, or choose another --document-name
  hint      if you know the value that AWS will see, set it under [context] in\
 ~/.config/ssmgate/config.toml: "aws:PrincipalTag/team" = "…"
  code      AccessDeniedException (IAM simulation; no session was started)

  To request access, send your administrator the output of:
    ssmgate check --request --target i-0123456789abcdef0 --document-name Dev-Shell --region\
 eu-west-1""",
    timed_out: """\
ssmgate: [ERROR]: could not check access to session document Dev-Shell
  reason    IAM did not answer within 10 s (iam.amazonaws.com)
  session   not started

  To find out why:
    ssmgate doctor""",
    restricted: """\
ssmgate: [ERROR]: access denied by this machine's rules: session document Dev-Shell
  reason    session document 'Dev-Shell' is denied
  rule      documents.deny
  caller    arn:aws:iam::111122223333:user/bob
  session   not started, although IAM allows the session document

  To find the file that sets the rule:
    ssmgate config show --origin""",
    without_reason: """\
ssmgate: [ERROR]: access denied by this machine's rules: session document Dev-Shell
  reason    it needs one
  rule      require_reason
  caller    arn:aws:iam::111122223333:user/bob
  session   not started, although IAM allows the session document

  To say why you need the session, add:
    --reason 'TICKET-1 …'""",
    on_bastion: """\
ssmgate: [ERROR]: could not check access to session document Dev-Shell
  reason    IAM did not answer within 10 s (iam.amazonaws.com)
  session   not started

  Send these lines to your administrator.""",
}


def denied_ssh() -> AccessError:
    return no_allow(SSH, f"{AWSS}/AWS-StartSSHSession")


LINES = {
    denied_ssh: """\
ssmgate: [ERROR]: access denied (AccessDeniedException): i-0123456789abcdef0: session document\
 AWS-StartSSHSession
ssmgate: reason: no identity-based policy allows\
 arn:aws:ssm:us-east-1::document/AWS-StartSSHSession for user/bob
ssmgate: hint: ssmgate check --explain --target i-0123456789abcdef0 --document-name\
 AWS-StartSSHSession""",
    timed_out: """\
ssmgate: [ERROR]: could not check access to session document Dev-Shell: i-0123456789abcdef0
ssmgate: reason: IAM did not answer within 10 s (iam.amazonaws.com)
ssmgate: hint: ssmgate doctor""",
    restricted: """\
ssmgate: [ERROR]: access denied by this machine's rules: i-0123456789abcdef0: session document\
 Dev-Shell
ssmgate: reason: session document 'Dev-Shell' is denied (documents.deny); IAM allows the session\
 document
ssmgate: hint: ssmgate config show --origin""",
    without_reason_on_bastion: """\
ssmgate: [ERROR]: access denied by this machine's rules: i-0123456789abcdef0: session document\
 Dev-Shell
ssmgate: reason: it needs one (require_reason); IAM allows the session document
ssmgate: hint: add --reason 'TICKET-1 …'""",
    on_bastion: """\
ssmgate: [ERROR]: could not check access to session document Dev-Shell: i-0123456789abcdef0
ssmgate: reason: IAM did not answer within 10 s (iam.amazonaws.com)
ssmgate: hint: Send these lines to your administrator.""",
}

SENTENCE = (
    "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: ssm:StartSession on"
    f" resource: {AWSS}/AWS-StartSSHSession because no identity-based policy allows the"
    " ssm:StartSession action"
)
HINT = LINES[denied_ssh].splitlines()[2]
LEGACY = {
    denied_ssh: "\nssmgate: [ERROR]: An error occurred (AccessDeniedException) when calling the"
    f" StartSession operation: {SENTENCE}\n{HINT}",
    timed_out: LINES[timed_out],
}
TEXT = {denied_ssh: f"AccessDeniedException\t{SENTENCE}\n{HINT}", timed_out: LINES[timed_out]}


@pytest.mark.parametrize(
    ("error", "how", "text"),
    [
        pytest.param(made(), how, text, id=f"{how.name}-{made.__name__}")
        for how, table in {
            Form.TERMINAL: TERMINAL,
            Form.LINES: LINES,
            Form.LEGACY: LEGACY,
            Form.TEXT: TEXT,
        }.items()
        for made, text in table.items()
    ],
)
def test_renders_each_form(error: AccessError, how: Form, text: str) -> None:
    assert render(error, how) == text


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            denied_ssh(),
            {
                "Code": "AccessDeniedException",
                "Message": SENTENCE,
                "decision": "denied",
                "reason": "implicit_deny",
                "layer": "identity",
                "document": f"{AWSS}/AWS-StartSSHSession",
                "caller": "arn:aws:iam::111122223333:user/bob",
                "started": False,
            },
        ),
        (
            timed_out(),
            {
                "Code": "",
                "Message": timed_out().message,
                "decision": "unknown",
                "reason": "failed",
                "layer": None,
                "document": f"{MINE}/Dev-Shell",
                "caller": "arn:aws:iam::111122223333:user/bob",
                "started": False,
            },
        ),
        (
            restricted(),
            {
                "Code": "",
                "Message": "access denied by this machine's rules: session document Dev-Shell:"
                " session document 'Dev-Shell' is denied (documents.deny); IAM allows the session"
                " document",
                "decision": "denied",
                "reason": "document_denied",
                "layer": "machine",
                "document": "Dev-Shell",
                "caller": "arn:aws:iam::111122223333:user/bob",
                "started": False,
            },
        ),
    ],
    ids=["denied", "unknown", "restricted"],
)
def test_structured_output_has_members_of_aws_and_ours(
    error: AccessError, shown: dict[str, object]
) -> None:
    assert members(error) == shown


@pytest.mark.parametrize("how", [Form.TERMINAL, Form.LINES, Form.LEGACY, Form.TEXT])
def test_notes_follow_with_prefix(how: Form) -> None:
    assert render(denied_ssh(), how, ["a", "b"]).endswith("\nssmgate: a\nssmgate: b")


@pytest.mark.parametrize(
    ("error_format", "document", "terminal", "expected"),
    [
        (None, "Dev-Shell", True, Form.TERMINAL),
        ("", "Dev-Shell", True, Form.TERMINAL),
        ("enhanced", "Dev-Shell", True, Form.TERMINAL),
        ("enhanced", "Dev-Shell", False, Form.LINES),
        (None, "AWS-StartSSHSession", True, Form.LINES),
        (None, f"{AWSS}/AWS-StartSSHSession", True, Form.LINES),
        (None, f"{MINE}/our-ssh", True, Form.LINES),
        ("json", "Dev-Shell", True, Form.STRUCTURED),
        ("yaml", "AWS-StartSSHSession", False, Form.STRUCTURED),
        ("table", "Dev-Shell", True, Form.STRUCTURED),
        ("legacy", "Dev-Shell", True, Form.LEGACY),
        ("text", "Dev-Shell", True, Form.TEXT),
    ],
)
def test_selects_form_for_reader(
    error_format: str | None, document: str, terminal: bool, expected: Form
) -> None:
    error = no_allow(SessionRequest(NODE, document), f"{MINE}/x")

    assert form(error, error_format, terminal=terminal) is expected
    assert has_time(error, error_format, terminal=terminal) is (expected is Form.TERMINAL)


def test_only_iam_denials_look_up_nearest_statement() -> None:
    assert not has_time(timed_out(), None, terminal=True)
    assert not has_time(restricted(), None, terminal=True)


@pytest.mark.parametrize("how", [Form.TERMINAL, Form.LINES, Form.LEGACY, Form.TEXT])
def test_foreign_text_cannot_begin_line(how: Form) -> None:
    hostile = f"{HOSTILE}{FORGED}"
    texts = ("reason", "full_reason", "document", "target", "document_arn", "caller_arn",
             "policy_source_arn", "rule", "command", "hint")  # fmt: skip
    facts = replace(
        denied_default().facts,
        **{name: f"{name} {hostile}" for name in texts},
        missing=(hostile,),
        remarks=(hostile,),
    )
    assert isinstance(facts, DenialFacts)
    error = AccessDenied(facts, details=hostile)
    error.nearest = hostile

    rows = render(error, how, [hostile]).splitlines()
    plain = render(denied_default(), how).splitlines()
    assert all(row.isprintable() or how is Form.TEXT for row in rows)
    assert not any(row.startswith(FORGED.strip()) for row in rows)
    assert SHOWN in rows[-1]
    assert len(rows) <= len(plain) + 5
