"""Usage errors in the words of AWS CLI v2. Loaded only for an invalid command line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ssmgate.gate.aws import errors
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.printable import Layout


def invalid(message: str) -> InvalidRequest:
    """Return the error with `message`, of one or more lines, and v2's usage."""
    return InvalidRequest(Layout(f"{message}\n\nusage: {errors.USAGE}"), code="ParamValidation")


def invalid_choice(value: str, choices: Iterable[str]) -> str:
    """Return v2's message for `value`, which is not one of `choices`."""
    message = [f"Found invalid choice '{value}'\n"]
    if possible := get_close_matches(value, list(choices), cutoff=0.8):
        message += ["Maybe you meant:\n", *(f"  * {word}" for word in possible)]
    return "\n".join(message)


def reject_prompting(argv: list[str]) -> None:
    """Raise for --cli-auto-prompt in `argv`: CLI v2's prompt would change the command line."""
    if "--no-cli-auto-prompt" in argv:
        raise InvalidRequest(
            "Both --cli-auto-prompt and --no-cli-auto-prompt cannot be specified at the same time.",
            code="ParamValidation",
        )
    if "help" in argv or "--version" in argv:
        return  # v2 does not prompt if these words are anywhere in the command line
    raise InvalidRequest("--cli-auto-prompt is not supported by ssmgate", code="ParamValidation")
