"""Demonstrate allowed and denied sessions, in under a minute: `make demo`.

A local AWS, `ssmgate sandbox`, evaluates the policies of its default seed. The commands are the
installed programs, and ssh and scp are the machine's own OpenSSH. If session-manager-plugin is
not installed, the sandbox's stub runs the sessions.
Every step prints what is expected. The first unexpected result ends the demo with status 1.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROGRAMS = Path(sys.executable).parent
PLUGIN = "session-manager-plugin"
NODE = "i-0123456789abcdef0"
# In the newest model the service checks the default document too, so bare aws would deny bob.
MODEL = ("--session-document-model", "2023")
START = ("ssm-start-session", "--target", NODE)
SSH = ("--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22")
FORWARD = ("--document-name", "AWS-StartPortForwardingSession", "--parameters")
# A role whose ARN has a path, assumed with the credentials in the environment.
PROFILE = """[profile bastion]
role_arn = arn:aws:iam::111122223333:role/bastion/SessionUser
credential_source = Environment
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ssmgate-demo-") as directory, aws_in(directory) as aws:
        default_document(aws)
        named_document(aws)
        with_ssh(aws)
        other_layers(aws)
        role_with_a_path(aws)
        shell(aws)
        port_forward(aws)
    say("All as expected. Try it yourself:")
    print('  export PATH="$PWD/.venv/bin:$PATH"')
    print(f"  ssmgate sandbox --as bob -- ssm-start-session --target {NODE}")
    print("  ssmgate sandbox --as admin -- bash")


def default_document(aws: Aws) -> None:
    say("1. bob may start sessions on the nodes. No policy gives him a session document,")
    say("   but by AWS's text of 2021 to 2023 the service checks none where none is named:", 0)
    say("   bare aws lets him in.", 0)
    result = aws.show("bob", "aws", "ssm", "start-session", "--target", NODE)
    expect(
        "bob has a shell, with bare aws", result.status == 0, "Starting session" in result.output
    )

    say("2. ssmgate asks IAM first. The same user, the same arguments:")
    result = aws.show("bob", *START)
    expect(
        "bob is refused, with the reason, and StartSession was never sent",
        result.status == 254,
        "session document SSM-SessionManagerRunShell" in result.output,
        "bob ssm:StartSession" not in result.seen,
    )

    say("3. alice's policy names the default document: ssmgate becomes the plugin.")
    result = aws.show("alice", *START)
    expect(
        "alice has a shell, and ssmgate added not a word",
        result.status == 0,
        "Starting session" in result.output,
        "ssmgate:" not in result.output,
    )


def named_document(aws: Aws) -> None:
    say("4. An ssh session is another document, one of AWS's own, which alice was not given.")
    result = aws.show("alice", *START, *SSH)
    expect(
        "alice is refused the ssh document by the ARN that IAM knows it by",
        result.status == 254,
        "allows arn:aws:ssm:us-east-1::document/AWS-StartSSHSession for" in result.output,
    )


def with_ssh(aws: Aws) -> None:
    if not shutil.which("ssh") or not shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"):
        say("5. There is no OpenSSH on this machine: the ssh and scp part is left out.")
        return
    say("5. carol was. ssmgate is the ProxyCommand of a real OpenSSH, as the sandbox sets it up")
    say("   for the command that it runs:", 0)
    result = aws.show_inside("carol", "ssh", NODE, "echo logged in as $(id -un)")
    expect("carol is logged in", result.status == 0, "logged in as" in result.output)

    sent, received = aws.directory / "sent", aws.directory / "received"
    sent.write_bytes(os.urandom(10_000_000))
    result = aws.show_inside("carol", "scp", "-q", str(sent), f"{NODE}:{received}")
    print(f"sha256 sent     {digest(sent)}\nsha256 received {digest(received)}")
    expect(
        "ten megabytes came across unchanged", result.status == 0, digest(sent) == digest(received)
    )

    result = aws.show_inside("alice", "ssh", NODE, "id")
    expect(
        "alice's ssh ends with the reason, not with a hang",
        result.status == 255,
        "session document AWS-StartSSHSession" in result.output,
    )


def other_layers(aws: Aws) -> None:
    say("6. dave's own policy allows everything, but his permissions boundary ends before ssh.")
    result = aws.show("dave", *START)
    expect("dave has a shell", result.status == 0, "Starting session" in result.output)
    result = aws.show("dave", *START, *SSH)
    expect(
        "dave is refused, and told that it is the boundary",
        result.status == 254,
        "no permissions boundary allows" in result.output,
    )

    say("7. erin's allows everything too, but a service control policy denies her all documents.")
    result = aws.show("erin", *START)
    expect(
        "erin is refused, and told that it is a service control policy",
        result.status == 254,
        "explicit deny in a service control policy" in result.output,
    )


