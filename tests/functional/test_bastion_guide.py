"""The blocks of docs/how-to/bastion.md, executed and used, with other paths and names."""

from __future__ import annotations

import configparser
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from conftest import Ended, FakePlugin
from fakes import bastion as bastions
from fakes import pages, sshd
from fakes.bastion import REPOSITORY, Bastion
from fakes.log import Log
from fakes.needs import missing, require
from fakes.scripted_aws import (
    SESSION_ID,
    ScriptedAws,
    credentials,
    evaluation,
    identity,
    xml_error,
)
from fakes.waiting import until

OBSTACLE = bastions.obstacle() or missing("ssh", "scp", "sftp", "sshd")
pytestmark = pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)

PAGE = REPOSITORY / "docs" / "how-to" / "bastion.md"
GUIDE = PAGE.read_text()
BLOCKS = {
    match[1]: match[2]
    for match in re.finditer(r"^```\w+ title=(\w+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
}


def commands_of_page() -> dict[str, pages.Command]:
    """Return the commands of the guide whose output it shows."""
    commands = [command for block in pages.blocks(PAGE) for command in block.commands]
    return {command.text: command for command in commands if command.shown}


SHOWN = commands_of_page()
NODE = "i-0123456789abcdef0"
ALICE = f"ssmg{os.getpid() % 100000}g"
BOB = f"{ALICE}b"  # has no role
GROUP = f"{ALICE}s"
START = f"start-session --target {NODE} --reason TICKET-1"


@dataclass
class Host:
    """The bastion that the guide builds, with a client key for its one user."""

    bastion: Bastion
    server: sshd.Sshd
    aws: ScriptedAws
    log: Log

    def ssh(self, *words: str, program: str = "ssh", port: str = "-p") -> Ended:
        ended = subprocess.run(
            [program, *self.options(port), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "SSMGATE_MODE": "permissive", "LANG": "C.UTF-8"},
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def options(self, port: str = "-p") -> list[str]:
        directory = self.server.directory
        settings = (
            f"IdentityFile={directory}/user_key", "IdentitiesOnly=yes", "BatchMode=yes",
            "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
        )  # fmt: skip
        return [port, str(self.server.port), *(w for s in settings for w in ("-o", s))]

    @property
    def records(self) -> list[dict[str, Any]]:
        text = (self.bastion.root / "var" / "records" / f"{ALICE}.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    @property
    def plugin(self) -> FakePlugin:
        return self.bastion.plugin


def localized(text: str, root: Path) -> str:
    """Return a block with the paths and names of this test."""
    for there, place in (
        ("/opt/ssmgate/", f"{root}/venv/"),
        ("/etc/ssmgate", f"{root}/etc"),
        ("/etc/ssh/authorized_keys", f"{root}/keys"),
        ("/etc/ssh/", f"{root}/ssh/"),
        ("/etc/pam.d/", f"{root}/pam/"),
        ("/var/lib/ssmgate", f"{root}/var"),
        ("/usr/local/sessionmanagerplugin/bin", f"{root}/plugin"),
        ("/home/", f"{root}/homes/"),
        ("ssm-sessions", GROUP),
        ("alice", ALICE),
    ):
        text = text.replace(there, place)
    return text


def assert_as_in_guide(command: str, actual: str, root: Path) -> None:
    """Fail unless the guide shows the output `actual` for `command`. UPDATE_DOCS=1 rewrites it."""
    # The page, as tests before this one may have rewritten it.
    shown = commands_of_page()[command]
    for there, place in (
        (f"{root}/etc", "/etc/ssmgate"),
        (f"{root}/venv/", "/opt/ssmgate/"),
        (ALICE, "alice"),
    ):
        actual = actual.replace(there, place)
    lines = actual.splitlines()
    if "UPDATE_DOCS" in os.environ and not pages.matches(shown.shown, lines):
        pages.update(PAGE, {shown.first: (shown.last, pages.rewritten(shown.shown, lines))})
    else:
        assert pages.matches(shown.shown, lines), actual


def unconfined(root: Path) -> str:
    """Return the configuration for the recording stub, which writes files.

    `test_login_confined.py` has plugins that are confined.
    """
    return localized(BLOCKS["config"], root).replace("[login]", "[login]\nconfine_plugin = false")


def run_block(name: str, root: Path, cwd: Path, **environ: str) -> int:
    """Run a block as a script, and return its exit status."""
    script = localized(BLOCKS[name], root)
    is_file = script.startswith("#!")
    ended = subprocess.run(
        ["sh", *([] if is_file else ["-eu"]), "-c", script],
        cwd=cwd,
        check=not is_file,
        env={"PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{environ.pop('MORE', '')}", **environ},
    )
    return ended.returncode


@pytest.fixture(scope="module")
def followed() -> Iterator[tuple[Bastion, sshd.Sshd]]:
    bastion = Bastion.build()
    root = bastion.root
    keys = root / "sshd"
    keys.mkdir(mode=0o700)
    server = sshd.Sshd(keys, more=localized(BLOCKS["sshd"], root))
    try:
        install = BLOCKS["install"].splitlines()[-1]
        assert install == "install -m 755 bin/ssmgate-login /opt/ssmgate/bin/ssmgate-login"
        shutil.copy(bastion.entry, root / "venv" / "bin" / "ssmgate-login")
        run_block("files", root, root)
        bastion.config_file.write_text(unconfined(root))
        with server:
            shutil.copy(keys / "user_key.pub", root / f"{ALICE}.pub")
            run_block("person", root, root)
            subprocess.run(["useradd", "--no-create-home", BOB], check=True)
            subprocess.run(["gpasswd", "-M", f"{BOB},{ALICE}", GROUP], check=True)
            yield bastion, server
    finally:
        records = root / "var" / "records" / f"{ALICE}.jsonl"
        subprocess.run(["chattr", "-a", str(records)], check=False, capture_output=True)
        for user in (ALICE, BOB):
            subprocess.run(["userdel", "-f", user], check=False, capture_output=True)
        subprocess.run(["groupdel", GROUP], check=False, capture_output=True)
        bastion.remove()


@pytest.fixture(scope="module")
def renewed(
    followed: tuple[Bastion, sshd.Sshd], tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """Return the roles that the guide's script assumed, after it has written the credentials."""
    bastion, _ = followed
    empty = tmp_path_factory.mktemp("renewed")
    with ScriptedAws() as aws:
        aws.script(
            "AssumeRole",
            xml_error("AccessDenied", "no such role", 403),
            credentials("AKIAALICE"),
        )
        status = run_block(
            "credentials",
            bastion.root,
            empty,
            MORE=str(Path(sys.executable).parent),
            AWS_ENDPOINT_URL=aws.url,
            AWS_ACCESS_KEY_ID="AKIAINSTANCE",
            AWS_SECRET_ACCESS_KEY="x",
            AWS_DEFAULT_REGION="us-east-1",
            HOME=str(empty),
        )
        assert status == 1
        return [call.parameters["RoleArn"] for call in aws.calls("AssumeRole")]


@pytest.fixture
def host(
    followed: tuple[Bastion, sshd.Sshd], renewed: list[str], scripted: ScriptedAws
) -> Iterator[Host]:
    bastion, server = followed
    scripted.script(
        "GetCallerIdentity",
        identity(f"arn:aws:sts::111122223333:assumed-role/session-alice/{ALICE}", "AROAX:alice"),
    )
    bastion.aws_file.write_text(localized(BLOCKS["aws"], bastion.root))
    allowed = f'\n[aws]\nallowed_endpoints = ["{scripted.url}"]\n'
    bastion.config_file.write_text(unconfined(bastion.root) + allowed)
    # The scripted AWS is nowhere but here.
    file = bastion.root / "etc" / "credentials" / ALICE / "aws"
    lines = [line for line in file.read_text().splitlines() if "endpoint_url" not in line]
    endpoint = f"endpoint_url = {scripted.url}\nregion ="
    file.write_text("\n".join(line.replace("region =", endpoint) for line in lines))
    for left in (bastion.root / "recorded").iterdir():
        left.unlink()
    records = bastion.root / "var" / "records" / f"{ALICE}.jsonl"
    subprocess.run(["chattr", "-a", str(records)], check=False, capture_output=True)
    os.truncate(records, 0)
    log = Log(bastion.syslog_socket)
    os.chmod(log.path, 0o666)
    yield Host(bastion, server, scripted, log)
    log.close()


@pytest.fixture
def at() -> str:
    return f"{ALICE}@127.0.0.1"


def test_each_user_has_own_credentials(host: Host, renewed: list[str]) -> None:
    """Another user of the group has no role, which keeps nothing from this one."""
    directory = host.bastion.root / "etc" / "credentials"
    for path, mode in ((directory / ALICE, 0o750), (directory / ALICE / "aws", 0o640)):
        known = path.stat()
        assert oct(known.st_mode & 0o7777) == oct(mode)
        assert (known.st_uid, known.st_gid) == (0, pwd.getpwnam(ALICE).pw_gid)
    assert [arn.rpartition("/")[2] for arn in renewed] == [f"session-{BOB}", f"session-{ALICE}"]
    assert sorted(path.name for path in directory.iterdir()) == [ALICE]


def test_user_starts_session(host: Host, at: str) -> None:
    ended = host.ssh(at, START)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert host.aws.calls("SimulatePrincipalPolicy")[0].access_key == "AKIAALICE"
    assert host.aws.calls("StartSession")[0].access_key == "AKIAALICE"
    decision, start, end = host.records
    assert start["session_id"] == SESSION_ID
    assert start["unix"]["user"] == ALICE
    assert start["unix"]["ssh_connection"].startswith("127.0.0.1 ")
    assert host.log.records == [decision, start, end]
    assert host.plugin.environ.keys().isdisjoint({"SSH_AUTH_SOCK", "DISPLAY", "SSMGATE_MODE"})


def test_menu_asks_for_node_and_reason(host: Host, at: str) -> None:
    terminal = pexpect.spawn(
        "ssh", [*host.options(), "-tt", at], timeout=60, encoding="utf-8", env=dict(os.environ)
    )
    terminal.expect("Node ID: ")
    terminal.sendline(NODE)
    terminal.expect("Reason: ")
    terminal.sendline("TICKET-1")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0
    assert host.aws.calls("StartSession")[0].parameters == {"Target": NODE, "Reason": "TICKET-1"}


def assert_refused(host: Host, ended: Ended, *codes: int) -> None:
    assert ended.returncode in codes, ended.stderr
    assert host.aws.calls("StartSession") == []
    assert not host.plugin.started
    assert host.records[-1]["event"] == "end"
    assert host.log.records[-1]["event"] == "end"


UNREASONED = f"start-session --target {NODE}"


@pytest.mark.parametrize(
    ("options", "command", "code"),
    [
        ("", "sh", 252),
        ("-tt", "sh", 252),
        ("", f"{START}; sh", 252),
        ("", f"{START}\nsh", 252),
        ("", "scp -t /tmp", 252),
        ("-s", "sftp", 252),
        ("-o SendEnv=SSMGATE_MODE", UNREASONED, 254),
        ("-o SetEnv=SSMGATE_MODE=permissive", UNREASONED, 254),
        ("-o SetEnv=BASH_ENV=/tmp/x", "sh", 252),
        ("", f"{START} --document-name Ops-Shell", 254),
        ("", "", 252),
    ],
)
def test_denies_other_commands(host: Host, at: str, options: str, command: str, code: int) -> None:
    ended = host.ssh(*options.split(), at, *([command] if command else []))

    assert_refused(host, ended, code)


def test_denies_other_subsystems(host: Host, at: str) -> None:
    ended = host.ssh("-s", at, "netconf")

    assert ended.returncode == 255
    assert "subsystem request failed" in ended.stderr


@pytest.mark.parametrize("words", [["scp"], ["scp", "-O"], ["sftp"]], ids=" ".join)
def test_denies_file_transfer(host: Host, at: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    there = [f"{at}:/tmp/x"] if words[0] == "sftp" else [str(tmp_path / "file"), f"{at}:/tmp/x"]

    ended = host.ssh(*words[1:], *there, program=words[0], port="-P")

    assert_refused(host, ended, 1, 252, 255)


def test_denies_local_forwarding(host: Host, at: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as secret:
        secret.settimeout(1)
        address = f"127.0.0.1:{secret.getsockname()[1]}"
        ended = host.ssh("-W", address, at)
        assert ended.returncode != 0
        assert "stdio forwarding failed" in ended.stderr
        with pytest.raises(TimeoutError):
            secret.accept()


@pytest.mark.parametrize(
    "forward", [["-R", "0:127.0.0.1:22"], ["-R", "/tmp/ssmgate-socket:127.0.0.1:22"], ["-R", "0"]]
)
def test_denies_remote_forwarding(host: Host, at: str, forward: list[str]) -> None:
    ended = host.ssh("-N", "-o", "ExitOnForwardFailure=yes", *forward, at)

    assert ended.returncode == 255
    assert "remote port forwarding failed" in ended.stderr


def test_denies_agent_and_display_forwarding(host: Host, at: str, tmp_path: Path) -> None:
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")])
    until((tmp_path / "agent").exists)
    try:
        before = set(Path("/tmp").glob("ssh-*/agent.*"))
        ended = host.ssh("-A", "-o", f"IdentityAgent={tmp_path}/agent", "-X", at, START)
        assert set(Path("/tmp").glob("ssh-*/agent.*")) == before
    finally:
        agent.terminate()
        agent.wait()

    assert ended.returncode == 0
    assert host.plugin.environ.keys().isdisjoint({"SSH_AUTH_SOCK", "DISPLAY", "XAUTHORITY"})


def test_connection_has_one_session(host: Host, at: str, tmp_path: Path) -> None:
    """A second session could belong to a user who has left, or to another user."""
    host.plugin.on_start("sleep 5")
    control = ["-o", f"ControlPath={tmp_path}/c"]
    first = subprocess.Popen(
        ["ssh", *host.options(), *control, "-M", at, START],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    host.aws.wait_for("StartSession")

    # ssh would go on with a connection of its own.
    alone = ["-o", "ControlMaster=no", "-o", "ProxyCommand=false"]
    second = host.ssh(*control, *alone, at, START)

    first.terminate()
    first.wait()
    assert second.returncode == 255
    assert len(host.aws.calls("StartSession")) == 1


def test_does_not_run_files_of_home(host: Host, at: str) -> None:
    directory = host.bastion.root / "homes" / ALICE / ".ssh"
    directory.mkdir()
    for name in ("rc", "environment", "authorized_keys"):
        (directory / name).write_text(f"touch {directory}/owned\n")
    try:
        ended = host.ssh(at, START)
        assert not (directory / "owned").exists()
    finally:
        shutil.rmtree(directory)

    assert ended.returncode == 0


def test_users_cannot_write_to_home(host: Host) -> None:
    home = Path(pwd.getpwnam(ALICE).pw_dir)

    assert (home.stat().st_uid, home.stat().st_mode & 0o022) == (0, 0)


@pytest.mark.parametrize("words", [["-c", "sh"], ["-c", f"{START}; sh"], ["-"], []])
def test_su_runs_login_shell_too(host: Host, words: list[str]) -> None:
    """The entry script is also the login shell, for users who do not connect by ssh."""
    dash, rest = (["-"], []) if words == ["-"] else ([], words)
    ended = subprocess.run(
        ["setsid", "su", *dash, ALICE, *rest],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert_refused(host, Ended(ended.returncode, ended.stdout, ended.stderr), 252)


def test_denies_user_without_grant(host: Host, at: str) -> None:
    host.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))

    ended = host.ssh(at, START)

    assert_refused(host, ended, 254)
    assert "access denied" in ended.stderr
    assert f" for assumed-role/session-alice/{ALICE}" in ended.stderr


def test_configuration_matches_guide(host: Host) -> None:
    text = host.bastion.config_file.read_text()
    host.bastion.config_file.write_text(text.replace("confine_plugin = false", ""))
    program = [host.bastion.python, "-I", "-m", "ssmgate", "config", "check"]
    checked = host.bastion.run(ALICE, str(host.bastion.config_file), program=program)

    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    assert "note:" not in checked.stdout
    command = "/opt/ssmgate/bin/ssmgate config check /etc/ssmgate/config.toml"
    assert_as_in_guide(command, checked.stdout, host.bastion.root)


def test_denial_matches_guide(host: Host, at: str) -> None:
    command = next(text for text in SHOWN if "Ops-Shell" in text)
    words = command.replace("\\\n", "").split()[2:]
    # As IAM does with the policy of step 3.
    host.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))

    ended = host.ssh(at, *words)

    assert_refused(host, ended, 254)
    assert_as_in_guide(command, ended.stderr, host.bastion.root)
    records = (host.bastion.root / "var" / "records" / f"{ALICE}.jsonl").read_text()
    tail = next(text for text in SHOWN if text.startswith("tail "))
    assert_as_in_guide(tail, records.splitlines()[-1], host.bastion.root)


def test_rejection_matches_guide(host: Host, at: str) -> None:
    ended = host.ssh(at, "id")

    assert_refused(host, ended, 252)
    assert_as_in_guide("ssh alice@bastion id", ended.stderr, host.bastion.root)


def test_sshd_applies_settings_that_guide_shows(host: Host) -> None:
    command = next(text for text in SHOWN if text.startswith("sshd -T"))
    arguments, _, pattern = command.partition(" | grep -E ")
    ended = subprocess.run(
        [str(sshd.program()), "-f", str(host.server.directory / "sshd_config"),
         *localized(arguments, host.bastion.root).split()[1:]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in ended.stdout.splitlines() if re.match(pattern.strip("'"), line)]

    assert_as_in_guide(command, "\n".join(lines), host.bastion.root)


def test_removes_accept_env(host: Host) -> None:
    directory = host.bastion.root / "ssh" / "sshd_config.d"
    directory.mkdir(parents=True)
    file = directory.parent / "sshd_config"
    file.write_text("Port 22\nAcceptEnv LANG LC_*\n  AcceptEnv X\n")
    (directory / "50-ssmgate.conf").write_text(BLOCKS["sshd"])

    run_block("acceptenv", host.bastion.root, directory)

    assert file.read_text() == "Port 22\n#AcceptEnv LANG LC_*\n#  AcceptEnv X\n"
    assert (directory / "50-ssmgate.conf").read_text() == BLOCKS["sshd"]


def test_starts_no_user_manager(host: Host) -> None:
    """Other modules, and lines that only begin like the replaced one, stay."""
    directory = host.bastion.root / "pam"
    directory.mkdir()
    file = directory / "sshd"
    file.write_text("@include common-auth\n@include common-session\n@include common-session-x\n")

    run_block("pam", host.bastion.root, directory)

    assert file.read_text() == (
        "@include common-auth\n@include common-session-noninteractive\n@include common-session-x\n"
    )


def test_removes_user(host: Host, tmp_path: Path) -> None:
    leaver = f"{ALICE}l"
    root = host.bastion.root
    blocks = {name: BLOCKS[name].replace("alice", leaver) for name in ("person", "remove")}
    (root / f"{leaver}.pub").write_text("ssh-ed25519 AAAA")
    credentials_file = root / "etc" / "credentials" / leaver / "aws"
    records = root / "var" / "records" / f"{leaver}.jsonl"

    def run(name: str) -> None:
        script = localized(blocks[name], root)
        subprocess.run(["sh", "-eu", "-c", script], cwd=root, check=True)

    run("person")
    credentials_file.parent.mkdir()
    credentials_file.touch()
    assert pwd.getpwnam(leaver)
    try:
        run("remove")
        with pytest.raises(KeyError):
            pwd.getpwnam(leaver)
        left = [path for path in root.rglob(f"{leaver}*") if path.suffix != ".pub"]
        assert left == [records]
        # The next user may get the same user ID.
        assert (records.stat().st_uid, records.stat().st_gid) == (0, 0)
    finally:
        subprocess.run(["chattr", "-a", str(records)], check=False, capture_output=True)
        subprocess.run(["userdel", "-f", leaver], check=False, capture_output=True)


@pytest.mark.parametrize("name", ["service", "timer"])
def test_systemd_units_of_guide_are_valid(name: str) -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(BLOCKS[name])

    assert {"Unit", name.capitalize()} <= set(unit.sections())
    if name == "service":
        assert f"Save as `{unit['Service']['ExecStart']}`, mode 700" in GUIDE


def test_service_of_guide_is_confined(tmp_path: Path) -> None:
    """systemd rates what a unit may do: from 0 to 10, and 9.6 without a restriction."""
    analyze = require("systemd-analyze")
    unit = tmp_path / "ssmgate-credentials.service"
    unit.write_text(BLOCKS["service"].replace("/usr/local/sbin/ssmgate-credentials", "/bin/true"))

    rated = subprocess.run(
        [analyze, "security", "--no-pager", "--offline=true", "--threshold=25", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert rated.returncode == 0, rated.stdout + rated.stderr


def test_nft_accepts_firewall_rules(tmp_path: Path) -> None:
    nft = require("nft")
    if subprocess.run([nft, "list", "tables"], check=False).returncode != 0:
        pytest.skip("nft may not ask the kernel")
    (tmp_path / "rules").write_text(BLOCKS["firewall"])

    checked = subprocess.run([nft, "-c", "-f", str(tmp_path / "rules")], check=False)

    assert checked.returncode == 0


def test_guide_sets_no_accept_env() -> None:
    lines = [line.strip() for line in BLOCKS["sshd"].splitlines()]

    assert not any(line.startswith("AcceptEnv") for line in lines)
    assert {"DisableForwarding yes", "PermitUserRC no", "PermitUserEnvironment no"} <= set(lines)


def test_each_block_of_guide_has_known_title() -> None:
    """The test would not execute a block without a title."""
    heads = re.findall(r"^```(.*)\n(?:.*\n)*?```$", GUIDE, re.MULTILINE)
    untitled = {head for head in heads if " title=" not in head}

    assert untitled == {"json", "console"}
    assert BLOCKS.keys() == {
        "packages", "install", "files", "config", "aws", "credentials", "service", "timer",
        "person", "sshd", "acceptenv", "pam", "firewall", "remove",
    }  # fmt: skip


def test_policy_statements_of_guide_are_valid_json() -> None:
    for text in re.findall(r"^```json\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE):
        assert json.loads(text)["Version"] == "2012-10-17"
