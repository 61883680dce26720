"""AWS's own session documents, reduced to the parts that a Linux node uses.

Their parameters are as documented. They have those properties that the plugin reads
(src/sessionmanagerplugin/session/portsession of session-manager-plugin) and the node needs.
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _document(
    session_type: str, parameters: Mapping[str, str | None], properties: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a document. `parameters` maps names to defaults, None for a required parameter."""
    declared = {
        name: {"type": "String"} | ({} if default is None else {"default": default})
        for name, default in parameters.items()
    }
    return {
        "schemaVersion": "1.0",
        "sessionType": session_type,
        "parameters": declared,
        "properties": properties,
    }


_FORWARDED = {
    "portNumber": "{{ portNumber }}",
    "type": "LocalPortForwarding",
    "localPortNumber": "{{ localPortNumber }}",
}
_LOCAL = {"portNumber": "80", "localPortNumber": "0"}
_COMMAND = {"linux": {"commands": "{{ command }}", "runAsElevated": False}}

AWS_SESSION_DOCUMENTS: Mapping[str, Mapping[str, Any]] = {
    "AWS-StartSSHSession": _document(
        "Port", {"portNumber": "22"}, {"portNumber": "{{ portNumber }}"}
    ),
    "AWS-StartPortForwardingSession": _document("Port", _LOCAL, _FORWARDED),
    "AWS-StartPortForwardingSessionToRemoteHost": _document(
        "Port", {"host": None, **_LOCAL}, {"host": "{{ host }}", **_FORWARDED}
    ),
    # The names of its properties are not known, so its sessions do not work.
    "AWS-StartPortForwardingSessionToSocket": _document("Port", {"socketPath": None}, {}),
    "AWS-StartInteractiveCommand": _document("InteractiveCommands", {"command": None}, _COMMAND),
    "AWS-StartNonInteractiveCommand": _document(
        "NonInteractiveCommands", {"command": None}, _COMMAND
    ),
    "AWS-PasswordReset": _document("InteractiveCommands", {"username": None}, {}),
}
