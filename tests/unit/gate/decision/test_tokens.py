"""Texts of a service that may contain a token."""

from __future__ import annotations

import pytest

from ssmgate.gate.decision.tokens import masked

TOKEN = "AAEAAVbTGsaOnyvcUoNGqifbv5r/8lgxuQlj" * 6
SHOWN = f"[{len(TOKEN)} characters, not shown]"
DENIED = (
    "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: ssm:StartSession on"
    " resource: arn:aws:ssm:us-east-1:111122223333:document/" + "Dev-" * 30
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TOKEN, SHOWN),
        (f"Token: '{TOKEN}'.", f"Token: '{SHOWN}'."),
        (f'{{"Token":"{TOKEN}"}}', f'{{"Token":"{SHOWN}"}}'),
        (f"a\n{TOKEN}\tb", f"a\n{SHOWN}\tb"),
        (DENIED, DENIED),
        ("no", "no"),
        ("", ""),
    ],
)
def test_masks_what_may_be_a_token(text: str, shown: str) -> None:
    assert masked(text) == shown
