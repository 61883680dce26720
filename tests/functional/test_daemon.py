"""Starts by a daemon: identical to cold starts in all that can be observed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import TARGET, Ended, Machine
from fakes.capabilities import drop_bounding_set
from fakes.daemon_client import BY_DAEMON, COLD, Daemon, begin, running, start
from fakes.log import Log
from fakes.scripted_aws import (
    STARTED,
    Answer,
    evaluation,
    json_error,
    json_ok,
    text,
    xml_error,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def daemon(home: Path) -> Iterator[Daemon]:
    """Run one daemon for all tests that leave it unchanged."""
    with running({"HOME": str(home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}) as daemon:
        yield daemon


@pytest.fixture
def machine(machine: Machine, home: Path) -> Machine:
    """Return a machine with the HOME of the daemon."""
    machine.environ["HOME"] = str(home)
    return machine


# What can be seen of a start.

RECORD = r"""
umask > "$FAKE_PLUGIN/umask"
readlink /proc/$$/cwd > "$FAKE_PLUGIN/cwd"
for n in /proc/$$/fd/*; do echo "${n##*/} $(readlink "$n")"; done > "$FAKE_PLUGIN/descriptors"
tr '\0' '\n' < /proc/$$/cmdline > "$FAKE_PLUGIN/cmdline"
cat > "$FAKE_PLUGIN/stdin"
# Its own: a shell blocks signals while it starts another program.
grep -E "^(Sig(Ign|Blk|Cgt)|Groups|Uid|Gid|CapEff|NoNewPrivs)" /proc/self/status \
    > "$FAKE_PLUGIN/rights"
