"""The questions about a target, with the context that the service gives IAM for it."""

from __future__ import annotations

from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.question import Question

CHECK_KEY = "ssm:SessionDocumentAccessCheck"


def target_questions(
    builder: QuestionBuilder, target: str, document_name: str | None
) -> tuple[Question, ...]:
    """Return the questions whose answers must all allow `target`, none if IAM does not list it.

    `document_name` is that of the request. A named document of a customer: the key
    ssm:SessionDocumentAccessCheck was observed to be absent where the service authorizes the
    target, and AWS documents that it is true, so both are asked. A document of AWS's own, or none:
    it is true. Raises `InvalidRequest` for an invalid document name.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    """
    present = builder.target(target)
    if present is None:
        return ()
    named = () if document_name is None else builder.documents(document_name)
    if not any(account_of(document.resource_arn) for document in named):
        return (present,)
    absent = builder.target(target, document_access_check=None)
    return (present,) if absent is None else (present, absent)


def without_check(builder: QuestionBuilder, target: str) -> Question | None:
    """Return the question about `target` with the key false.

    AWS's older text says that it is false if no document is named. For a report only: no answer
    depends on it.
    """
    return builder.target(target, document_access_check=False)


def differ(allowing: str, allowed_with_key: bool) -> str:
    """Return the reason of an answer that differs with and without the key, in a sentence.

    `allowing` names the statements that allow the target in one of the two cases.
    """
    there, elsewhere = ("is true", "is absent") if allowed_with_key else ("is absent", "is true")
    return (
        f"the target is allowed by {allowing} if {CHECK_KEY} {there}, and denied if it {elsewhere}."
        " For a document of your account it is uncertain which of the two AWS uses"
        + ("; write BoolIfExists in place of Bool" if allowed_with_key else "")
    )
