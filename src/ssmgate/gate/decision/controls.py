"""Documents that do not exist, to find out whether a statement names one that does.

Loaded only where wildcard grants are not allowed, or are reported.
"""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from dataclasses import replace

from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Question

# For a character another of another kind: names that differ in one digit are often listed together.
_FOR_LETTERS, _FOR_OTHERS = string.digits + "_", string.ascii_letters


def control_arn(arn: str) -> str:
    """Return the ARN of a document that cannot exist, in the same form as that of `arn`.

    Its name begins and ends as the document's does and is longer than a document's can be (128
    characters): a pattern with `*` that matches it names no document.
    """
    place, _, name = arn.partition("/")
    return f"{place}/{name}.no-such-document.{'-' * 128}.{name}"


def controls_of(question: Question) -> tuple[Question, ...]:
    """Return `question` about documents whose names a statement that names the document excludes.

    One is `control_arn`'s, for patterns with `*`. The others have the document's name with another
    character in one place, for patterns with `?`. The characters are random, so that no policy can
    be written to exclude the controls. The context is the same, tags included: only the name can
    make a difference.
    """
    arn, source = question.resource_arn, random.SystemRandom()
    place, _, name = arn.partition("/")
    names = [
        f"{name[:at]}{source.choice(_FOR_LETTERS if letter.isalpha() else _FOR_OTHERS)}"
        f"{name[at + 1 :]}"
        for at, letter in enumerate(name)
    ]
    arns = (control_arn(arn), *(f"{place}/{changed}" for changed in names))
    return tuple(replace(question, resource_arn=control) for control in arns)


def answers_about(question: Question, controls: Sequence[Evaluation]) -> tuple[Evaluation, ...]:
    """Return those of `controls` that are about `controls_of(question)`; empty if any is missing.

    `controls` may have answers about other documents that the request may mean.
    """
    arn, name = question.resource_arn, question.resource_arn.partition("/")[2]
    answers = tuple(c for c in controls if _is_control(c.resource_arn, arn))
    return answers if len({c.resource_arn for c in answers}) == 1 + len(name) else ()


def _is_control(control: str, arn: str) -> bool:
    if len(control) != len(arn):
        return control == control_arn(arn)
    changed = [at for at, (one, other) in enumerate(zip(control, arn, strict=True)) if one != other]
    return len(changed) == 1 and changed[0] > arn.index("/")
