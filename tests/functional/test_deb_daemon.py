"""The daemon as a unit of a user, from the Debian package, for logins by ssh on a booted Debian."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.debian import Booted, System, ssh_key
from fakes.needs import needs
from fakes.waiting import until
from functional.conftest import release_of

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def booted(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """Boot a system with the package, and with a locale, which each installed Debian has."""
    with System.copied(tmp_path_factory, release_of(package).name, package) as system:
        (system.root / "etc/default/locale").write_text("LANG=C.UTF-8\n")
        with Booted.started(system) as booted:
            booted.must("dpkg -i /package/ssmgate.deb")
            yield booted


@needs("ssh")
def test_login_uses_daemon_that_user_manager_runs(booted: Booted, tmp_path: Path) -> None:
    public = ssh_key(tmp_path / "key").strip()
    booted.must(
        "useradd --create-home --shell /bin/sh bob && install -d -o bob -m 700 /home/bob/.ssh"
        f" && echo '{public}' > /home/bob/.ssh/authorized_keys"
    )

    def ssh(command: str) -> tuple[int, str]:
        return booted.ssh("bob", tmp_path / "key", command)

    assert ssh("ssmgate daemon status") == (3, "the daemon is not running\n")
    status, printed = ssh("systemctl --user enable --now ssmgate-daemon")
    assert status == 0, printed
    # It loads the AWS CLI first.
    until(lambda: ssh("ssmgate daemon status")[0] != 3)

    status, printed = ssh("ssmgate daemon status")
    assert status == 0, printed
    assert ssh("ssmgate daemon stop")[0] == 0
    until(lambda: ssh("systemctl --user is-active ssmgate-daemon") == (3, "inactive\n"))
