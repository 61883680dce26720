"""A bastion: a copy of ssmgate, its configuration and its entry script, all owned by root, and
unix users.

Only root can build one, on a machine whose system Python every user can run.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awscli

import ssmgate
from conftest import FAKES, Ended, FakePlugin
from fakes.needs import missing

REPOSITORY = Path(__file__).parents[2]
PACKAGES = (
    "click",
    "colorama",
    "dateutil",
    "docutils",
    "jmespath",
    "s3transfer",
    "urllib3",
    "ruamel",
)
SERVICES = {"ssm", "sts", "iam", "ec2", "sso", "sso-oidc", "signin"}


def obstacle() -> str:
    """Return why this machine cannot have a bastion, empty if it can."""
    if os.geteuid() != 0:
        return "only root can make unix users, and files that are root's"
    if programs := missing("setpriv", "useradd"):
        return programs
    return "" if python() else "no system Python 3.11 or newer that is root's"


def python() -> str | None:
    """Return the path of a Python that other unix users can run."""
    for path in ("/usr/bin/python3", *(f"/usr/bin/python3.{n}" for n in range(11, 16))):
        result = subprocess.run(
            [path, "-c", "import sys, venv; print(sys.version_info >= (3, 11))"],
            capture_output=True,
            text=True,
            check=False,
        ) if os.path.exists(path) else None  # fmt: skip
        if result is not None and result.stdout.strip() == "True":
            return path
    return None


@dataclass
class Bastion:
    """The bastion below `root`: etc, home, venv, records. Root owns it and all directories above
    it.
    """

    root: Path
    users: list[str] = field(default_factory=list)

    @classmethod
    def build(cls) -> Bastion:
        """Copy ssmgate and its dependencies, and create the directories."""
        root = Path(tempfile.mkdtemp(prefix="ssmgate-test-", dir="/opt"))
        root.chmod(0o755)
        self = cls(root)
        subprocess.run(
            [str(python()), "-m", "venv", "--without-pip", str(root / "venv")], check=True
        )
        (site,) = (root / "venv" / "lib").glob("python3*/site-packages")
        _copy(Path(ssmgate.__file__).parent, site / "ssmgate")
        gate = site / "ssmgate" / "gate"
        _set(gate / "system" / "__init__.py", "SYSTEM_FILE", str(self.config_file))
        _set(gate / "records" / "syslog.py", "_SOCKETS", (str(self.syslog_socket),))
        _set(gate / "records" / "syslog.py", "JOURNAL_SOCKET", "/nonexistent/journal")
        libraries = Path(awscli.__file__).parents[1]
        _copy(libraries / "awscli", site / "awscli")
        for name in PACKAGES:
            _copy(libraries / name, site / name)
        shutil.copy(libraries / "six.py", site)
        for name in ("etc", "empty", "plugin", "bin", "records", "syslog"):
            (root / name).mkdir(mode=0o755)
        (root / "recorded").mkdir()
        (root / "recorded").chmod(0o777)
        plugin = (FAKES / "session-manager-plugin").read_text().splitlines(keepends=True)
        plugin.insert(1, f"FAKE_PLUGIN={root}/recorded\n")
        self.plugin_file.write_text("".join(plugin))
        self.plugin_file.chmod(0o755)
        entry = (REPOSITORY / "bin" / "ssmgate-login").read_text()
        self.entry.write_text(entry.replace("/opt/ssmgate/", f"{root}/venv/"))
        self.entry.chmod(0o755)
        return self

    def configure(
        self,
        aws_url: str,
        *,
        top: str = 'locked = ["*"]',
        more: str = "",
        confine_plugin: bool = False,
    ) -> None:
        """Write a new configuration, with `top` first and `more` last.

        The plugin is not confined by default, as the recording stub writes files.
        """
        self.config_file.write_text(
            f"{top}\n"
            + textwrap.dedent(f"""\
                [login]
                aws_config_file = "{self.aws_file}"
                home = "{self.root}/empty"
                confine_plugin = {str(confine_plugin).lower()}
                [plugin]
                path = "{self.plugin_file}"
                [record]
                file = "{self.root}/records/{{user}}.jsonl"
                required = true
                [aws]
                allowed_endpoints = ["{aws_url}"]
                """)
            + more
        )
        self.aws_file.write_text(
            "[default]\nregion = us-east-1\naws_access_key_id = AKIABASTION\n"
            f"aws_secret_access_key = secret-of-bastion\nendpoint_url = {aws_url}\n"
        )

    def add_user(self, name: str, shell: str | None = None) -> None:
        """Create a unix user whose login shell is the entry script, and a file for its records."""
        home = self.root / "homes" / name
        home.mkdir(parents=True)
        add = ["useradd", "-M", "-d", str(home), "-s", shell or str(self.entry), name]
        for _ in range(100):
            # 10: /etc/group and /etc/passwd are locked by another one.
            if subprocess.run(add, check=False, capture_output=True).returncode not in (1, 10):
                break
            time.sleep(0.1)
        pwd.getpwnam(name)
        self.users.append(name)
        self.delete_records(name)

    def delete_records(self, name: str) -> None:
        """Delete the records of the user and of the plugin."""
        file = self.records_file(name)
        file.unlink(missing_ok=True)
        file.touch(0o600)
        os.chown(file, pwd.getpwnam(name).pw_uid, -1)
        for left in (self.root / "recorded").iterdir():
            left.unlink()

    def remove(self) -> None:
        """Delete the users and the files."""
        for name in self.users:
            subprocess.run(["userdel", "-f", name], check=False, capture_output=True)
        shutil.rmtree(self.root)

    def run(
        self,
        user: str,
        *arguments: str,
        program: list[str] | None = None,
        timeout: float = 60,
        **environ: str,
    ) -> Ended:
        """Run the entry script, or `program`, as the unix user."""
        process = self.popen(user, *arguments, program=program, **environ)
        out, err = process.communicate(timeout=timeout)
        return Ended(process.returncode, out, err)

    def popen(
        self,
        user: str,
        *arguments: str,
        program: list[str] | None = None,
        stdin: int = subprocess.DEVNULL,
        **environ: str,
    ) -> subprocess.Popen[str]:
        """Start the entry script, or `program`, as the unix user."""
        entry = pwd.getpwnam(user)
        return subprocess.Popen(
            [*(program or [str(self.entry)]), *arguments],
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
            env={"PATH": "/usr/bin:/bin", "HOME": entry.pw_dir, **environ},
            cwd="/",
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def records(self, user: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.records_file(user).read_text().splitlines()]

    def records_file(self, user: str) -> Path:
        return self.root / "records" / f"{user}.jsonl"

    @property
    def syslog_socket(self) -> Path:
        return self.root / "syslog" / "log"

    @property
    def plugin(self) -> FakePlugin:
        return FakePlugin(self.root / "recorded")

    @property
    def python(self) -> str:
        return str(self.root / "venv" / "bin" / "python")

    @property
    def entry(self) -> Path:
        return self.root / "bin" / "ssmgate-login"

    @property
    def config_file(self) -> Path:
        return self.root / "etc" / "config.toml"

    @property
    def aws_file(self) -> Path:
        return self.root / "etc" / "aws"

    @property
    def plugin_file(self) -> Path:
        return self.root / "plugin" / "session-manager-plugin"


@contextlib.contextmanager
def built_with(user: str) -> Iterator[Bastion]:
    """Build a bastion with one unix user. Delete both when the block ends."""
    bastion = Bastion.build()
    try:
        bastion.add_user(user)
        yield bastion
    finally:
        bastion.remove()


def _set(module: Path, constant: str, value: object) -> None:
    """Change one line of `module`: the value of a constant that names a path of the machine."""
    lines = module.read_text().splitlines(keepends=True)
    (number,) = [n for n, line in enumerate(lines) if line.startswith(f"{constant} = ")]
    lines[number] = f"{constant} = {value!r}\n"
    module.write_text("".join(lines))


def _copy(source: Path, target: Path) -> None:
    """Copy a directory without its largest parts: models of unused services, and examples."""

    def left_out(directory: str, names: list[str]) -> set[str]:
        if directory.endswith("/botocore/data"):
            return {n for n in names if n not in SERVICES and os.path.isdir(f"{directory}/{n}")}
        return {"examples"} & set(names)

    shutil.copytree(source, target, ignore=left_out)
    for directory, _, files in os.walk(target):
        os.chmod(directory, 0o755)
        for name in files:
            os.chmod(os.path.join(directory, name), 0o644)
