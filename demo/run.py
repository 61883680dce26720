"""The main job on real input, in under a minute: `make demo`.

A scripted AWS on loopback answers STS, IAM and SSM in their recorded shapes; the commands are
the installed programs, and ssh and scp are the machine's own OpenSSH.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fakes import sshd  # noqa: E402
from fakes.scripted_aws import (  # noqa: E402
    ACCOUNT,
    ScriptedAws,
    evaluation,
    identity,
)

NODE = "i-02573cafcf0123456"
DEFAULT = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"

# Who may use which session document.
GRANTS = {"alice": set(), "bob": {DEFAULT}, "carol": {SSH}}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ssmgate-demo-") as folder, ScriptedAws() as aws:
        aws.script("GetCallerIdentity", _identity)
        aws.script("SimulatePrincipalPolicy", _simulation)
        environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SSMGATE_"))},
            "PATH": f"{Path(sys.executable).parent}:{ROOT / 'tests/fakes/stream'}"
            f":{os.environ['PATH']}",
            "HOME": folder,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": "us-east-1",
            "AWS_SECRET_ACCESS_KEY": "secret-of-demo",
        }
        say("1. alice has no grant on the default session document. Bare aws would not ask.")
        status, _ = show("alice", environ, "ssm-start-session", "--target", NODE)
        expect(status == 254 and not aws.calls("StartSession"), "alice is refused, nothing began")

        say("2. bob's policy names it: ssmgate becomes the session-manager-plugin.")
        status, output = show("bob", environ, "ssm-start-session", "--target", NODE)
        expect(status == 0 and "Starting session" in output, "bob's session starts")

        say("3. bob may not open an ssh session: that is another document.")
        status, _ = show(
            "bob", environ, "ssm-start-session", "--target", NODE,
            "--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22",
        )  # fmt: skip
        expect(status == 254, "bob is refused the ssh document")

        if sshd.program() is None:
            say("4. There is no sshd on this machine: the ssh and scp part is left out.")
            return
        say("4. carol may: a real OpenSSH login and an scp through ProxyCommand.")
        with sshd.Sshd(Path(folder)) as server:
            config = server.client_config(
                "ssm-start-session --target %h --document-name AWS-StartSSHSession"
                " --parameters portNumber=%p"
            )
            status, output = show(
                "carol", environ, "ssh", "-F", str(config), NODE, "echo logged in as $(id -un)"
            )
            expect(status == 0 and "logged in as" in output, "carol's ssh login works")
            sent, got = Path(folder, "sent"), Path(folder, "got")
            sent.write_bytes(os.urandom(1_000_000))
            status, _ = show(
                "carol", environ, "scp", "-q", "-F", str(config), str(sent), f"{NODE}:{got}"
            )
            expect(status == 0 and digest(sent) == digest(got), "scp carried 1 MB unchanged")
            status, _ = show("alice", environ, "ssh", "-F", str(config), NODE, "id")
            expect(status == 255, "alice's ssh is refused, with the reason")
    say("All as expected.")


def _identity(handler: object, received: object) -> None:
    name = received.access_key.removeprefix("AKIADEMO").lower()
    identity(f"arn:aws:iam::{ACCOUNT}:user/{name}", f"AIDA{name.upper()}")(handler, received)


def _simulation(handler: object, received: object) -> None:
    name = received.parameters["PolicySourceArn"].rpartition("/")[2]
    allowed = received.parameters["ResourceArns.member.1"] in GRANTS[name]
    evaluation("allowed" if allowed else "implicitDeny")(handler, received)


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(who: str, environ: dict[str, str], *command: str) -> tuple[int, str]:
    """Run `command` as `who`, and show it with what it prints."""
    print(f"{who}$ {shlex.join(command)}", flush=True)
    ended = subprocess.run(
        command,
        env={**environ, "AWS_ACCESS_KEY_ID": f"AKIADEMO{who.upper()}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    print(ended.stdout + f"[status {ended.returncode}]", flush=True)
    return ended.returncode, ended.stdout


def expect(held: bool, what: str) -> None:
    print(f"{'ok' if held else 'NOT OK'}: {what}", flush=True)
    if not held:
        sys.exit(1)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
