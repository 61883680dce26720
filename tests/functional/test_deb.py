"""The Debian packages: what is in them, and installed on fresh systems without network.

They run with `--full`. `fakes/debian.py` says what the systems need. DEB_PACKAGES is a directory
with packages that `make deb` has built from this tree, to test these.
"""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import deb
from conftest import FAKES
from fakes.debian import System
from fakes.needs import needs, require
from fakes.scripted_aws import ScriptedAws, evaluation, identity
from functional.conftest import release_of
from functional.test_bastion_guide import BLOCKS

BUILD = Path(deb.__file__)
NODE = "i-0123456789abcdef0"


def output(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_configuration_sets_nothing() -> None:
    assert tomllib.loads(deb.configuration()) == {}


def test_configuration_shows_each_key_as_valid_toml() -> None:
    lines = [line[1:] for line in deb.configuration().splitlines() if line.startswith("#")]
    text = "\n".join(line for line in lines if line and not line.startswith(" "))

    shown = tomllib.loads(text)

    assert {key.partition(".")[0] for key in deb.config_keys.KEYS} == shown.keys()


def test_script_for_credentials_is_that_of_guide() -> None:
    guide = BLOCKS["credentials"]
    for there, here in (
        ('"arn:aws:iam::111122223333:role/session-$1"', '"$SSMGATE_ROLE_PREFIX$1"'),
        ("region = us-east-1\\naws_access", "region = %s\\naws_access"),
        ("aws_access_key_id = %s\\n' \"$1\" \"$2\"",
         "aws_access_key_id = %s\\n' \"$1\" \"$AWS_DEFAULT_REGION\" \"$2\""),
    ):  # fmt: skip
        assert there in guide
        guide = guide.replace(there, here)
    lines = (deb.PARTS / "ssmgate-credentials").read_text().splitlines()
    own = [line for line in lines if not line.startswith(("# ", ": "))]

    assert own == guide.splitlines()


@pytest.mark.parametrize("unit", ["service", "timer"])
def test_units_are_those_of_guide(unit: str) -> None:
    different = ("Documentation=", "Environment", "ExecStart=")

    def same(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith(different)]

    packaged = (deb.PARTS / f"ssmgate-credentials.{unit}").read_text()
    assert same(packaged) == same(BLOCKS[unit])


def test_says_which_python_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deb, "python", lambda version: None)
    monkeypatch.setattr(sys, "argv", ["deb.py", "-d", str(tmp_path), "12", "13"])
    require("dpkg-deb")

    assert deb.main() == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "Debian 12: Python 3.11, " in first
    assert "Debian 13: Python 3.13, " in second
    assert "`uv python install 3.13` or `pyenv install 3.13`" in second
    assert list(tmp_path.rglob("*.deb")) == []


@pytest.mark.parametrize(
    "directory",
    [".pyenv/versions/9.9.1/bin", ".local/share/uv/python/cpython-9.9.1-linux-x86_64-gnu/bin"],
)
def test_finds_python_of_pyenv_and_uv(
    directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYENV_ROOT", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / directory / "python9.9"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)

    assert deb.python("9.9") is None
    path.write_text("#!/bin/sh\n")
    assert deb.python("9.9") == str(path)


def test_record_of_wheel_lists_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "a,b.py").touch()
    record = '"a,b.py",sha256=A,0\r\n../../bin/aws,sha256=B,829\r\ngone.json,,\r\n'

    assert deb.existing(record, tmp_path) == '"a,b.py",sha256=A,0\r\n'


@pytest.mark.timeout(1200)
def test_files_belong_to_root_who_alone_writes(package: Path) -> None:
    listed = [line.split(maxsplit=5) for line in output("dpkg-deb", "-c", package).splitlines()]

    assert {owner for _, owner, *_ in listed} == {"root/root"}
    files = {path: mode for mode, _, _, _, _, path in listed if mode[0] != "l"}
    assert {mode for mode in files.values() if mode[5] == "w" or mode[8] == "w"} == set()
    assert [path for path in files if path.endswith(".so") or "/ssmgate/sandbox/" in path] == []
    assert "./usr/lib/ssmgate/ssmgate-login" in files


@pytest.mark.timeout(1200)
def test_same_tree_gives_same_bytes(package: Path, tmp_path: Path) -> None:
    """Whatever the environment of the build, and the directory of its temporary files."""
    number = release_of(package).number
    (tmp_path / "temporary").mkdir()
    other = {
        "TMPDIR": f"{tmp_path}/temporary", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7",
    }  # fmt: skip

    subprocess.run(
        [sys.executable, BUILD, "-d", tmp_path / "again", number],
        env=os.environ | other, umask=0o077, check=True,
    )  # fmt: skip

    (again,) = (tmp_path / "again").iterdir()
    assert again.name == package.name
    # Not `==`, which would print them.
    assert filecmp.cmp(package, again, shallow=False), f"cmp {package} {again}"


