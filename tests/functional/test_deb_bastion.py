"""The blocks of docs/how-to/bastion-debian.md, executed word for word on a booted Debian.

systemd, sshd, nftables and the plugin's package manager are real. The sandbox is AWS, with the
policies of the bastion guide, and instance metadata gives root the credentials of its role.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import deb
from conftest import FAKES
from fakes import pages
from fakes.debian import Booted, System, ssh_key
from fakes.needs import needs
from fakes.sandbox import NODE, Server, serving
from functional import test_bastion_guide as other
from functional.conftest import release_of

PAGE = deb.ROOT / "docs/how-to/bastion-debian.md"
BLOCKS = {block.title: block.text for block in pages.blocks(PAGE) if block.title}
SHOWN = {
    command.text: command
    for block in pages.blocks(PAGE)
    for command in block.commands
    if command.shown
}
DEFAULTS = "/etc/default/ssmgate-credentials"
RECORDS = "/var/lib/ssmgate/records/alice.jsonl"
START = f"start-session --target {NODE} --reason TICKET-1"
PLUGIN = """#!/bin/sh
# A stub that says which session it was given; it also runs confined.
[ "$1" = --version ] && echo 1.2.764.0 && exit
echo "session: $AWS_SSM_START_SESSION_RESPONSE"
"""


def steps(page: str) -> list[str]:
    """Return the titles of the numbered steps up to the first login."""
    titles = re.findall(r"^## \d+\. (.*)$", page, re.MULTILINE)
    verify = next(n for n, title in enumerate(titles) if title.startswith("Verify"))
    return titles[: verify + 1]


def saved(page: str) -> int:
    """Return how many files the reader saves before the first login."""
    return len(
        re.findall(r"^(?:Save as|Add to the end of) `/|; elsewhere, add", page, re.MULTILINE)
    )


def test_guide_is_three_steps_shorter_with_package() -> None:
    page = PAGE.read_text()

    assert steps(other.GUIDE)[-1] == "Verify: the first login, the first denial"
    assert len(steps(other.GUIDE)) - len(steps(page)) >= 3
    assert saved(other.GUIDE) - saved(page) >= 3


def test_adds_user_as_other_guide_does() -> None:
    there = other.BLOCKS["person"].replace("/opt/ssmgate/bin/", "/usr/lib/ssmgate/")

    assert BLOCKS["person"] == f"{there}systemctl start ssmgate-credentials\n"


@pytest.mark.parametrize("block", ["acceptenv", "pam"])
def test_configures_as_other_guide_does(block: str) -> None:
    assert other.BLOCKS[block] in BLOCKS["configure"]


def test_settings_are_those_of_script() -> None:
    names = re.findall(r"^: \"\$\{(\w+):\?", (deb.PARTS / "ssmgate-credentials").read_text(), re.M)

    assert [line.partition("=")[0] for line in BLOCKS["settings"].splitlines()] == names


def test_page_has_no_other_block() -> None:
    assert BLOCKS.keys() == {"configure", "settings", "load", "person", "uninstall"}


@pytest.mark.parametrize("name", ["sshd.conf", "config.toml"])
def test_packaged_files_name_no_other_path(name: str) -> None:
    assert "/opt/" not in deb.bastion()[name]


def seed() -> str:
    """Return the sandbox's seed with the policies of the bastion guide, and what it leaves out."""
    texts = re.findall(r"^```json\n(.*?)^```$", other.GUIDE, re.DOTALL | re.MULTILINE)
    trust, alice, bastion = texts
    return f"""
        account = "111122223333"
        region = "us-east-1"
        as = "Bastion"
        [[node]]
        id = "{NODE}"
        [[document]]
        name = "SSM-SessionManagerRunShell"
        [[document]]
        name = "Ops-Shell"
        [[role]]
        name = "Bastion"
        [role.policies]
        assume = '''{bastion}'''
        [[role]]
        name = "session-alice"
        trust = '''{trust}'''
        [role.policies]
        session = '''{alice}'''
    """


