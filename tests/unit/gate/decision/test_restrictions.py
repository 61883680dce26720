"""The machine's own rules: what they refuse, and that they never widen."""

from __future__ import annotations

import pytest

from ssmgate.gate.decision.apply_restrictions import denial_by
from ssmgate.gate.decision.arn import document_arns
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.decision.restrictions import PATTERN, LocalDenial, Restrictions

ACCOUNT = "111122223333"
OTHER = "999999999999"


def code(
    rules: Restrictions, document: str | None = None, target: str = "i-1", reason: str | None = None
) -> str | None:
    arns = document_arns(document, partition="aws", region="us-east-1", account=ACCOUNT)
    said = denial_by(rules, SessionRequest(target, document, reason), arns, ACCOUNT)
    return said.reason_code if said else None


def arn(name: str, account: str = ACCOUNT, region: str = "us-east-1") -> str:
    return f"arn:aws:ssm:{region}:{account}:document/{name}"


def test_denies_nothing_without_rules() -> None:
    assert code(Restrictions()) is None


@pytest.mark.parametrize(
    ("patterns", "document", "allowed"),
    [
        (["Dev-Shell"], "Dev-Shell", True),
        (["Dev-Shell"], arn("Dev-Shell"), True),
        (["Dev-Shell"], arn("Dev-Shell", region="eu-west-1"), True),
        (["Dev-Shell"], arn("Dev-Shell", OTHER), False),
        (["*"], arn("Dev-Shell", OTHER), False),
        (["Dev-Shell"], "Dev-Shell2", False),
        (["Dev-Shell"], "dev-shell", False),
        (["Dev-*"], "Dev-Shell", True),
        (["Dev-*"], "XDev-Shell", False),
        (["Dev?Shell"], "Dev-Shell", True),
        (["Dev.Shell"], "Dev-Shell", False),
        (["SSM-SessionManagerRunShell"], None, True),
        (["Dev-*"], None, False),
        (["AWS-StartSSHSession"], "AWS-StartSSHSession", True),
        (["AWS-StartSSHSession"], "aws-startsshsession", False),
        # IAM may know it under two ARNs, and each of them has to be allowed.
        ([arn("aws-*", "")], "aws-startsshsession", False),
        ([arn("aws-*")], "aws-startsshsession", False),
        ([arn("aws-*"), arn("aws-*", "")], "aws-startsshsession", True),
        (["*"], "AWS-StartSSHSession", True),
        ([arn("Dev-*")], "Dev-Shell", True),
        ([arn("Dev-*", OTHER)], arn("Dev-Shell", OTHER), True),
        ([arn("Dev-*", OTHER)], "Dev-Shell", False),
        ([arn("AWS-StartSSHSession", "")], "AWS-StartSSHSession", True),
        ([arn("Dev-*", "*", "eu-west-1")], "Dev-Shell", False),
        ([], "Dev-Shell", False),
    ],
)
def test_allow_list_denies_other_documents(
    patterns: list[str], document: str | None, allowed: bool
) -> None:
    said = code(Restrictions(documents_allow=(tuple(patterns),)), document)

    assert said == (None if allowed else Reason.DOCUMENT_NOT_LISTED)


@pytest.mark.parametrize(
    ("pattern", "document", "denied"),
    [
        ("Dev-Shell", "Dev-Shell", True),
        ("Dev-Shell", "DEV-SHELL", True),
        ("Dev-Shell", arn("Dev-Shell", OTHER), True),
        ("dev-*", "Dev-Shell", True),
        ("SSM-SessionManagerRunShell", None, True),
        ("*", None, True),
        ("AWS-StartSSHSession", "aws-startsshsession", True),
        (arn("Dev-Shell"), "Dev-Shell", True),
        (arn("Dev-Shell"), "dev-shell", True),
        # IAM may know it under two ARNs, and either is enough.
        (arn("aws-*", ""), "aws-startsshsession", True),
        (arn("aws-*"), "aws-startsshsession", True),
        (arn("*", OTHER), arn("Dev-Shell", OTHER), True),
        (arn("*", OTHER), "Dev-Shell", False),
        ("Prod-*", "Dev-Shell", False),
    ],
)
def test_deny_list_denies_matching_documents(
    pattern: str, document: str | None, denied: bool
) -> None:
    rules = Restrictions(documents_allow=(("*", "arn:*"),), documents_deny=(pattern,))

    assert code(rules, document) == (Reason.DOCUMENT_DENIED if denied else None)


