"""`ssmgate ssh-config`: its block in a real ssh, and the traffic through it, in the sandbox."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conftest import FAKES, Machine, needs
from fakes import sshd
from ssmgate.commands.ssh_config import proxy_command

NODE = "i-0123456789abcdef0"
SHELLS = ("sh", "bash", "dash", "zsh", "fish")

shells = pytest.mark.parametrize("shell", [pytest.param(s, marks=needs(s)) for s in SHELLS])


def ssmgate(
    *words: str, environ: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("ssmgate"), *words],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def block(*options: str) -> str:
    printed = ssmgate("ssh-config", *options)
    assert (printed.returncode, printed.stderr) == (0, "")
    return printed.stdout


def test_prints_block() -> None:
    program = Path(sys.executable).with_name("ssm-start-session")
    assert block() == (
        "Host i-* mi-*\n"
        f"    ProxyCommand {program} --target '%h' --document-name AWS-StartSSHSession"
        " --parameters portNumber=%p\n"
    )
    printed_block = block(
        "--host", "web-*", "--host", "!web-9", "--user", "ec2-user", "--region", "eu-west-1"
    )
    assert printed_block.startswith("Host web-* !web-9\n    User ec2-user\n    ProxyCommand ")
    assert printed_block.endswith(" --region=eu-west-1\n")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--profile", ""),
        ("--profile", "a\nProxyCommand touch planted"),
        ("--profile", "a\rb"),
        ("--profile", "a\tb"),
        ("--profile", "a\x1b[2Jb"),
        ("--profile", "a\x7fb"),
        ("--profile", "a\u2028b"),
        ("--profile", b"a\xffb"),
        ("--region", ""),
        ("--region", "eu-west-1 --profile admin"),
        ("--region", "eu-west-1;id"),
        ("--region", "-x"),
        ("--region", "eu\nwest"),
        ("--user", ""),
        ("--user", "a b"),
        ("--user", "a\n    LocalCommand id"),
        ("--user", "%h"),
        ("--user", "${HOME}"),
        ("--user", '"a'),
        ("--user", "-l"),
        ("--host", ""),
        ("--host", "i-* *"),
        ("--host", "i-*\nHost *"),
        ("--host", "#"),
        ("--host", '"i-*'),
        ("--host", "$(id)"),
        ("--host", "-v"),
        ("--host", "!"),
    ],
)
def test_rejects_hostile_values(option: str, value: str | bytes) -> None:
    ended = subprocess.run(
        [Path(sys.executable).with_name("ssmgate"), "ssh-config", option, value],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (252, b"")
    first, hint, *more = ended.stderr.decode().splitlines()
    assert first.startswith(f"ssmgate: [ERROR]: Invalid value for '{option}': ")
    assert (hint, more) == ("ssmgate: hint: ssmgate ssh-config --help", [])


NAMES = (
    "plain", "two words", " lead", "tail ", "it's", "''", 'say "hi"', '"', "%", "%h", "100%%n",
    "%%", "$HOME", "${HOME}", "`id`", "$(id)", "back\\slash", "\\\\two", "end\\", "\\'", '\\"',
    "\\ ", "\\n", "a;b", "a|b", "a&b", "a>b", "<b", "#hash", "a #b", "~", "~root", "=ls", "*", "?",
    "[x]", "{a,b}", "(x)", "!", "!!", "^a^b", "-dash", "--region=x", "-", "ünïcode", "日本", "a=b",
    "@x", "a,b", "a:b",
)  # fmt: skip


@needs("ssh")
@shells
def test_each_name_reaches_program_unchanged(shell: str, tmp_path: Path) -> None:
    """Through ssh's reading of the file, its %-tokens, and the shell that it takes from SHELL."""
    directory = tmp_path / 'it\'s 50%h \\ $HOME "x"'
    directory.mkdir()
    program, seen = directory / "ssm-start-session", tmp_path / "seen"
    program.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" >>{shlex.quote(str(seen))}\n")
    program.chmod(0o755)
    config = tmp_path / "config"
    wanted: list[str] = []
    for name in NAMES:
        config.write_text(
            f"Host i-*\n    ProxyCommand {proxy_command(str(program), name, 'r-1')}\n"
        )
        ended = subprocess.run(
            ["ssh", "-F", str(config), "-p", "2222", NODE],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "SHELL": str(shutil.which(shell)),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        wanted += ["--target", NODE, "--document-name", "AWS-StartSSHSession"]
        wanted += ["--parameters", "portNumber=2222", f"--profile={name}", "--region=r-1"]
        assert seen.read_text().split("\0")[:-1] == wanted, (name, ended.stderr)


@needs("ssh")
@pytest.mark.parametrize("host", ["i-$(touch planted)", "i-`touch planted`", "i-;touch planted;"])
def test_shell_does_not_interpret_host(host: str, tmp_path: Path) -> None:
    """As ssh before 9.6 passes it on; later versions reject such a host."""
    line = proxy_command("/bin/echo", None, None).replace("%h", host).replace("%p", "22")
    subprocess.run(["sh", "-c", f"exec {line}"], cwd=tmp_path, timeout=60, check=True)
    subprocess.run(
        ["ssh", "-F", "/dev/stdin", host],
        input=f"Host i-*\n    ProxyCommand {proxy_command('/bin/false', None, None)}\n",
        cwd=tmp_path, text=True, timeout=60, capture_output=True, check=False,
    )  # fmt: skip
    assert list(tmp_path.glob("**/planted")) == []


@needs("ssh", "sshd")
@shells
def test_logs_in_with_unusual_profile_name(
    shell: str, machine: Machine, ssh_server: sshd.Sshd, tmp_path: Path
) -> None:
    name = 'it\'s 50% "odd" $HOME \\'
    (machine.home / ".aws").mkdir()
    (machine.home / ".aws" / "credentials").write_text(
        f"[{name}]\naws_access_key_id = AKIAODD\naws_secret_access_key = s\n"
    )
    config = tmp_path / "config"
    config.write_text(
        block("--profile", name, "--region", "eu-west-1") + ssh_server.client_options()
    )
    ended = subprocess.run(
        ["ssh", "-F", str(config), NODE, "cat"],
        env=machine.variables(
            PATH=f"{FAKES / 'stream'}:{os.environ['PATH']}",
            SHELL=shutil.which(shell),
            AWS_REGION=None,
        ),
        input="through",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "through"), ended.stderr
    assert {r.access_key for r in machine.aws.received} == {"AKIAODD"}
    assert "/eu-west-1/ssm/" in machine.aws.calls("StartSession")[0].headers["Authorization"]


def in_sandbox(who: str, script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run `script` by sh in the sandbox as `who`, with a plugin that joins streams."""
    environ = {
        "PATH": f"{FAKES / 'stream'}:{os.environ['PATH']}",
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    words = (
        "sandbox",
        "--as",
        who,
        "--",
        "sh",
        "-ec",
        f"cd {shlex.quote(str(directory))}\n{script}",
    )
    return ssmgate(*words, environ=environ, timeout=110)


@pytest.fixture
def config(ssh_server: sshd.Sshd, tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(block() + ssh_server.client_options())
    return path


@needs("ssh", "sshd", "scp", "sftp", "rsync", "git")
def test_ssh_scp_sftp_rsync_and_git_work(config: Path, tmp_path: Path) -> None:
    (tmp_path / "tree" / "below").mkdir(parents=True)
    data = os.urandom(2_000_000)
    (tmp_path / "tree" / "below" / "file").write_bytes(data)
    there = shlex.quote(str(tmp_path))
    ended = in_sandbox(
        "carol",
        f"""
        ssh -F config {NODE} 'echo by ssh; cat' <tree/below/file >by-ssh
        scp -q -F config tree/below/file {NODE}:{there}/by-scp
        scp -q -O -F config {NODE}:{there}/by-scp by-old-scp
        printf 'put tree/below/file {there}/by-sftp\\n' | sftp -q -b - -F config {NODE} >/dev/null
        rsync -a -e 'ssh -F config' tree/ {NODE}:{there}/by-rsync/
        git init -q --bare bare.git
        git init -q work
        cd work
        git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m first
        export GIT_SSH_COMMAND='ssh -F ../config'
        git push -q ssh://{NODE}{there}/bare.git HEAD:refs/heads/main
        git clone -q -b main {NODE}:{there}/bare.git ../by-git
        """,
        tmp_path,
    )

    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    assert (tmp_path / "by-ssh").read_bytes() == b"by ssh\n" + data
    for name in ("by-scp", "by-old-scp", "by-sftp", "by-rsync/below/file"):
        assert (tmp_path / name).read_bytes() == data, name
    assert (tmp_path / "by-git" / ".git").is_dir()
    assert "ssmgate:" not in ended.stderr


@needs("ssh", "sshd")
def test_denies_without_grant_of_ssh_document(config: Path, tmp_path: Path) -> None:
    ended = in_sandbox("alice", f"exec ssh -F config {NODE} true", tmp_path)

    assert (ended.returncode, ended.stdout) == (255, "")
    assert "session document AWS-StartSSHSession\n" in ended.stderr


@needs("ssh", "sshd")
def test_control_master_starts_one_session(machine: Machine, config: Path, tmp_path: Path) -> None:
    """Further logins use the session of the first: neither IAM nor SSM is called again."""
    # A socket's path has room for some hundred bytes.
    with tempfile.TemporaryDirectory() as short:
        options = f"-F {config} -o ControlMaster=auto -o ControlPath={short}/%C"
        script = (
            f"ssh {options} -o ControlPersist=60 {NODE} echo one 2>{short}/errors </dev/null\n"
            f"ssh {options} {NODE} echo two\nssh {options} -O exit {NODE} 2>/dev/null\n"
        )
        ended = run_script(script, machine, tmp_path)

    assert (ended.returncode, ended.stdout) == (0, "one\ntwo\n"), ended.stderr
    assert machine.aws.operations.count("StartSession") == 1
    assert machine.aws.operations.count("SimulatePrincipalPolicy") == 1


@needs("ssh", "sshd")
def test_node_works_as_proxy_jump(
    machine: Machine, ssh_server: sshd.Sshd, config: Path, tmp_path: Path
) -> None:
    """The session is to the node alone; the node connects to the hosts behind it."""
    with config.open("a") as file:
        file.write(
            ssh_server.client_options().replace("Host i-*", "Host behind\n  HostName 127.0.0.1")
        )
        file.write(f"  ProxyJump {NODE}\n")
    ended = run_script(f"ssh -F {config} behind echo there", machine, tmp_path)

    assert (ended.returncode, ended.stdout) == (0, "there\n"), ended.stderr
    assert [r.parameters["Target"] for r in machine.aws.calls("StartSession")] == [NODE]


@needs("ssh", "sshd")
def test_connects_as_editor_does(machine: Machine, config: Path, tmp_path: Path) -> None:
    """As Visual Studio Code: no terminal, a SOCKS port, and a script on the stdin of a shell."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = f"echo 'echo \"$((6 * 7))\"' | ssh -T -D 127.0.0.1:{port} -F {config} {NODE} bash"
    ended = run_script(script, machine, tmp_path)

    assert (ended.returncode, ended.stdout) == (0, "42\n"), ended.stderr


def run_script(script: str, machine: Machine, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-ec", script],
        env=machine.variables(PATH=f"{FAKES / 'stream'}:{os.environ['PATH']}"),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
