"""The main job on real input, in under a minute: `make demo`.

A local AWS, `ssmgate sandbox`, decides by the policies of the world that comes with it; the
commands are the installed programs, and ssh and scp are the machine's own OpenSSH. What takes
over a session is a stand-in for session-manager-plugin that joins streams on loopback.
Every step says what is expected. The first that comes out otherwise ends the demo with status 1.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fakes import sshd  # noqa: E402

PROGRAMS = Path(sys.executable).parent
# Another plugin, the real one among them, is taken from another folder.
PLUGIN = ROOT / "tests" / "fakes" / "stream"
NODE = "i-0123456789abcdef0"
START = ("ssm-start-session", "--target", NODE)
SSH = ("--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22")
PROXY = (
    "ssm-start-session --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p"
)
# A role whose ARN has a path, assumed with whatever credentials the environment has.
PROFILE = """[profile bastion]
role_arn = arn:aws:iam::111122223333:role/bastion/SessionUser
credential_source = Environment
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ssmgate-demo-") as folder, aws_in(folder) as aws:
        default_document(aws)
        named_document(aws)
        with_ssh(aws)
        other_layers(aws)
        role_with_a_path(aws)
    say("All as expected. Try it yourself:")
    print('  export PATH="$PWD/.venv/bin:$PWD/tests/fakes/stream:$PATH"')
    print(f"  ssmgate sandbox --as bob -- ssm-start-session --target {NODE}")


def default_document(aws: Aws) -> None:
    say("1. bob may start sessions on the nodes. No policy gives him a session document,")
    say("   but the service does not ask for one where none is named: bare aws lets him in.", 0)
    ended = aws.show("bob", "aws", "ssm", "start-session", "--target", NODE)
    expect("bob has a shell, with bare aws", ended.status == 0, "Starting session" in ended.output)

    say("2. ssmgate asks IAM first. The same user, the same arguments:")
    ended = aws.show("bob", *START)
    expect(
        "bob is refused, with the reason, and StartSession was never sent",
        ended.status == 254,
        "no explicit access to session document 'SSM-SessionManagerRunShell'" in ended.output,
        "bob ssm:StartSession" not in ended.seen,
    )

    say("3. alice's policy names the default document: ssmgate becomes the plugin.")
    ended = aws.show("alice", *START)
    expect(
        "alice has a shell, and ssmgate added not a word",
        ended.status == 0,
        "Starting session" in ended.output,
        "ssmgate:" not in ended.output,
    )


def named_document(aws: Aws) -> None:
    say("4. An ssh session is another document, one of AWS's own, which alice was not given.")
    ended = aws.show("alice", *START, *SSH)
    expect(
        "alice is refused the ssh document by the ARN that IAM knows it by",
        ended.status == 254,
        "on resource: arn:aws:ssm:us-east-1::document/AWS-StartSSHSession" in ended.output,
    )


def with_ssh(aws: Aws) -> None:
    if sshd.program() is None:
        say("5. There is no sshd on this machine: the ssh and scp part is left out.")
        return
    say("5. carol was. ssmgate as ProxyCommand of a real OpenSSH, in ssh_config:")
    print(f"    ProxyCommand {PROXY}")
    with sshd.Sshd(aws.folder) as server:
        config = str(server.client_config(PROXY))
        ended = aws.show("carol", "ssh", "-F", config, NODE, "echo logged in as $(id -un)")
        expect("carol is logged in", ended.status == 0, "logged in as" in ended.output)

        sent, got = aws.folder / "sent", aws.folder / "received"
        sent.write_bytes(os.urandom(1_000_000))
        ended = aws.show("carol", "scp", "-q", "-F", config, str(sent), f"{NODE}:{got}")
        print(f"sha256 sent     {digest(sent)}\nsha256 received {digest(got)}")
        expect("a megabyte came across unchanged", ended.status == 0, digest(sent) == digest(got))

        ended = aws.show("alice", "ssh", "-F", config, NODE, "id")
        expect(
            "alice's ssh ends with the reason, not with a hang",
            ended.status == 255,
            "no explicit access to session document 'AWS-StartSSHSession'" in ended.output,
        )


def other_layers(aws: Aws) -> None:
    say("6. dave's own policy allows everything, but his permissions boundary ends before ssh.")
    ended = aws.show("dave", *START)
    expect("dave has a shell", ended.status == 0, "Starting session" in ended.output)
    ended = aws.show("dave", *START, *SSH)
    expect(
        "dave is refused, and told that it is the boundary",
        ended.status == 254,
        "because no permissions boundary allows" in ended.output,
    )

    say("7. erin's allows everything too, but a service control policy denies her all documents.")
    ended = aws.show("erin", *START)
    expect(
        "erin is refused, and told that it is a service control policy",
        ended.status == 254,
        "explicit deny in a service control policy" in ended.output,
    )


def role_with_a_path(aws: Aws) -> None:
    say("8. bob assumes a role that has a path, which the session's ARN does not show.")
    (aws.folder / ".aws").mkdir()
    (aws.folder / ".aws" / "config").write_text(PROFILE)
    ended = aws.show("bob", "aws", "sts", "get-caller-identity", "--profile", "bastion")
    expect("the ARN has no path", ended.status == 0, "/SessionUser/" in ended.output)
    ended = aws.show("bob", *START, "--profile", "bastion")
    expect(
        "ssmgate found the role, its path and its grant",
        ended.status == 0,
        "Starting session" in ended.output,
        "on arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell: allowed"
        in ended.seen,
    )


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, what it wrote, and what the sandbox logged meanwhile."""

    status: int
    output: str
    seen: str


@dataclass(frozen=True)
class Aws:
    """A sandbox that stays, and a stranger's home in `folder`, which also has its log."""

    folder: Path
    environ: dict[str, str]

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def show(self, who: str, *command: str) -> Ended:
        """Run `command` as `who`, and show it with what it writes."""
        before = len(self.log.read_text())
        print(f"\n{who}$ {shlex.join(command)}", flush=True)
        ended = subprocess.run(
            ["sh", "-c", f'eval "$(ssmgate sandbox env {who})" && exec "$@"', "sh", *command],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        output = ended.stdout.strip("\n")
        print(f"{output}\n" * bool(output) + f"[status {ended.returncode}]", flush=True)
        return Ended(ended.returncode, ended.stdout, self.log.read_text()[before:])


@contextlib.contextmanager
def aws_in(folder: str) -> Iterator[Aws]:
    """A sandbox, ready, until the end of the block. Nobody's own AWS is in its environment."""
    left_out = ("AWS_", "SSMGATE_", "XDG_")
    aws = Aws(
        Path(folder),
        {
            **{k: v for k, v in os.environ.items() if not k.startswith(left_out)},
            "PATH": os.pathsep.join([str(PROGRAMS), str(PLUGIN), os.environ["PATH"]]),
            "HOME": folder,
        },
    )
    with aws.log.open("w") as log:
        server = subprocess.Popen(
            ["ssmgate", "sandbox"],
            env=aws.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        say("A local AWS. In one terminal:")
        print("\n$ ssmgate sandbox", flush=True)
        for line in server.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("Ctrl-C"):
                break
        else:
            expect(f"the sandbox starts: {aws.log.read_text()}", False)
        yield aws
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)


def say(text: str, blank: int = 1) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print("\n" * blank + bold + text + plain, flush=True)


def expect(what: str, *held: bool) -> None:
    print(f"{'ok' if all(held) else 'NOT OK'}: {what}", flush=True)
    if not all(held):
        sys.exit(1)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
