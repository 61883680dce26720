"""The prompt for an MFA code."""

from __future__ import annotations

import pytest

from fakes.hostile import HOSTILE, SHOWN
from ssmgate.gate.aws.session import MfaPrompt


def test_escapes_control_characters_of_mfa_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "123456"

    monkeypatch.setattr(MfaPrompt, "ask", staticmethod(ask))

    assert MfaPrompt()(f"Enter MFA code for {HOSTILE}: ") == "123456"
    assert asked == [f"Enter MFA code for {SHOWN}: "]
