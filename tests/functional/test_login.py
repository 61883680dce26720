"""`ssmgate login` on a bastion: real unix users, files of root, and the gate."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from fakes import bastion as bastions
from fakes.bastion import Bastion, built_with
from fakes.scripted_aws import SESSION_ID, ScriptedAws, all_decided, evaluation, json_ok
from ssmgate.login import menu

pytestmark = pytest.mark.skipif(bool(bastions.obstacle()), reason=bastions.obstacle())

NODE = "i-02573cafcf0123456"
ALICE = f"ssmg{os.getpid() % 100000}a"


@pytest.fixture(scope="module")
def built() -> Iterator[Bastion]:
    with built_with(ALICE) as bastion:
        yield bastion


@pytest.fixture
def bastion(built: Bastion, scripted: ScriptedAws) -> Bastion:
    built.configure(scripted.url)
    built.delete_records(ALICE)
    return built


def test_command_executes_plugin(bastion: Bastion, scripted: ScriptedAws) -> None:
    ended = bastion.run(
        ALICE, "-c", f"start-session --target {NODE} --reason 'TICKET 1; rm -rf /'", LANG="C.UTF-8"
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert scripted.calls("StartSession")[0].parameters == {
        "Target": NODE,
        "Reason": "TICKET 1; rm -rf /",
    }
    assert scripted.calls("SimulatePrincipalPolicy")[0].access_key == "AKIABASTION"
    environ = bastion.plugin.environ
    assert environ.keys() == {
        "AWS_CONFIG_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_SSM_START_SESSION_RESPONSE", "HOME", "LANG", "PATH", "TERM",
    }  # fmt: skip
    assert environ["HOME"] == f"{bastion.root}/empty"
    decision, start, _end = bastion.records(ALICE)
    assert (decision["verdict"], start["session_id"]) == ("allowed", SESSION_ID)
    assert start["unix"]["user"] == ALICE
    assert os.listdir(bastion.root / "empty") == []


@pytest.mark.parametrize(
    "line",
    [
        f"aws ssm start-session --target {NODE}",
        f"ssm-start-session --target={NODE}",
        f"ssmgate start-session --target '{NODE}' --document-name Dev-Shell",
        f"start-session --parameters portNumber=22 --target {NODE} --document-name AWS-StartSSHSes",
        f"""start-session --target {NODE} --parameters '{{"command":["ls -l"]}}'""",
        f"start-session --target {NODE} --reason --reason=-x".replace(
            "--reason --reason=", "--reason="
        ),
        f"start-session --target {NODE} --reason 'http://tickets.example/1'",
        f"start-session --target {NODE} --reason 'ä€ \"quoted\" --debug'",
    ],
)
def test_runs_offered_commands(bastion: Bastion, scripted: ScriptedAws, line: str) -> None:
    ended = bastion.run(ALICE, SSH_ORIGINAL_COMMAND=line, LANG="C.UTF-8")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert scripted.calls("StartSession")[0].parameters["Target"] == NODE


def test_gate_denies_login(bastion: Bastion, scripted: ScriptedAws) -> None:
    scripted.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))

    ended = bastion.run(ALICE, "-c", f"start-session --target {NODE}")

    assert ended.returncode == 254
    assert "access denied (AccessDeniedException): " in ended.stderr
    decision, end = bastion.records(ALICE)
    assert (decision["verdict"], decision["evidence"]["reason_code"]) == ("denied", "implicit_deny")
    assert (end["event"], end["exit_code"]) == ("end", 254)
    assert decision["decision_id"] == end["decision_id"]


def test_works_as_forced_command_of_login_shell(bastion: Bastion, scripted: ScriptedAws) -> None:
    line = f"start-session --target {NODE}"
    ended = bastion.run(ALICE, "-c", str(bastion.entry), SSH_ORIGINAL_COMMAND=line)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_each_unix_user_has_own_aws_profile(bastion: Bastion, scripted: ScriptedAws) -> None:
    bastion.configure(scripted.url, more=f'[targets]\nallow = ["{NODE}"]\n')
    text = bastion.config_file.read_text()
    bastion.config_file.write_text(text.replace("[login]", '[login]\nprofile = "{user}"'))
    profile = bastion.aws_file.read_text().replace("[default]", f"[profile {ALICE}]")
    bastion.aws_file.write_text(profile.replace("AKIABASTION", "AKIAALICE"))

    assert bastion.run(ALICE, "-c", f"start-session --target {NODE}").returncode == 0
    assert scripted.calls("StartSession")[0].access_key == "AKIAALICE"


def test_each_unix_user_has_own_credentials_file(bastion: Bastion, scripted: ScriptedAws) -> None:
    text = bastion.config_file.read_text()
    name = f'[login]\naws_credentials_file = "{bastion.root}/etc/credentials-{{user}}"'
    bastion.config_file.write_text(text.replace("[login]", name))
    line = f"start-session --target {NODE}"
    file = bastion.root / "etc" / f"credentials-{ALICE}"
    lines = bastion.aws_file.read_text().splitlines(keepends=True)
    bastion.aws_file.write_text("".join(line for line in lines if "aws_" not in line))
    try:
        assert bastion.run(ALICE, "-c", line).returncode == 253
        file.write_text("[default]\naws_access_key_id = AKIAALICE\naws_secret_access_key = x\n")
        assert bastion.run(ALICE, "-c", line).returncode == 0
    finally:
        file.unlink(missing_ok=True)

    assert scripted.calls("StartSession")[0].access_key == "AKIAALICE"
    assert bastion.plugin.environ["AWS_SHARED_CREDENTIALS_FILE"] == str(file)


@pytest.mark.skipif(sys.platform != "linux", reason="it has neither")
def test_plugin_has_no_privileges_and_gains_none(bastion: Bastion) -> None:
    assert bastion.run(ALICE, "-c", f"start-session --target {NODE}").returncode == 0

    status = (bastion.plugin.directory / "status").read_text()
    found = dict(line.split(":", 1) for line in status.splitlines())
    assert found["NoNewPrivs"].strip() == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(found[name], 16) == 0


def test_accepts_region_and_profile_where_permitted(
    bastion: Bastion, scripted: ScriptedAws
) -> None:
    line = f"start-session --target {NODE} --region eu-west-1"
    assert bastion.run(ALICE, "-c", line).returncode == 252

    text = bastion.config_file.read_text()
    bastion.config_file.write_text(text.replace("[login]", '[login]\noptions = ["region"]'))
    assert bastion.run(ALICE, "-c", line).returncode == 0
    assert bastion.plugin.argv[1] == "eu-west-1"


def test_denies_endpoint_that_is_not_allowed(bastion: Bastion, scripted: ScriptedAws) -> None:
    """Only IAM has another endpoint: nothing is sent, and its allow could start nothing."""
    text = bastion.config_file.read_text()
    with ScriptedAws() as elsewhere:
        bastion.aws_file.write_text(
            bastion.aws_file.read_text()
            + f"services = s\n[services s]\niam =\n  endpoint_url = {elsewhere.url}\n"
        )
        line = f"start-session --target {NODE}"
        denied = bastion.run(ALICE, "-c", line)
        assert (scripted.connections, elsewhere.connections) == (0, 0)
        bastion.config_file.write_text(
            text.replace("allowed_endpoints = [", f'allowed_endpoints = ["{elsewhere.url}", ')
        )
        allowed = bastion.run(ALICE, "-c", line)

    assert denied.returncode == 253
    assert f"the endpoint of IAM is {elsewhere.url}" in denied.stderr
    assert "aws.allowed_endpoints" in denied.stderr
    end, decision, start, _end = bastion.records(ALICE)
    assert (end["event"], end["exit_code"]) == ("end", 253)
    assert (allowed.returncode, allowed.stderr) == (0, "")
    asked = {"sts": scripted.url, "iam": elsewhere.url, "ssm": scripted.url}
    assert decision["endpoints"] == start["endpoints"] == asked


@pytest.mark.parametrize("locked", [True, False])
def test_locked_keys_disable_cache(
    bastion: Bastion, scripted: ScriptedAws, tmp_path: Path, locked: bool
) -> None:
    """Neither does a start outside the login, whichever key is locked."""
    allowed = f'[aws]\nallowed_endpoints = ["{scripted.url}"]\n'
    bastion.config_file.write_text(f'locked = ["require_reason"]\n{allowed}' if locked else "")
    home = tmp_path / "home"
    environ = {
        "PATH": f"{bastion.plugin_file.parent}:/usr/bin:/bin",
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(bastion.aws_file),
    }
    for _ in range(2):
        ended = subprocess.run(
            [bastion.python, "-m", "ssmgate", "start-session", "--target", NODE],
            env=environ, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, b"")
    shown = subprocess.run(
        [bastion.python, "-m", "ssmgate", "cache", "show"],
        env=environ, cwd="/", capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert len(scripted.calls("SimulatePrincipalPolicy")) == (2 if locked else 1)
    assert (home / ".cache").exists() is not locked
    words = "nothing is cached: the system's configuration locks keys\n" if locked else ""
    assert shown.stderr == words
    assert len(shown.stdout.splitlines()) == (0 if locked else 2)


def test_caches_no_assumed_roles(bastion: Bastion, scripted: ScriptedAws) -> None:
    from fakes.scripted_aws import credentials

    scripted.script("AssumeRole", credentials("AKIAASSUMED"))
    with bastion.aws_file.open("a") as file:
        file.write(
            "role_arn = arn:aws:iam::111122223333:role/Starter\nsource_profile = source\n"
            "[profile source]\naws_access_key_id = AKIASOURCE\naws_secret_access_key = s\n"
            f"region = us-east-1\nendpoint_url = {scripted.url}\n"
        )
    text = bastion.aws_file.read_text()
    bastion.aws_file.write_text(text.replace("aws_access_key_id = AKIABASTION\n", "", 1))

    ended = bastion.run(ALICE, "-c", f"start-session --target {NODE}")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert scripted.calls("StartSession")[0].access_key == "AKIAASSUMED"
    assert os.listdir(bastion.root / "empty") == []


# Without a command.

NODES = {
    "InstanceInformationList": [
        {"PingStatus": "Online"},
        {"InstanceId": NODE, "Name": "web", "PingStatus": "Online"},
        {"InstanceId": "i-0fedcba9876543210", "Name": "db\x1b[2J", "PingStatus": "Online"},
    ]
}
DOCUMENTS = {"DocumentIdentifiers": [{"Name": "Dev-Shell"}, {}, {"Name": 5}, {"Name": "Ops-Shell"}]}


@pytest.fixture
def listed(scripted: ScriptedAws) -> ScriptedAws:
    scripted.script("DescribeInstanceInformation", json_ok(NODES))
    scripted.script("ListDocuments", json_ok(DOCUMENTS))
    scripted.script("SimulatePrincipalPolicy", all_decided())
    return scripted


def open_terminal(bastion: Bastion) -> pexpect.spawn:
    return pexpect.spawn(
        "setpriv",
        ["--reuid", ALICE, "--regid", ALICE, "--clear-groups", str(bastion.entry)],
        env={"TERM": "xterm", "PATH": "/usr/bin:/bin"},
        timeout=60,
        encoding="utf-8",
    )


def test_menu_asks_for_node_document_and_reason(bastion: Bastion, listed: ScriptedAws) -> None:
    bastion.configure(
        listed.url, top='locked = ["*"]\nrequire_reason = true\ndocuments.deny=["Ops-*"]'
    )
    terminal = open_terminal(bastion)

    terminal.expect("Node \\(1 to 2\\): ")
    assert f"2  {NODE}  web" in terminal.before
    assert "db\\x1b[2J" in terminal.before
    terminal.sendline("web")
    terminal.expect("Document \\(1 to 2\\): ")
    assert "Ops-Shell" not in terminal.before
    terminal.sendline("2")
    terminal.expect("Reason: ")
    terminal.sendline("TICKET-1")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0, terminal.before
    assert listed.calls("StartSession")[0].parameters == {
        "Target": NODE,
        "DocumentName": "Dev-Shell",
        "Reason": "TICKET-1",
    }
    assert [record["event"] for record in bastion.records(ALICE)][-2:] == ["start", "end"]


def test_menu_marks_documents_that_permissive_mode_starts(
    bastion: Bastion, listed: ScriptedAws
) -> None:
    bastion.configure(
        listed.url,
        top='locked = ["*"]\nmode = "permissive"\ndocuments.deny = ["Ops-*"]\n'
        f'targets.allow = ["{NODE}"]',
    )
    terminal = open_terminal(bastion)

    terminal.expect("Node \\(1 to 2\\): ")
    rows = terminal.before.split("\n")[-3:-1]
    assert [menu.DENIED in row for row in rows] == [True, False]
    terminal.sendline(NODE)
    terminal.expect("Document \\(1 to 3\\): ")
    rows = terminal.before.split("\n")[-4:-1]
    assert [row.split()[1] for row in rows] == [
        "SSM-SessionManagerRunShell", "Dev-Shell", "Ops-Shell",
    ]  # fmt: skip
    assert [menu.DENIED in row for row in rows] == [False, False, True]
    terminal.sendline("Ops-Shell")
    terminal.expect("session started anyway")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0
    assert listed.calls("StartSession")[0].parameters["DocumentName"] == "Ops-Shell"


def test_menu_asks_for_id_without_list_of_nodes(bastion: Bastion, scripted: ScriptedAws) -> None:
    terminal = open_terminal(bastion)

    terminal.expect("the nodes cannot be listed")
    terminal.expect("Node ID: ")
    terminal.sendline(NODE)
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0
    assert scripted.calls("StartSession")[0].parameters == {"Target": NODE}


@pytest.mark.parametrize(
    "typed",
    [
        ["9", "0", "-1"],
        ["", "", ""],
        ["--debug", "$(id)", "; sh"],
        ["\x04"],
        ["\x03"],
        ["x" * 600],
        ["1", "Ops Shell", "../x", "\u0661"],
    ],
)
def test_menu_rejects_other_input(bastion: Bastion, listed: ScriptedAws, typed: list[str]) -> None:
    terminal = open_terminal(bastion)
    terminal.expect("Node \\(1 to 2\\): ")
    for line in typed:
        if line in ("\x03", "\x04"):
            terminal.send(line)
        else:
            terminal.sendline(line)
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus in (252, 130)
    assert listed.calls("StartSession") == []
    assert bastion.records(ALICE)[-1]["event"] == "end"


def test_shows_no_menu_without_terminal(bastion: Bastion, scripted: ScriptedAws) -> None:
    ended = bastion.run(ALICE)

    assert ended.returncode == 252
    assert "no command was given, and there is no terminal" in ended.stderr
    assert bastion.records(ALICE)[-1]["event"] == "end"