@pytest.mark.timeout(1200)
@needs("lintian")
def test_lintian_finds_no_error(package: Path) -> None:
    ended = subprocess.run(
        ["lintian", "--allow-root", package], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout
    assert ended.stdout == ""


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Install the package on a fresh system without network."""
    with System.copied(tmp_path_factory, release_of(package).name, package) as system:
        system.must("dpkg -i /package/ssmgate.deb")
        yield system


@pytest.mark.timeout(1200)
def test_installed_program_runs(installed: System) -> None:
    assert "ssmgate, version" in installed.must("ssmgate --version")
    assert "aws-cli/" in installed.must("ssm-start-session --version")
    assert "aws-cli/" in installed.must("/usr/lib/ssmgate/bin/aws --version")
    assert "NAME" in installed.must("man ssmgate")
    assert ": valid;" in installed.must("ssmgate config check /etc/ssmgate/config.toml")
    _, printed = installed.run("ssmgate doctor")
    assert "ok       python" in printed
    assert "ok       awscli" in printed
    assert "Usage: " in installed.must("ssmgate policy lint --help")
    status, printed = installed.run("ssmgate sandbox -- true")
    assert (status, "does not have the sandbox" in printed) == (253, True)
    assert installed.must("dpkg --verify ssmgate") == ""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "bash -c '. /usr/share/bash-completion/completions/ssmgate; complete -p ssmgate'",
            "ssmgate",
        ),
        ("zsh -fc 'autoload -U compinit; compinit -D -u; print $_comps[ssmgate]'", "_ssmgate"),
        ("fish -c 'complete -C \"ssmgate \"'", "doctor"),
    ],
    ids=["bash", "zsh", "fish"],
)
def test_shells_find_completions(installed: System, command: str, expected: str) -> None:
    assert expected in installed.must(command)


@pytest.mark.timeout(1200)
def test_shim_runs_installed_program(installed: System) -> None:
    shim = "PATH=/usr/lib/ssmgate/shims:$PATH aws ssm start-session"

    status, printed = installed.run(shim)

    assert status == 252
    assert "required: --target" in printed


@pytest.mark.timeout(1200)
def test_first_login_starts_session(installed: System, scripted: ScriptedAws) -> None:
    """Which needs files that the login trusts."""
    root = installed.root
    who = identity("arn:aws:sts::111122223333:assumed-role/session-alice/alice", "AROAX:alice")
    scripted.script("GetCallerIdentity", who)
    stub = (FAKES / "session-manager-plugin").read_text().splitlines(keepends=True)
    (root / "opt/plugin").mkdir(parents=True)
    plugin = root / "opt/plugin/session-manager-plugin"
    plugin.write_text("".join([stub[0], "FAKE_PLUGIN=/recorded\n", *stub[1:]]))
    plugin.chmod(0o755)
    (root / "recorded").mkdir()
    (root / "recorded").chmod(0o777)
    installed.must("useradd -M -s /usr/lib/ssmgate/ssmgate-login alice")
    config = BLOCKS["config"].replace("/usr/local/sessionmanagerplugin/bin", "/opt/plugin")
    config = config.replace("[login]", "[login]\nconfine_plugin = false")
    config = config.replace("syslog = true\n", "")
    (root / "etc/ssmgate/config.toml").write_text(
        f'{config}\n[aws]\nallowed_endpoints = ["{scripted.url}"]\n'
    )
    (root / "etc/ssmgate/aws").write_text(BLOCKS["aws"])
    installed.must(
        "install -d -m 750 -g alice /etc/ssmgate/credentials/alice"
        " && install -m 640 -g alice /dev/null /etc/ssmgate/credentials/alice/aws"
        " && install -o alice -m 600 /dev/null /var/lib/ssmgate/records/alice.jsonl"
    )
    (root / "etc/ssmgate/credentials/alice/aws").write_text(
        f"[alice]\nregion = us-east-1\nendpoint_url = {scripted.url}\n"
        "aws_access_key_id = AKIAALICE\naws_secret_access_key = x\n"
    )

    # As sshd starts the login shell.
    login = "setpriv --reuid alice --regid alice --clear-groups /usr/lib/ssmgate/ssmgate-login -c"
    command = f"start-session --target {NODE} --reason TICKET-1"
    status, printed = installed.run(f"{login} '{command}'", network=True)

    assert (status, printed) == (0, "")
    assert scripted.calls("SimulatePrincipalPolicy")[0].access_key == "AKIAALICE"
    assert (root / "recorded/argv").exists()

    scripted.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))
    status, printed = installed.run(f"{login} '{command} --document-name Ops-Shell'", network=True)

    assert status == 254
    assert "access denied" in printed


@pytest.mark.timeout(1200)
def test_upgrade_and_removal_leave_configuration_and_records(installed: System) -> None:
    file, records = "/etc/ssmgate/config.toml", "/var/lib/ssmgate/records/bob.jsonl"
    installed.must(f"echo 'mode = \"permissive\"' > {file} && echo '{{}}' > {records}")

    installed.must("dpkg -i /package/ssmgate.deb")

    assert installed.must(f"cat {file} {records}") == 'mode = "permissive"\n{}\n'
    installed.must("dpkg -r ssmgate")
    left = installed.left()
    assert {file, records} <= set(left)
    own = ("/etc/ssmgate", "/etc/default/ssmgate-credentials", "/var/lib/ssmgate")
    assert [path for path in left if not path.startswith(own)] == []
    assert installed.must(f"cat {file} {records}") == 'mode = "permissive"\n{}\n'

    installed.must("dpkg -P ssmgate")

    assert installed.left() == []