@dataclass
class Bastion:
    """The bastion that the guide builds, and the sandbox that is its AWS."""

    booted: Booted
    aws: Server
    directory: Path

    def ssh(self, command: str) -> tuple[int, str]:
        """Run `command` as alice does, without a terminal; return its status and output."""
        return self.booted.ssh("alice", self.directory / "key", command)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.booted.must(f"cat {RECORDS}").splitlines()]

    def requests(self, operation: str) -> list[str]:
        """Return who sent each request for `operation` so far."""
        assert self.aws.log is not None
        lines = [line.split() for line in self.aws.log.read_text().splitlines()]
        return [words[0] for words in lines if words[1] == operation]


def plugin_package(directory: Path) -> Path:
    """Build a Debian package with a stub of the plugin, where AWS's has it, and return its path."""
    tree = directory / "plugin"
    program = tree / "usr/local/sessionmanagerplugin/bin/session-manager-plugin"
    deb.write(program, PLUGIN, 0o755)
    lines = ("Package: session-manager-plugin", "Version: 1.2.764.0", "Architecture: all",
             "Maintainer: a <a@example.com>", "Description: a stub", "")  # fmt: skip
    deb.write(tree / "DEBIAN/control", "\n".join(lines))
    for path in tree.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    built = directory / "session-manager-plugin.deb"
    deb.run("dpkg-deb", "--root-owner-group", "--build", tree, built)
    return built


