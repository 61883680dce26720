"""The terminal: what stays beside the plugin to put it back."""

from __future__ import annotations

import os
from dataclasses import replace

from ssmgate.host.plugin import Handover

_SHELL = "/bin/sh"
_SCRIPT = os.path.join(os.path.dirname(__file__), "terminal.sh")
# What shells add to the environment of what they run.
_SHELLS_OWN = ("PWD", "OLDPWD", "SHLVL")


def is_ours() -> bool:
    """Whether stdin is a terminal with this process in its foreground."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def kept(handover: Handover) -> Handover:
    """The same handover, by way of a few lines of sh that put the terminal back at the end.

    The real plugin leaves it in non-canonical mode, and so does the CLI. Nothing else is
    different: the terminal's signals reach the plugin, TERM and HUP are passed on to it, and its
    status is the status, 128 and the signal's number if one ended it. Without /bin/sh the handover
    is as it was; so is one that would fail, for sh could not tell.
    """
    if not (os.access(_SHELL, os.X_OK) and os.access(handover.path, os.X_OK)):
        return handover
    added = " ".join(name for name in _SHELLS_OWN if name not in handover.environ)
    argv = ("sh", _SCRIPT, added, handover.path, *handover.argv[1:])
    return replace(handover, path=_SHELL, argv=argv)
