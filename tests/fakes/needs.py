"""Skip and count the tests whose programs this machine lacks.

Where SKIP_NOTHING is set, as in `.ci/run`, which installs them, a missing program is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

REASON = "not installed: "

# The Debian packages whose names differ from their programs'.
PACKAGES = {
    "bwrap": "bubblewrap",
    "dpkg-deb": "dpkg",
    "journalctl": "systemd",
    "nft": "nftables",
    "rsyslogd": "rsyslog",
    "scp": "openssh-client",
    "setpriv": "util-linux",
    "sftp": "openssh-client",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
    "useradd": "passwd",
}
# How to install what Debian does not package, or not in each release.
COMMANDS = {
    "duckdb": ".venv/bin/pip install duckdb",
    "python3.11": "uv python install 3.11",
    "python3.13": "uv python install 3.13",
}


def find(program: str) -> str | None:
    """Return the path of `program`, or None. Also looks where a user's PATH rarely leads (sshd)."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin"
    return shutil.which(program, path=path)


def missing(*programs: str) -> str:
    """Return the reason for a skip: which of `programs` are not installed; empty if none."""
    names = [name for name in programs if find(name) is None]
    return f"{REASON}{', '.join(names)}" if names else ""


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip a test where one of `programs` is not installed."""
    reason = missing(*programs)
    return pytest.mark.skipif(bool(reason), reason=reason)


def require(program: str) -> str:
    """Return the path of `program`; skip the running test where it is not installed."""
    path = find(program)
    if path is None:
        pytest.skip(missing(program))
    return path


def fail_if_not_installed(report: pytest.TestReport) -> None:
    """Turn the skip for a missing program into a failure where SKIP_NOTHING is set."""
    if "SKIP_NOTHING" in os.environ and (programs := _not_installed(report)):
        report.outcome = "failed"
        report.longrepr = f"{REASON}{programs}, and SKIP_NOTHING is set"


def _not_installed(report: Any) -> str:
    """Return the programs for which the test of `report` was skipped, empty if for none."""
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    match = re.search(rf"{REASON}(.*)", reason)
    return match[1] if match else ""


def summary(skipped: Iterable[Any]) -> list[str]:
    """Return a line for each set of missing programs: how many of `skipped`, pytest's reports."""
    counts = Counter(programs for report in skipped if (programs := _not_installed(report)))
    lines = []
    for programs, count in counts.most_common():
        names = programs.split(", ")
        lines.append(
            f"not run: {count} test{'s need' if count > 1 else ' needs'} "
            f"{' and '.join(names)}: {_command(names)}"
        )
    return lines


def _command(names: list[str]) -> str:
    """Return the command line that installs the programs or Python packages `names`."""
    packages = [PACKAGES.get(name, name) for name in names if name not in COMMANDS]
    apt = [f"apt install {' '.join(dict.fromkeys(packages))}"] if packages else []
    return " && ".join([*apt, *(COMMANDS[name] for name in names if name in COMMANDS)])