@pytest.fixture(scope="module")
def bastion(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bastion]:
    """Follow the guide."""
    name = release_of(package).name
    directory = tmp_path_factory.mktemp(f"bastion-{name}")
    public = ssh_key(directory / "key")
    (directory / "seed.toml").write_text(seed())
    with System.copied(tmp_path_factory, name, package) as system:
        home = system.root / "root"
        (home / "session-manager-plugin.deb").write_bytes(plugin_package(directory).read_bytes())
        (home / "alice.pub").write_text(public)
        with Booted.started(system) as booted:
            alone = booted.enter("-n")
            options = ("--seed", str(directory / "seed.toml"))
            log = directory / "requests"
            with serving(*options, log=log, before=alone) as aws, subprocess.Popen(
                [*alone, sys.executable, "-m", "fakes.instance_metadata", "Bastion"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=FAKES.parent,
            ) as metadata:  # fmt: skip
                assert metadata.stdin is not None
                assert metadata.stdout is not None
                metadata.stdin.write(json.dumps(aws.principals["Bastion"]))
                metadata.stdin.close()
                assert metadata.stdout.readline() == "ready\n"
                try:
                    follow(booted, aws)
                    yield Bastion(booted, aws, directory)
                finally:
                    metadata.kill()


def follow(booted: Booted, aws: Server) -> None:
    """Execute the blocks of the guide, in order. The sandbox's address is all that is added."""
    etc = booted.system.root / "etc"
    booted.must("dpkg -i /package/ssmgate.deb && cd /root && dpkg -i session-manager-plugin.deb")
    booted.must(f"set -eu\n{BLOCKS['configure']}")
    (booted.system.root / DEFAULTS[1:]).write_text(
        f"{BLOCKS['settings']}AWS_ENDPOINT_URL={aws.url}\n"
    )
    with (etc / "ssmgate/aws").open("a") as file:
        file.write(f"[profile alice]\nendpoint_url = {aws.url}\n")
    with (etc / "ssmgate/config.toml").open("a") as file:
        file.write(f'[aws]\nallowed_endpoints = ["{aws.url}"]\n')
    printed = booted.must(f"set -eu\n{BLOCKS['load']}")
    assert "/etc/ssmgate/config.toml: valid; " in printed
    assert "problem:" not in printed
    booted.must(f"set -eu\ncd /root\n{BLOCKS['person']}")


pytestmark = pytest.mark.timeout(1800)


@needs("ssh")
def test_first_denial_and_first_login(bastion: Bastion) -> None:
    command = next(text for text in SHOWN if "Ops-Shell" in text)
    status, printed = bastion.ssh(" ".join(command.replace("\\\n", "").split()[2:]))

    assert status == 254
    assert pages.matches(SHOWN[command].shown, printed.splitlines()), printed
    assert bastion.requests("ssm:StartSession") == []

    status, printed = bastion.ssh(START)

    assert (status, printed.partition("{")[0]) == (0, "session: "), printed
    assert bastion.requests("ssm:StartSession") == ["session-alice"]
    events = [record["event"] for record in bastion.records]
    assert events == ["decision", "end", "decision", "start", "end"]
    tail = next(text for text in SHOWN if text.startswith("tail "))
    assert pages.matches(SHOWN[tail].shown, bastion.booted.must(tail).splitlines())


def test_records_are_in_journal(bastion: Bastion) -> None:
    bastion.ssh(START)
    found = bastion.booted.must("journalctl --quiet --output cat --identifier ssmgate")

    assert bastion.records
    assert [json.loads(line) for line in found.splitlines()] == bastion.records


@needs("ssh")
def test_user_gets_no_shell(bastion: Bastion) -> None:
    assert bastion.ssh("id")[0] == 252
    assert bastion.ssh("")[0] == 252


@needs("ssh")
def test_login_starts_no_user_manager(bastion: Bastion) -> None:
    """It would execute any program for an escaped plugin."""
    assert bastion.ssh(START)[0] == 0

    units = bastion.booted.must("systemctl list-units --all --plain --no-legend 'user@*'")
    assert units == ""


def test_root_alone_reaches_metadata(bastion: Bastion) -> None:
    command = next(text for text in SHOWN if "curl" in text)
    status, printed = bastion.booted.run(command)

    assert status == 7
    assert pages.matches(SHOWN[command].shown, printed.splitlines()[-1:]), printed
    # It answers root: without a token, with 401.
    assert bastion.booted.run("curl -sfm 3 http://169.254.169.254/")[0] == 22


def test_timer_renews_credentials(bastion: Bastion) -> None:
    timer = "ssmgate-credentials.timer"
    assert bastion.booted.must(f"systemctl is-active {timer}") == "active\n"
    credentials = "/etc/ssmgate/credentials/alice/aws"
    assert bastion.booted.must(f"stat -c '%A %U %G' {credentials}") == "-rw-r----- root alice\n"
    before = len(bastion.requests("sts:AssumeRole"))

    bastion.booted.must("systemctl start ssmgate-credentials.service")

    assert len(bastion.requests("sts:AssumeRole")) == before + 1


def test_systemd_accepts_units(bastion: Bastion) -> None:
    units = "ssmgate-credentials.service ssmgate-credentials.timer"

    assert bastion.booted.must(f"systemd-analyze verify --man=no {units}") == ""
    user = "systemd-analyze verify --user --man=no /usr/lib/systemd/user/ssmgate-daemon.service"
    assert "ssmgate" not in bastion.booted.must(f"XDG_RUNTIME_DIR=/run {user}")


def test_upgrade_leaves_bastion_as_it_is(bastion: Bastion) -> None:
    before = bastion.booted.must("cat /etc/ssmgate/config.toml")

    bastion.booted.must("dpkg -i --force-confold /package/ssmgate.deb")

    assert bastion.booted.must("cat /etc/ssmgate/config.toml") == before
    assert bastion.booted.must("systemctl is-active ssmgate-credentials.timer") == "active\n"
    assert bastion.ssh(START)[0] == 0


def test_uninstalls_as_guide_says(bastion: Bastion) -> None:
    """Which is the last test of this file."""
    remove = other.BLOCKS["remove"]
    # apt-get needs nothing else than dpkg here, and may have no lists.
    uninstall = BLOCKS["uninstall"].replace("apt-get remove -y", "dpkg -r")

    bastion.booted.must(f"set -eu\n{remove}\n{uninstall}")

    assert bastion.ssh(START)[0] == 255
    assert bastion.booted.run("systemctl is-enabled ssmgate-credentials.timer")[0] != 0
    assert "ssmgate" not in bastion.booted.must("nft list ruleset")
    left = bastion.booted.must("find / -xdev -path '*ssmgate*' -not -path '/var/lib/dpkg/*'")
    own = ("/etc/ssmgate", "/etc/default/ssmgate-credentials", "/var/lib/ssmgate", "/var/log/")
    assert [path for path in left.splitlines() if not path.startswith((*own, "/package"))] == []
    assert len(bastion.records) > 0