echo to stdout
echo to stderr >&2
exit 7
"""


def observed(machine: Machine, ended: Ended) -> dict[str, object]:
    directory = machine.plugin.directory
    seen: dict[str, object] = {
        name: (directory / name).read_bytes()
        for name in ("argv", "umask", "cwd", "cmdline", "stdin", "rights")
    }
    # Pipes and the plugin's own reading end differ from run to run.
    seen["descriptors"] = re.sub(r"pipe:\[\d+\]", "pipe", (directory / "descriptors").read_text())
    seen["environ"] = sorted((directory / "environ").read_bytes().split(b"\n"))
    return {**seen, "ended": ended}


NOTHING: dict[str, str] = {}
SEEN = [
    pytest.param([], [], NOTHING, id="a plain start"),
    pytest.param(["sh", "-c", 'umask 027; exec "$@"', "sh"], [], NOTHING, id="umask"),
    pytest.param(["sh", "-c", 'umask 177; exec "$@"', "sh"], [], NOTHING, id="umask of most"),
    pytest.param(["nohup"], [], NOTHING, id="nohup"),
    pytest.param(
        ["sh", "-c", 'trap "" INT QUIT HUP TERM USR1 CHLD; exec "$@"', "sh"], [], NOTHING,
        id="ignored signals",
    ),
    pytest.param(["sh", "-c", '"$@" <&0 & wait $!', "sh"], [], NOTHING, id="in the background"),
    pytest.param(
        ["sh", "-c", 'exec 5< /dev/null 7> /dev/null; exec "$@"', "sh"], [], NOTHING,
        id="more descriptors",
    ),
    pytest.param(["sh", "-c", 'exec "$@" >&-', "sh"], [], NOTHING, id="stdout closed"),
    pytest.param(["sh", "-c", 'cd /usr/lib; exec "$@"', "sh"], [], NOTHING, id="another directory"),
    pytest.param(["setsid", "-w"], [], NOTHING, id="a new session"),
    pytest.param(["env", "a b=c", "EMPTY=", "x.y=\n1\n"], [], NOTHING, id="odd names"),
    pytest.param([], [], {"ODD": "\udcff\udc80", "\udcfe": "x"}, id="bytes that are not text"),
    pytest.param([], [], {"BIG": "x" * 100_000, "MORE": "y" * 100_000}, id="a large environment"),
    pytest.param([], [], {f"V{n}": "" for n in range(3000)}, id="many variables"),
    pytest.param(
        [], ["--reason", "päper 'quoted' \\", "--parameters", "b=2,3,a=1",
             "--document-name", "AWS-StartSSHSession", "--region", "eu-west-1"],
        NOTHING, id="every option",
    ),
    pytest.param([], ["--parameters", json.dumps({"a": ["x" * 60_000]})], NOTHING, id="long words"),
    pytest.param([], [], {"BOTOCORE_EXPERIMENTAL__PLUGINS": "a=b"}, id="a removed variable"),
    pytest.param([], [], {"AWS_DATA_PATH": "/x"}, id="a variable of awscli"),
    pytest.param([], [], {"SSMGATE_PLUGIN_PASS_CREDENTIALS": "true"}, id="passed credentials"),
    pytest.param([], [], {"SSMGATE_MODE": "permissive"}, id="permissive"),
    pytest.param([], [], {"AWS_CONFIG_FILE": os.devnull}, id="no configuration"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "words", "environ"), SEEN)
def test_plugin_gets_same_as_after_cold_start(
    machine: Machine,
    daemon: Daemon,
    before: list[str],
    words: list[str],
    environ: dict[str, str],
) -> None:
    machine.plugin.on_start(RECORD)

    def run(**more: str) -> dict[str, object]:
        ended = subprocess.run(
            [*before, sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET, *words],
            env=machine.variables(**environ, **more),
            input="for the node\n",
            capture_output=True,
            text=True,
            timeout=60,
            cwd=machine.home,
            check=False,
            preexec_fn=drop_bounding_set,
        )
        return observed(machine, Ended(ended.returncode, ended.stdout, ended.stderr))

    made = daemon.made
    by_daemon = run()
    assert daemon.made == made + 1
    # Another variable as long as the one that it stands for: it is in the environment too.
    cold = run(SSMGATE_DAEMON="off")
    cold["environ"].remove(b"SSMGATE_DAEMON=off")

    assert by_daemon.keys() == cold.keys()
    for name, found in cold.items():
        assert by_daemon[name] == found, name
    assert daemon.made == made + 1
    assert len(machine.aws.calls("StartSession")) == 2
    assert machine.aws.calls("TerminateSession") == []
    first, second = machine.aws.calls("StartSession")
    assert first.parameters == second.parameters


# Starts that end otherwise.

Spoil = Callable[[Machine], None]


def script(operation: str, *answers: Answer) -> Spoil:
    return lambda machine: machine.aws.script(operation, *answers)


def no_plugin(machine: Machine) -> None:
    machine.environ["PATH"] = "/usr/bin:/bin"


def failing_plugin(machine: Machine) -> None:
    machine.plugin.on_version("echo a complaint >&2; exit 3")


def old_plugin(machine: Machine) -> None:
    machine.plugin.version("1.2.497.0")


OTHERWISE = [
    pytest.param(script("SimulatePrincipalPolicy", evaluation("implicitDeny")), NOTHING, 254,
                 id="no access"),
    pytest.param(script("SimulatePrincipalPolicy", evaluation("explicitDeny", policies=("F",))),
                 NOTHING, 254, id="denied"),
    pytest.param(script("SimulatePrincipalPolicy", xml_error("AccessDenied", "x", 403)), NOTHING,
                 254, id="unknown"),
    pytest.param(script("GetCallerIdentity", xml_error("ExpiredToken", "x", 403)), NOTHING, 254,
                 id="expired"),
    pytest.param(script("GetCallerIdentity", text("no XML")), NOTHING, 254, id="no answer"),
    pytest.param(script("StartSession", json_error("TargetNotConnected", "x")), NOTHING, 254,
                 id="StartSession fails"),
    pytest.param(script("StartSession", json_ok({**STARTED, "TokenValue": None})), NOTHING, 255,
                 id="an odd answer"),
    pytest.param(script("StartSession", json_error("AccessDeniedException", "no")), NOTHING, 254,
                 id="refused by the service"),
    pytest.param(no_plugin, NOTHING, 255, id="no plugin"),
    pytest.param(failing_plugin, NOTHING, 255, id="a failing plugin"),
    pytest.param(old_plugin, NOTHING, 0, id="an old plugin warns"),
    pytest.param(script("SimulatePrincipalPolicy", evaluation("implicitDeny")),
                 {"SSMGATE_MODE": "permissive"}, 0, id="permissive warns"),
    pytest.param(script("SimulatePrincipalPolicy", evaluation("implicitDeny")),
                 {"AWS_CLI_ERROR_FORMAT": "json"}, 254, id="in JSON"),
    pytest.param(old_plugin, {"SSMGATE_TARGETS_ALLOW": "mi-*"}, 254, id="local rules"),
    pytest.param(old_plugin, {"SSMGATE_REQUIRE_REASON": "true"}, 254, id="a reason required"),
    pytest.param(old_plugin, {"SSMGATE_RECORD_REQUIRED": "true"}, 254, id="no record"),
    pytest.param(old_plugin, {"SSMGATE_RECORD_SYSLOG": "/nowhere"}, 0, id="no log"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "environ", "status"), OTHERWISE)
def test_prints_same_as_cold_start(
    machine: Machine,
    tmp_path: Path,
    daemon: Daemon,
    spoil: Spoil,
    environ: dict[str, str],
    status: int,
) -> None:
    spoil(machine)

    warm, way = start(machine, tmp_path, **environ)
    cold, _ = start(machine, tmp_path, **environ, SSMGATE_DAEMON="off")

    assert (way, warm.returncode) == (BY_DAEMON, status)
    assert warm == cold
    assert warm.stderr
    calls = machine.aws.operations
    # The tags of the document and of the caller are read at the same time.
    assert sorted(calls[: len(calls) // 2]) == sorted(calls[len(calls) // 2 :])


def test_records_same_as_cold_start(machine: Machine, tmp_path: Path, daemon: Daemon) -> None:
    seen = []
    for way in (BY_DAEMON, COLD):
        log = Log(tmp_path / "log")
        off = {"SSMGATE_DAEMON": "off"} if way == COLD else {}
        process, mark = begin(
            machine, tmp_path, SSMGATE_RECORD_SYSLOG=log.path, SSH_CONNECTION="a 1 b 2", **off
        )
        _, stderr = process.communicate("", timeout=60)
        assert (process.returncode, stderr) == (0, "")
        assert mark.exists() is (way == COLD)
        records = log.records
        log.close()
        assert len({record["decision_id"] for record in records}) == 1
        assert {record["process"].pop("pid") for record in records} == {process.pid}
        seen.append([{**record, "decision_id": "", "time": ""} for record in records])

    warm, cold = seen
    assert [record["event"] for record in warm] == ["decision", "start", "end"]
    assert [record.pop("duration") >= 0 for record in (warm[2], cold[2])] == [True, True]
    assert warm == cold


PLANTED = """
import os
print("planted", os.getpid(), file=open(os.environ["HOME"] + "/planted", "w"))
class Plugin:
    def initialize_client_plugin(self, client):
        pass
initialize_client_plugin = Plugin().initialize_client_plugin
"""


def test_environment_variables_load_no_code(machine: Machine, tmp_path: Path) -> None:
    """botocore reads this environment variable whenever it makes a client."""
    home = tmp_path / "own"
    home.mkdir()
    (home / "planted_plugin.py").write_text(PLANTED)
    machine.environ |= {"HOME": str(home), "PYTHONPATH": str(home)}
    with running(machine.environ):
        ended, way = start(
            machine, tmp_path, BOTOCORE_EXPERIMENTAL__PLUGINS="planted_plugin=planted_plugin"
        )

    assert (way, ended.returncode, ended.stderr) == (BY_DAEMON, 0, "")
    assert machine.plugin.environ["BOTOCORE_EXPERIMENTAL__PLUGINS"]
    assert not (home / "planted").exists()
