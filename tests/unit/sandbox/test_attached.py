"""Policies that are stored."""

from __future__ import annotations

import pytest

from ssmgate.sandbox.attached import read_policy
from ssmgate.sandbox.faults import ServiceFault


def test_stored_policy_that_cannot_be_read_allows_nothing() -> None:
    with pytest.raises(ServiceFault, match="cannot read policy user_mallory_p: ") as raised:
        read_policy("{", "user_mallory_p")
    assert raised.value.status == 500
