"""The plugin of a login is confined: what it attempts, and what a session needs.

Each attempt is also made by a plugin that is not confined, where it succeeds.
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import socket
import subprocess
import termios
import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from conftest import FAKES
from fakes import bastion as bastions
from fakes.bastion import Bastion, built_with
from fakes.needs import missing
from fakes.scripted_aws import ScriptedAws
from ssmgate.login import landlock

OBSTACLE = bastions.obstacle() or ("" if landlock.version() else "this kernel has no Landlock")
pytestmark = pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)
needs_gcc = pytest.mark.skipif(bool(missing("gcc")), reason=missing("gcc") or "")

ALICE = f"ssmg{os.getpid() % 100000}c"
START = "start-session --target i-02573cafcf0123456"

# Each is one line of C: see fakes/confined/attempts.c. {root} is the bastion's directory, {home}
# the person's, {pid} another process of the person, {shut} and {free} are ports, {abstract} is the
# name of a socket.
DENIED = {
    "read a file that all users may read": 'reads("{root}/secret")',
    "read /etc/passwd": 'reads("/etc/passwd")',
    "read the configuration": 'reads("{root}/etc/config.toml")',
    "read own records": 'reads("{root}/records/{user}.jsonl")',
    "read other credentials": 'reads("{root}/etc/credentials/bob")',
    "list credentials": 'lists("{root}/etc/credentials")',
    "list /": 'lists("/")',
    "list /home": 'lists("{root}/homes")',
    "read HOME": 'reads("{home}/mine")',
    "write HOME": 'creates("{home}/new")',
    "overwrite in HOME": 'writes("{home}/mine")',
    "truncate in HOME": 'truncate("{home}/mine", 0)',
    "delete in HOME": 'unlink("{home}/deleted")',
    "rename in HOME": 'rename("{home}/renamed", "{home}/renamed2")',
    "link in HOME": 'link("{home}/mine", "{home}/linked")',
    "symbolic link in HOME": 'symlink("/", "{home}/symlink")',
    "FIFO in HOME": 'mkfifo("{home}/fifo", 0600)',
    "directory in HOME": 'mkdir("{home}/directory", 0700)',
    "socket in HOME": 'to_path("{home}/socket", bind)',
    "append to own records": 'opens("{root}/records/{user}.jsonl", O_WRONLY | O_APPEND)',
    "file in /tmp": 'creates("/tmp/{user}-file")',
    "directory in /tmp": 'mkdir("/tmp/{user}-directory", 0700)',
    "file in /dev/shm": 'creates("/dev/shm/{user}-file")',
    "write own credentials": 'writes("{root}/etc/credentials/{user}")',
    "execute a shell": 'executes("/bin/sh", "-c")',
    "execute ssh": 'executes("/usr/bin/env", "--version")',
    "execute Python": 'executes("{root}/venv/bin/python", "--version")',
    "environment of another process": 'reads("/proc/{pid}/environ")',
    "command line of another process": 'reads("/proc/{pid}/cmdline")',
    "own memory by /proc": 'writes("/proc/self/mem")',
    "signal another process": "kill({pid}, 0)",
    "stop another process": "kill({pid}, SIGCONT)",
    "trace another process": "attaches({pid})",
    "abstract socket": 'to_path("@{abstract}", connect)',
}
# The version of Landlock that denies it.
DENIED_LATER = {"socket of another process": ('to_path("{root}/listens", connect)', 9)}
ALLOWED = {
    "connect": "to_port({shut}, connect)",
    "listen for a forwarded port": "to_port({free}, bind)",
    "socket in /tmp": 'to_path("/tmp/{user}.sock", bind)',
    "remove the socket": 'unlink("/tmp/{user}.sock")',
    "read own credentials": 'reads("{root}/etc/credentials/{user}")',
    "read the AWS configuration": 'reads("{root}/etc/aws")',
    "names": 'reads("/etc/hosts")',
    "certificates": 'lists("/etc/ssl/certs")',
    "nothing": 'writes("/dev/null")',
    "random bytes": 'reads("/dev/urandom")',
    "libraries": 'lists("/usr/lib")',
    "stty": 'executes("/usr/bin/stty", "-g")',
    "itself": 'executes("{plugin}", "--version")',
    "signal itself": "kill(getpid(), 0)",
}
# Denied without Landlock too: by root's ownership, and by Yama where the kernel has it.
YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
OTHERWISE_DENIED = {"write own credentials", *(["trace another process"] if YAMA.exists() else [])}


@dataclass(frozen=True)
class Attempts:
    """The results of all attempts by a confined plugin and by one that is not: 0, or an errno."""

    confined: dict[str, int]
    unconfined: dict[str, int]


@pytest.fixture(scope="module")
def built() -> Iterator[Bastion]:
    with built_with(ALICE) as bastion:
        yield bastion


def configure(bastion: Bastion, url: str, *, confine_plugin: bool) -> None:
    """Configure a credentials file for each user."""
    bastion.configure(url, confine_plugin=confine_plugin)
    text = bastion.config_file.read_text()
    own = f'[login]\naws_credentials_file = "{bastion.root}/etc/credentials/{{user}}"'
    bastion.config_file.write_text(text.replace("[login]", own))
    directory = bastion.root / "etc" / "credentials"
    directory.mkdir(exist_ok=True)
    for name in (ALICE, "bob"):
        (directory / name).write_text("[default]\naws_access_key_id=A\naws_secret_access_key=x\n")


def prepare(bastion: Bastion) -> None:
    """Make the files of the attempts, as they were before the first of them."""
    (bastion.root / "secret").write_text("secret")
    home = bastion.root / "homes" / ALICE
    shutil.rmtree(home)
    home.mkdir()
    for name in ("mine", "deleted", "renamed"):
        (home / name).write_text("x")
    subprocess.run(["chown", "-R", f"{ALICE}:", str(home)], check=True)
    for path in (*Path("/tmp").glob(f"{ALICE}*"), *Path("/dev/shm").glob(f"{ALICE}*")):
        path.rmdir() if path.is_dir() else path.unlink()
    bastion.delete_records(ALICE)


def attempted(bastion: Bastion, plugin: Path, url: str, *, confine_plugin: bool) -> dict[str, int]:
    configure(bastion, url, confine_plugin=confine_plugin)
    prepare(bastion)
    text = bastion.config_file.read_text().replace(str(bastion.plugin_file), str(plugin))
    bastion.config_file.write_text(text)
    ended = bastion.run(ALICE, "-c", START)
    assert (ended.returncode, ended.stderr) == (0, "")
    results = (line.rpartition(" ") for line in ended.stdout.splitlines())
    return {name: 0 if result == "ok" else int(result) for name, _, result in results}


@pytest.fixture(scope="module")
def attempts(built: Bastion, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    directory = tmp_path_factory.mktemp("attempts")
    abstract = f"ssmgate-{os.getpid()}"
    plugin = built.root / "plugin" / "attempts"
    alice = pwd.getpwnam(ALICE)
    with (
        subprocess.Popen(
            ["sleep", "60"], user=alice.pw_uid, group=alice.pw_gid, extra_groups=[]
        ) as sleeper,
        ScriptedAws() as aws,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0)) as spare,
        socket.socket(socket.AF_UNIX) as other,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listens = built.root / "listens"
        for one, address in ((other, f"\0{abstract}"), (listener, str(listens))):
            one.bind(address)
            one.listen()
        listens.chmod(0o666)
        facts = {
            "root": str(built.root),
            "plugin": str(plugin),
            "user": ALICE,
            "home": f"{built.root}/homes/{ALICE}",
            "pid": str(sleeper.pid),
            "shut": str(server.getsockname()[1]),
            "free": str(spare.getsockname()[1]),
            "abstract": abstract,
        }
        spare.close()
        later = {name: call for name, (call, _) in DENIED_LATER.items()}
        calls = [
            f'TRY("{name}", {call.format(**facts)});\n'
            for name, call in {**DENIED, **ALLOWED, **later}.items()
        ]
        (directory / "attempts.h").write_text("".join(calls))
        subprocess.run(
            ["gcc", "-D_GNU_SOURCE", f'-DATTEMPTS="{directory}/attempts.h"', "-o", str(plugin),
             str(FAKES / "confined" / "attempts.c")],
            check=True,
        )  # fmt: skip
        try:
            yield Attempts(
                attempted(built, plugin, aws.url, confine_plugin=True),
                attempted(built, plugin, aws.url, confine_plugin=False),
            )
        finally:
            prepare(built)
            sleeper.kill()


@needs_gcc
@pytest.mark.parametrize("name", DENIED)
def test_confined_plugin_is_denied(attempts: Attempts, name: str) -> None:
    assert attempts.confined[name] in (errno.EACCES, errno.EPERM, errno.EXDEV)
    assert attempts.unconfined[name] == 0 or name in OTHERWISE_DENIED


@needs_gcc
@pytest.mark.parametrize(("name", "since"), [(n, since) for n, (_, since) in DENIED_LATER.items()])
def test_newer_landlock_denies_same_attempts(attempts: Attempts, name: str, since: int) -> None:
    assert attempts.confined[name] == (errno.EACCES if landlock.version() >= since else 0)
    assert attempts.unconfined[name] == 0


@needs_gcc
@pytest.mark.parametrize("name", ALLOWED)
def test_confined_plugin_is_permitted(attempts: Attempts, name: str) -> None:
    assert attempts.confined[name] == 0
    assert attempts.unconfined[name] == 0


SCRIPTS = {
    "sh": """\
        #!/bin/sh
        [ "$*" = --version ] && echo 1.2.804.0 && exit
        cat /dev/null < {secret} && echo reads
        stty --version > /dev/null && echo stty
        echo ended
        """,
    "env, Python": """\
        #!/usr/bin/env python3
        import sys
        if sys.argv[1:] == ["--version"]:
            print("1.2.804.0")
            sys.exit()
        import socket, ssl, subprocess
        try:
            open("{secret}")
            print("reads")
        except PermissionError:
            pass
        if subprocess.run(["stty", "--version"], stdout=subprocess.DEVNULL).returncode == 0:
            print("stty")
        print("ended")
        """,
}


def with_plugin(bastion: Bastion, name: str, script: str) -> None:
    """Configure a script as the plugin."""
    plugin = bastion.root / "plugin" / name
    secret = bastion.root / "secret"
    secret.write_text("secret\n")
    plugin.write_text(textwrap.dedent(script).format(secret=secret))
    plugin.chmod(0o755)
    text = bastion.config_file.read_text()
    bastion.config_file.write_text(text.replace(str(bastion.plugin_file), str(plugin)))


def test_records_end_of_confined_session(built: Bastion, scripted: ScriptedAws) -> None:
    configure(built, scripted.url, confine_plugin=True)
    with_plugin(built, "ends", '#!/bin/sh\n[ "$1" = --version ] && echo 1.2.804.0 || exit 7\n')
    built.delete_records(ALICE)

    ended = built.run(ALICE, "-c", START)

    assert ended.returncode == 7, ended.stderr
    decision, start, end = built.records(ALICE)
    assert [record["event"] for record in (decision, start, end)] == ["decision", "start", "end"]
    assert (end["session_id"], end["exit_code"]) == (start["session_id"], 7)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_plugin_may_be_script(built: Bastion, scripted: ScriptedAws, script: str) -> None:
    configure(built, scripted.url, confine_plugin=True)
    with_plugin(built, "script", script)
    built.delete_records(ALICE)

    ended = built.run(ALICE, "-c", START)

    assert (ended.returncode, ended.stdout) == (0, "stty\nended\n"), ended.stderr


def test_nothing_starts_if_plugin_does_not_run_confined(
    built: Bastion, scripted: ScriptedAws
) -> None:
    configure(built, scripted.url, confine_plugin=True)
    with_plugin(built, "reader", "#!/bin/sh\nread -r _ < {secret} && echo 1.2.804.0\n")
    built.delete_records(ALICE)

    ended = built.run(ALICE, "-c", START)

    assert ended.returncode == 253
    assert "confined by Landlock" in ended.stderr
    assert "login.confine_plugin = false" in ended.stderr
    assert scripted.calls("StartSession") == []
    assert built.records(ALICE)[-1]["event"] == "end"


def test_plugin_runs_unconfined_without_landlock(built: Bastion, scripted: ScriptedAws) -> None:
    configure(built, scripted.url, confine_plugin=True)
    with_plugin(built, "reader", SCRIPTS["sh"])
    built.delete_records(ALICE)
    program = [python_of_system(), str(without_landlock(built)), str(built.entry)]

    ended = built.run(ALICE, "-c", START, program=program)

    assert (ended.returncode, ended.stdout) == (0, "reads\nstty\nended\n"), ended.stderr


def test_config_check_and_doctor_report_missing_landlock(
    built: Bastion, scripted: ScriptedAws
) -> None:
    configure(built, scripted.url, confine_plugin=True)
    without = [python_of_system(), str(without_landlock(built)), built.python]
    ssmgate = ["-I", "-m", "ssmgate"]

    checks = {
        program[0]: (
            built.run(ALICE, "config", "check", str(built.config_file), program=program + ssmgate),
            built.run(ALICE, "doctor", program=program + ssmgate, timeout=120),
        )
        for program in ([built.python], without)
    }

    for here, missing_there in zip(checks[built.python], checks[without[0]], strict=True):
        assert landlock.MISSING not in here.stdout
        assert landlock.MISSING in missing_there.stdout


def python_of_system() -> str:
    return str(bastions.python())


def without_landlock(bastion: Bastion) -> Path:
    """Return a copy of the program that all users can read."""
    return Path(shutil.copy(FAKES / "without_landlock.py", bastion.root / "without_landlock.py"))


def test_confined_plugin_cannot_signal_supervisor(built: Bastion, scripted: ScriptedAws) -> None:
    """At a terminal a script waits for the plugin and restores the terminal afterwards."""
    configure(built, scripted.url, confine_plugin=True)
    script = """\
        #!/bin/sh
        [ "$*" = --version ] && echo 1.2.804.0 && exit
        # secret: {secret}
        echo "parent $PPID"
        kill -0 "$PPID" && echo signals
        ( : < /dev/tty ) && echo terminal
        stty raw -echo
        echo ended
        """
    with_plugin(built, "script", script)
    built.delete_records(ALICE)
    user = pwd.getpwnam(ALICE)
    as_alice = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    child = pexpect.spawn(
        "setpriv", [*as_alice, str(built.entry), "-c", START],
        env={"PATH": "/usr/bin:/bin"},  # type: ignore[arg-type]
        encoding="utf-8", timeout=60, cwd="/",
    )  # fmt: skip
    with closing(child):
        child.expect(pexpect.EOF)
        lines = (child.before or "").replace("\r", "").splitlines()

        assert f"parent {child.pid}" in lines
        assert {"terminal", "ended"} <= {*lines}
        assert "signals" not in lines
        assert termios.tcgetattr(child.child_fd)[3] & termios.ECHO
