"""A session of the sandbox, as the API and the agent know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ssmgate.gate.decision.question import RESOURCE_TAG_PREFIXES
from ssmgate.sandbox.preferences import Preferences


class ChannelDenied(Exception):
    """A data channel is not opened. The text is the reason, without the token."""


@dataclass(slots=True)
class Session:
    """A started session, with the `content` of its document and the request's `parameters`.

    `joined` is true after the token was used to open the data channel, and `lost` while a data
    channel that was opened is not connected. `ended` is None while the session is open. `run_as`
    is the user of the node whom the caller's tag names.
    """

    session_id: str
    target: str
    document_name: str
    owner: str
    user_id: str
    account: str
    region: str
    reason: str | None
    started: datetime
    content: str
    parameters: Mapping[str, Sequence[str]]
    token_value: str = field(repr=False)
    preferences: Preferences = field(default_factory=Preferences)
    run_as: str = ""
    joined: bool = False
    lost: bool = False
    ended: datetime | None = None

    @property
    def status(self) -> str:
        """Return the status by AWS's name."""
        if self.ended is not None:
            return "Terminated"
        return "Disconnected" if self.lost else "Connected"


def resource_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the condition keys of a resource's own tags."""
    return {prefix + key: value for key, value in tags.items() for prefix in RESOURCE_TAG_PREFIXES}
