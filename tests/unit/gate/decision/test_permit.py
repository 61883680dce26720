"""A permit is a decision that this process has made: nothing else makes one, or changes it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable

import pytest

from ssmgate.gate.decision import decision
from ssmgate.gate.decision.decision import Permit
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest

REQUEST = SessionRequest("i-1")
PERMIT = decision.override(REQUEST, decision.Unknown(Reason.IDENTITY, "x"))


def test_copy_of_permit_is_same_permit() -> None:
    assert copy.copy(PERMIT) is PERMIT
    assert copy.deepcopy([PERMIT])[0] is PERMIT


@pytest.mark.parametrize(
    "forge",
    [
        lambda: dataclasses.replace(PERMIT, request=SessionRequest("i-2")),
        lambda: dataclasses.replace(PERMIT),
        lambda: getattr(copy, "replace", dataclasses.replace)(PERMIT, overridden=None),
        lambda: Permit(request=REQUEST),
        lambda: pickle.dumps(PERMIT),
        lambda: pickle.dumps(PERMIT, 0),
        lambda: pickle.dumps(decision.SimulationAttempt(REQUEST, (), (), PERMIT)),
    ],
)
def test_only_decision_makes_permit(forge: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        forge()
