"""What came close, and what to do about it, from the caller's policies as they stand."""

from __future__ import annotations

from ssmgate.check.report import Answer
from ssmgate.check.sources import Sources


def explained(answer: Answer, known: Sources) -> Answer:
    """`answer` with the statements that came close, and advice. Never with another verdict."""
    return answer
