"""How explicit a grant is, and the rule that requires a named document."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ssmgate.gate.decision.controls import answers_about, control_arn, controls_of
from ssmgate.gate.decision.decision import Denial, Layer, Permit, Unknown, decide
from ssmgate.gate.decision.evaluation import (
    BOUNDARY_POLICY,
    EvalDecision,
    Evaluation,
    MatchedStatement,
)
from ssmgate.gate.decision.grant import Grant, grant, statements
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.decision.wildcards import like, pattern

ARN = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"
QUESTION = Question("arn:aws:iam::111122223333:user/alice", ARN, ())
CONTROLS = [control.resource_arn for control in controls_of(QUESTION)]
NAMES = MatchedStatement("user_alice_A", "IAM Policy", (3, 5), (9, 6))
COVERS = MatchedStatement("user_alice_A", "IAM Policy", (9, 6), (15, 6))
BOUNDARY = MatchedStatement("Limit", BOUNDARY_POLICY, (3, 5), (9, 6))
UNPLACED = MatchedStatement("user_alice_A", "IAM Policy")
ALLOW, IMPLICIT, EXPLICIT = (
    EvalDecision.ALLOWED,
    EvalDecision.IMPLICIT_DENY,
    EvalDecision.EXPLICIT_DENY,
)


def answer(decision: EvalDecision, *statements: MatchedStatement, **layers: bool) -> Evaluation:
    return Evaluation("", decision, statements, **layers)  # type: ignore[arg-type]


def controls(template: Evaluation, arns: list[str] = CONTROLS) -> list[Evaluation]:
    """Return `template` as the answer about each control."""
    return [replace(template, resource_arn=arn) for arn in arns]


@pytest.mark.parametrize(
    ("allowing", "control", "expected"),
    [
        pytest.param((NAMES,), answer(IMPLICIT), Grant.NAMED, id="nothing else is allowed"),
        pytest.param((NAMES, COVERS), answer(ALLOW, COVERS), Grant.NAMED, id="both are listed"),
        pytest.param((COVERS,), answer(ALLOW, COVERS), Grant.WILDCARD, id="a wildcard"),
        pytest.param((COVERS,), answer(ALLOW, COVERS, NAMES), Grant.WILDCARD, id="more wildcards"),
        pytest.param((COVERS, BOUNDARY), answer(ALLOW, COVERS), Grant.WILDCARD, id="in a boundary"),
        pytest.param(
            (NAMES,), answer(IMPLICIT, allowed_by_permissions_boundary=True), Grant.NAMED,
            id="an open boundary",
        ),
        pytest.param(
            (NAMES,), answer(IMPLICIT, allowed_by_permissions_boundary=False), Grant.UNKNOWN,
            id="the boundary hides the statements",
        ),
        pytest.param(
            (NAMES,), answer(IMPLICIT, allowed_by_organizations=False), Grant.UNKNOWN,
            id="the organization hides the statements",
        ),
        pytest.param((NAMES,), answer(EXPLICIT), Grant.UNKNOWN, id="a deny hides the statements"),
        pytest.param((UNPLACED,), answer(IMPLICIT), Grant.UNKNOWN, id="no position"),
        pytest.param((NAMES,), answer(ALLOW, UNPLACED), Grant.UNKNOWN, id="no position in control"),
        pytest.param((NAMES,), answer(ALLOW), Grant.UNKNOWN, id="allowed by nothing"),
        pytest.param((), answer(IMPLICIT), Grant.UNKNOWN, id="no statement"),
        pytest.param((NAMES,), None, Grant.UNKNOWN, id="no control"),
    ],
)  # fmt: skip
def test_classifies_grant(
    allowing: tuple[MatchedStatement, ...], control: Evaluation | None, expected: Grant
) -> None:
    answers = [Evaluation(ARN, ALLOW, allowing)]
    about = [] if control is None else controls(control)
    assert grant(QUESTION, answers, about) is expected

    decision = decide(
        SessionRequest("i-1"), [QUESTION], answers, allow_wildcard_grants=False, controls=about
    )
    match expected:
        case Grant.NAMED:
            assert isinstance(decision, Permit)
        case Grant.WILDCARD:
            assert isinstance(decision, Denial)
            assert decision.reason_code == Reason.NOT_NAMED
        case _:
            assert isinstance(decision, Unknown)
            assert decision.reason_code == Reason.GRANT_UNKNOWN


@pytest.mark.parametrize(
    "hidden",
    [
        answer(EXPLICIT),
        answer(IMPLICIT, allowed_by_organizations=False),
        answer(ALLOW),
    ],
)
def test_control_answer_must_have_statements(hidden: Evaluation) -> None:
    answers = [Evaluation(ARN, ALLOW, (NAMES,))]

    about = controls(answer(IMPLICIT))
    assert grant(QUESTION, answers, about) is Grant.NAMED
    for number, arn in enumerate(CONTROLS):
        one = replace(hidden, resource_arn=arn)
        changed = [*about[:number], one, *about[number + 1 :]]
        assert grant(QUESTION, answers, changed) is Grant.UNKNOWN
        assert grant(QUESTION, answers, changed[:number] + changed[number + 1 :]) is Grant.UNKNOWN


_NAME = "document/Dev-Shell"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((_NAME,), Grant.NAMED),
        ((_NAME, "document/*"), Grant.NAMED),
        (("document/*",), Grant.WILDCARD),
        (("*",), Grant.WILDCARD),
        ((f"{_NAME}*",), Grant.WILDCARD),
        (("document/Dev-*",), Grant.WILDCARD),
        (("document/*Shell",), Grant.WILDCARD),
        (("document/Dev*-Shell",), Grant.WILDCARD),
        (("document/" + "?" * 9,), Grant.WILDCARD),
        (("document/Dev-Shel?",), Grant.WILDCARD),
        (("document/?ev-Shell",), Grant.WILDCARD),
        (("document/Dev?Shell",), Grant.WILDCARD),
        (("document/Dev-??*",), Grant.WILDCARD),
        (("!*no-such-document*",), Grant.WILDCARD),
        (("!document/Other",), Grant.WILDCARD),
    ],
)
def test_statement_with_wildcard_does_not_name_document(
    patterns: tuple[str, ...], expected: Grant
) -> None:
    """A pattern after `!` stands in NotResource."""

    def evaluated(arn: str) -> Evaluation:
        resource = arn.rpartition(":")[2]
        matched = tuple(
            MatchedStatement("A", "IAM Policy", (number, 1), (number, 9))
            for number, one in enumerate(patterns)
            if like(pattern(one.removeprefix("!")), resource) is not one.startswith("!")
        )
        return Evaluation(arn, ALLOW if matched else IMPLICIT, matched)

    about = [evaluated(control.resource_arn) for control in controls_of(QUESTION)]

    assert grant(QUESTION, [evaluated(ARN)], about) is expected


def test_controls_are_random_and_cannot_be_excluded() -> None:
    first, second = ({q.resource_arn for q in controls_of(QUESTION)} for _ in range(2))

    assert len(first) == len(second) == 1 + len("Dev-Shell")
    assert ARN not in first | second
    assert first != second


def test_controls_exclude_names_that_differ_in_digit() -> None:
    """Documents that are numbered are often listed in one statement."""
    shells = {f"{ARN}{digit}" for digit in range(10)}
    numbered = replace(QUESTION, resource_arn=f"{ARN}1")

    for _ in range(20):
        assert not shells & {control.resource_arn for control in controls_of(numbered)}


def test_denying_statement_does_not_allow() -> None:
    answers = [Evaluation(ARN, ALLOW, (NAMES, BOUNDARY)), Evaluation(ARN, EXPLICIT, (COVERS,))]
    assert statements(answers) == {NAMES}


def test_wildcard_suffices_without_rule() -> None:
    answers = [Evaluation(ARN, ALLOW, (COVERS,))]
    decision = decide(
        SessionRequest("i-1"), [QUESTION], answers, controls=controls(answer(ALLOW, COVERS))
    )
    assert isinstance(decision, Permit)


def test_naming_document_does_not_allow() -> None:
    answers = [Evaluation(ARN, IMPLICIT, (NAMES,))]
    decision = decide(
        SessionRequest("i-1"),
        [QUESTION],
        answers,
        allow_wildcard_grants=False,
        controls=controls(answer(IMPLICIT)),
    )
    assert isinstance(decision, Denial)
    assert decision.reason_code == Reason.IMPLICIT_DENY


def test_ignores_control_of_another_document() -> None:
    answers = [Evaluation(ARN, ALLOW, (NAMES,))]
    elsewhere = [arn.replace("111122223333", "") for arn in CONTROLS]
    decision = decide(
        SessionRequest("i-1"), [QUESTION], answers, allow_wildcard_grants=False,
        controls=controls(answer(IMPLICIT), elsewhere),
    )  # fmt: skip
    assert isinstance(decision, Unknown)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(ARN, id="the document itself"),
        pytest.param(ARN.replace("Dev", "Dxx"), id="two characters of the name"),
        pytest.param(ARN.replace("Dev", "Dexv"), id="a longer name"),
        pytest.param(ARN.replace("/", ":"), id="the character before the name"),
        pytest.param(ARN.replace("1111", "1112"), id="the account"),
        pytest.param(control_arn(ARN.replace("1111", "1112")), id="a control of another account"),
    ],
)
def test_answer_about_what_is_not_control_does_not_replace_one(other: str) -> None:
    about = controls(answer(IMPLICIT))
    assert answers_about(QUESTION, about) == tuple(about)

    assert answers_about(QUESTION, controls(answer(IMPLICIT), [*CONTROLS[:-1], other])) == ()


def test_control_has_character_of_another_kind() -> None:
    """A letter is never replaced by itself, and a digit not by the next one of a series."""
    name = ARN.partition("/")[2]
    for _ in range(50):
        for at, control in enumerate(controls_of(QUESTION)[1:]):
            changed = control.resource_arn.partition("/")[2][at]
            assert re.fullmatch(r"[0-9_]" if name[at].isalpha() else r"[a-zA-Z]", changed)


def test_statement_naming_another_document_is_not_explicit() -> None:
    """Of two documents that a request may mean, one is named and the other has a wildcard."""
    other = replace(QUESTION, resource_arn=ARN.replace("111122223333", ""))
    answers = [Evaluation(ARN, ALLOW, (COVERS,)), Evaluation(other.resource_arn, ALLOW, (NAMES,))]
    elsewhere = [control.resource_arn for control in controls_of(other)]
    about = [*controls(answer(ALLOW, COVERS)), *controls(answer(IMPLICIT), elsewhere)]

    decision = decide(
        SessionRequest("i-1"), [QUESTION, other], answers, allow_wildcard_grants=False,
        controls=about,
    )  # fmt: skip

    assert decision == Denial(Reason.NOT_NAMED, QUESTION, Layer.IDENTITY, (COVERS,))