def test_each_allow_list_must_match() -> None:
    rules = Restrictions(documents_allow=(("Dev-*",), ("*-Shell",)))

    assert code(rules, "Dev-Shell") is None
    assert code(rules, "Dev-Root") == code(rules, "Ops-Shell") == Reason.DOCUMENT_NOT_LISTED


def test_allow_list_denies_request_without_document_arn() -> None:
    said = denial_by(Restrictions(documents_allow=(("*",),)), SessionRequest("i-1"), (), ACCOUNT)

    assert said is not None


@pytest.mark.parametrize(
    ("patterns", "target", "allowed"),
    [
        (["i-1"], "i-1", True),
        (["i-*"], "mi-1", False),
        (["i-?"], "i-12", False),
        (["i-*"], "i-1\nmi-2", True),
        (["i-1"], "i-1\n", False),
        (["I-1"], "i-1", False),
        (["ecs:dev_*"], "ecs:dev_0a_0b", True),
        ([], "i-1", False),
    ],
)
def test_allow_list_denies_other_targets(patterns: list[str], target: str, allowed: bool) -> None:
    said = code(Restrictions(targets_allow=(tuple(patterns),)), target=target)

    assert said == (None if allowed else Reason.TARGET_NOT_LISTED)


@pytest.mark.parametrize(
    ("reason", "enough"),
    [
        ("TICKET-1", True),
        ("ä", True),
        (None, False),
        ("", False),
        (" \t\n", False),
        ("\u200b\u00a0\u2060", False),
        ("---", False),
        ("\u3164\uffa0\u115f", False),  # letters without a glyph
        ("\u3164x", True),
        ("\u202e1", True),
    ],
)
def test_require_reason_denies_request_without_visible_reason(
    reason: str | None, enough: bool
) -> None:
    said = code(Restrictions(require_reason=True), reason=reason)

    assert said == (None if enough else Reason.REASON_REQUIRED)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            Restrictions(documents_deny=("Dev-*",)),
            LocalDenial(
                Reason.DOCUMENT_DENIED, "documents.deny", "session document 'Dev-Shell' is denied"
            ),
        ),
        (
            Restrictions(documents_allow=(("Ops-*",),)),
            LocalDenial(
                Reason.DOCUMENT_NOT_LISTED,
                "documents.allow",
                "session document 'Dev-Shell' is not among those allowed",
            ),
        ),
        (
            Restrictions(targets_allow=(("mi-*",),)),
            LocalDenial(
                Reason.TARGET_NOT_LISTED, "targets.allow", "target 'i-1' is not among those allowed"
            ),
        ),
        (
            Restrictions(require_reason=True),
            LocalDenial(
                Reason.REASON_REQUIRED, "require_reason", "this machine requires a --reason"
            ),
        ),
    ],
)
def test_denial_names_rule(rules: Restrictions, expected: LocalDenial) -> None:
    assert denial_by(rules, SessionRequest("i-1", "Dev-Shell"), (arn("Dev-Shell"),), ACCOUNT) == (
        expected
    )


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("azAZ09_-.:/*?", True),
        ("x", True),
        ("x" * 300, True),
        ("x" * 301, False),
        ("", False),
        ("x\n", False),
        ("a b", False),
        ("[a]", False),
        ("a|b", False),
        ("(a)", False),
        ("a\\", False),
        ("${x}", False),
        ("ä", False),
    ],
)
def test_pattern_may_contain_these_characters(text: str, valid: bool) -> None:
    assert (PATTERN.match(text) is not None) is valid


def test_many_wildcards_take_no_longer_than_few() -> None:
    """A matcher that tries each star against each other would take hours for this."""
    pattern, target = "*a" * 30, "a" * 200 + "b"
    rules = Restrictions(targets_allow=((pattern,),))

    assert denial_by(rules, SessionRequest(target), (), "111122223333") is not None
    assert denial_by(rules, SessionRequest(target[:-1]), (), "111122223333") is None