def role_with_a_path(aws: Aws) -> None:
    say("8. bob assumes a role that has a path, which the session's ARN does not show.")
    (aws.directory / ".aws").mkdir()
    (aws.directory / ".aws" / "config").write_text(PROFILE)
    result = aws.show("bob", "aws", "sts", "get-caller-identity", "--profile", "bastion")
    expect("the ARN has no path", result.status == 0, "/SessionUser/" in result.output)
    result = aws.show("bob", *START, "--profile", "bastion")
    expect(
        "ssmgate found the role, its path and its grant",
        result.status == 0,
        "Starting session" in result.output,
        "on arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell: allowed"
        in result.seen,
    )


def shell(aws: Aws) -> None:
    say("9. What takes over is a real session: a shell on the node, which is this machine.")
    typed = 'echo "6 times 7 is $((6 * 7))"\nexit\n'
    result = aws.show("alice", *START, typed=typed)
    expect(
        "alice's lines were answered, and her shell has ended",
        result.status == 0,
        "6 times 7 is 42" in result.output,
        "Exiting session with sessionId: alice-" in result.output,
    )


def port_forward(aws: Aws) -> None:
    say("10. And a port forward, to a web server that listens on the node.")
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = (*START, *FORWARD, f"portNumber={server.server_port},localPortNumber=0")
        print(f"\nadmin$ {shlex.join(words)} &")
        with aws.running("admin", *words) as forward:
            url = ""
            for line in forward.stdout or ():
                print(line, end="", flush=True)
                if line.startswith("Port "):
                    url = f"http://127.0.0.1:{line.split()[1]}/"
                    break
            print(f"\nadmin$ curl {url}")
            answer = url and urllib.request.urlopen(url, timeout=30).read().decode()
            print(answer)
            forward.send_signal(signal.SIGINT)
            forward.communicate(timeout=30)
        expect("the web server's answer came through", answer == Hello.text)
        server.shutdown()


class Hello(BaseHTTPRequestHandler):
    """A web server on the node."""

    text = "hello from the node"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@dataclass(frozen=True)
class Result:
    """The result of a command: its status, its output, and the sandbox's log of that time."""

    status: int
    output: str
    seen: str


@dataclass(frozen=True)
class Aws:
    """A running sandbox. `directory` is an empty home directory, and also has the log."""

    directory: Path
    environ: dict[str, str]

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def show(self, who: str, *command: str, typed: str = "exit\n") -> Result:
        """Run `command` as `who`, and print it with its output."""
        return self._show(who, command, self.as_user(who, command), typed)

    def show_inside(self, who: str, *command: str) -> Result:
        """Run `command` in a sandbox of its own, which also configures ssh."""
        return self._show(who, command, ["ssmgate", "sandbox", "--as", who, "--", *command])

    def running(self, who: str, *command: str) -> subprocess.Popen[str]:
        """Start `command` as `who`."""
        return subprocess.Popen(
            self.as_user(who, command),
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def as_user(who: str, command: tuple[str, ...]) -> list[str]:
        line = f'eval "$(ssmgate sandbox env {who})" && exec "$@"'
        return ["sh", "-c", line, "sh", *command]

    def _show(
        self, who: str, command: tuple[str, ...], words: list[str], typed: str = "exit\n"
    ) -> Result:
        before = len(self.log.read_text())
        print(f"\n{who}$ {shlex.join(command)}", flush=True)
        with subprocess.Popen(
            words,
            env=self.environ,
            # Open, like a terminal: the plugin ends at the end of its input.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            kill_timer = threading.Timer(60, process.kill)
            kill_timer.daemon = True
            kill_timer.start()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(typed)
                process.stdin.flush()
            written = process.stdout.read()
            process.wait()
            kill_timer.cancel()
        output = written.strip("\n")
        print(f"{output}\n" * bool(output) + f"[status {process.returncode}]", flush=True)
        return Result(process.returncode, written, self.log.read_text()[before:])


@contextlib.contextmanager
def aws_in(directory: str) -> Iterator[Aws]:
    """Run a sandbox while the block runs, without the user's own AWS in its environment."""
    excluded = ("AWS_", "SSMGATE_", "XDG_")
    path = [str(PROGRAMS), os.environ["PATH"]]
    if shutil.which(PLUGIN) is None:
        (Path(directory) / "bin").mkdir()
        stub = Path(directory) / "bin" / PLUGIN
        python = shlex.quote(sys.executable)
        stub.write_text(f'#!/bin/sh\nexec {python} -m ssmgate.sandbox.plugin "$@"\n')
        stub.chmod(0o755)
        path.append(f"{directory}/bin")
    aws = Aws(
        Path(directory),
        {
            **{k: v for k, v in os.environ.items() if not k.startswith(excluded)},
            "PATH": os.pathsep.join(path),
            "HOME": directory,
        },
    )
    with aws.log.open("w") as log:
        server = subprocess.Popen(
            ["ssmgate", "sandbox", *MODEL],
            env=aws.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        say("A local AWS. In one terminal:")
        print(f"\n$ ssmgate sandbox {shlex.join(MODEL)}", flush=True)
        for line in server.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("Ctrl-C"):
                break
        else:
            expect(f"the sandbox starts: {aws.log.read_text()}", False)
        yield aws
    finally:
        # Not SIGINT, which is ignored if a shell runs the demo in the background.
        server.terminate()
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
