"""Attacks on the login: each ends in a denial with a record, and without a session.

The attackers have a shell in the test, and so more than on a bastion: they call the entry script
with any arguments, environment and files.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conftest import Ended
from fakes import bastion as bastions
from fakes.bastion import Bastion, built_with
from fakes.log import Log
from fakes.scripted_aws import ScriptedAws, after, evaluation
from fakes.waiting import is_signal_delivered, until

pytestmark = pytest.mark.skipif(bool(bastions.obstacle()), reason=bastions.obstacle())

NODE = "i-02573cafcf0123456"
START = f"start-session --target {NODE}"
MALLORY = f"ssmg{os.getpid() % 100000}m"


@pytest.fixture(scope="module")
def built() -> Iterator[Bastion]:
    with built_with(MALLORY) as bastion:
        yield bastion


@pytest.fixture
def log(built: Bastion) -> Iterator[Log]:
    log = Log(built.syslog_socket)
    os.chmod(log.path, 0o666)
    yield log
    log.close()


@pytest.fixture
def bastion(built: Bastion, scripted: ScriptedAws, log: Log) -> Bastion:
    built.configure(scripted.url)
    built.delete_records(MALLORY)
    return built


def assert_refused(
    bastion: Bastion, scripted: ScriptedAws, log: Log, ended: Ended, *codes: int
) -> dict[str, Any]:
    """Check that the login was rejected with a record, and return the record."""
    assert ended.returncode in codes, ended.stderr
    assert ended.stdout == ""
    assert scripted.calls("StartSession") == []
    assert not bastion.plugin.started
    records = [*bastion.records(MALLORY), *log.records]
    assert records, ended.stderr
    assert records[-1]["event"] == "end"
    assert records[-1]["exit_code"] == ended.returncode
    assert records[-1]["unix"]["uid"] == pwd.getpwnam(MALLORY).pw_uid
    return records[-1]


# What is typed. IAM allows everything here.

LINES = {
    "shell": "sh",
    "shell by path": "/bin/sh -i",
    "nothing but spaces": "   ",
    "a second command": f"{START}; sh",
    "and": f"{START} && sh",
    "or": f"{START} || sh",
    "pipe": f"{START} | sh",
    "background": f"{START} & sh",
    "substitution in the target": "start-session --target $(id)",
    "backticks in the target": "start-session --target `id`",
    "variable in the target": "start-session --target $TARGET",
    "redirection": f"{START} > /tmp/x",
    "here document": f"{START} << x",
    "line end": f"{START}\nsh",
    "carriage return": f"{START}\rsh",
    "line end between words": f"start-session --target\n{NODE}",
    "line end at the end": f"{START}\n",
    "tab between words": f"start-session\t--target {NODE}",
    "escape": f"{START} --reason '\x1b]0;x\x07'",
    "bell": f"{START} --reason \x07",
    "delete": f"{START} --reason 'a\x7f'",
    "next line": f"{START} --reason 'a\u0085b'",
    "line separator": f"{START} --reason 'a\u2028b'",
    "right to left": f"{START} --reason '\u202e'",
    "zero width": f"start-session --target {NODE}\u200b",
    "no-break space": f"start-session\u00a0--target {NODE}",
    "bytes that are not text": f"{START} --reason '\udcff'",
    "open quote": f"{START} --reason 'x",
    "open backslash": f"{START} --reason x\\",
    "glued command": f"start-session--target {NODE}",
    "other verb": f"aws ssm describe-sessions --state Active {START}",
    "other service": "aws s3 ls",
    "send-command": f"aws ssm send-command --targets {NODE}",
    "resume-session": "aws ssm resume-session --session-id x",
    "terminate-session": "aws ssm terminate-session --session-id x",
    "ecs": "aws ecs execute-command --cluster x",
    "upper case": f"START-SESSION --target {NODE}",
    "option before the command": f"aws --region us-east-1 ssm {START}",
    "option within the command": f"aws ssm --debug {START}",
    "environment before": f"AWS_PROFILE=x {START}",
    "the CLI itself": "python -m awscli ssm start-session",
    "ssmgate's other verbs": "ssmgate config show",
    "sandbox": "ssmgate sandbox -- sh",
    "login again": "ssmgate login",
    "path to the program": f"/usr/local/bin/ssmgate {START}",
    "scp": "scp -t /tmp",
    "sftp": "/usr/lib/openssh/sftp-server",
    "internal sftp": "internal-sftp",
    "rsync": "rsync --server . /",
    "git": "git-upload-pack x",
    "no target": "start-session",
    "empty target": "start-session --target ''",
    "help": "start-session help",
    "help at the top": "aws help",
    "--help": f"{START} --help",
    "-h": f"{START} -h",
    "--version": f"{START} --version",
    "version alone": "aws --version",
    "skeleton": "start-session --generate-cli-skeleton",
    "skeleton, YAML": f"{START} --generate-cli-skeleton yaml-input",
    "input as JSON": 'start-session --cli-input-json \'{"Target": "i-1"}\'',
    "input from a file": "start-session --cli-input-json file:///etc/shadow",
    "input as YAML": "start-session --cli-input-yaml file:///etc/shadow",
    "--debug": f"{START} --debug",
    "--d": f"{START} --d",
    "endpoint": f"{START} --endpoint-url http://127.0.0.1:1",
    "endpoint, short": f"{START} --e http://127.0.0.1:1",
    "no TLS verification": f"{START} --no-verify-ssl",
    "own CA": f"{START} --ca-bundle /tmp/ca",
    "unsigned": f"{START} --no-sign-request",
    "region": f"{START} --region us-gov-west-1",
    "region, short": f"{START} --r us-gov-west-1",
    "profile": f"{START} --profile admin",
    "profile, short": f"{START} --p admin",
    "output": f"{START} --output text",
    "query": f"{START} --query @",
    "pager": f"{START} --no-cli-pager",
    "prompt": f"{START} --cli-auto-prompt",
    "time-out": f"{START} --cli-read-timeout 0",
    "color": f"{START} --color on",
    "error format": f"{START} --cli-error-format json",
    "abbreviated target": f"start-session --t {NODE}",
    "abbreviated document": f"{START} --doc Dev-Shell",
    "abbreviated reason": f"{START} --rea x",
    "target twice": f"{START} --target i-1",
    "target twice, with =": f"{START} --target=i-1",
    "document twice": f"{START} --document-name A-A --document-name B-B",
    "double dash": f"start-session -- --target {NODE}",
    "double dash after": f"{START} -- sh",
    "extra word": f"{START} extra",
    "option as a value": "start-session --target --debug",
    "option as a reason": f"{START} --reason --version",
    "document from a file": f"{START} --document-name file:///etc/passwd",
    "target from a file": "start-session --target file:///etc/passwd",
    "reason from a file": f"{START} --reason file:///etc/shadow",
    "reason from bytes": f"{START} --reason fileb:///etc/shadow",
    "reason from a FILE": f"{START} --reason FILE:///etc/shadow",
    "reason from a file, =": f"{START} --reason=file:///etc/shadow",
    "parameters from a file": f"{START} --parameters file:///etc/shadow",
    "parameter from a file": f"{START} --parameters command@=file:///etc/shadow",
    "parameter from a file, space": f"{START} --parameters 'command@ =file:///etc/shadow'",
    "parameter from a file, spaces": f"{START} --parameters 'command @ = file:///etc/shadow'",
    "parameter from bytes": f"{START} --parameters 'a=b,command@ =fileb:///etc/shadow'",
    "parameter from a FILE": f"{START} --parameters 'command@ =FILE:///etc/shadow'",
    "invalid parameters": f"{START} --parameters x",
    "document with a version": f"{START} --document-name Dev-Shell:1",
    "document with a path": f"{START} --document-name ../Dev-Shell",
    "document with a line end": f"{START} --document-name 'Dev-Shell\n'",
    "document with a space": f"{START} --document-name 'Dev Shell'",
    "document of another service": f"{START} --document-name arn:aws:s3:::bucket",
    "target with a slash": "start-session --target ../i-1",
    "target with a star": "start-session --target 'i-*'",
    "target with a comma": "start-session --target i-1,i-2",
    "target that is an option in one": "start-session --target=--debug",
    "a long line": f"{START} --reason {'a' * 5000}",
    "a very long line": f"{START} --reason {'a' * 100_000}",
    "many words": "start-session " + "a " * 2000,
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_rejects_commands_that_are_not_offered(
    bastion: Bastion, scripted: ScriptedAws, log: Log, line: str
) -> None:
    as_sshd = bastion.run(MALLORY, SSH_ORIGINAL_COMMAND=line)

    record = assert_refused(bastion, scripted, log, as_sshd, 252)
    assert scripted.received == []
    assert record["command"] is None or record["command"][:1000] == line[:1000]


ARGUMENTS = {
    "-c without a command": ["-c"],
    "two commands": ["-c", START, START],
    "login shell's -l": ["-l"],
    "-i": ["-i"],
    "-s": ["-s"],
    "--": ["--", "-c", START],
    "a file": ["/tmp/script"],
    "Python's -c": ["-c", "import os; os.system('sh')"],
    "clustered": ["-lc", START],
    "an option of env": ["-S", "sh"],
    "--help": ["--help"],
}


@pytest.mark.parametrize("words", ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_rejects_other_shell_arguments(
    bastion: Bastion, scripted: ScriptedAws, log: Log, words: list[str]
) -> None:
    ended = bastion.run(MALLORY, *words)

    assert_refused(bastion, scripted, log, ended, 252)


def test_rejects_two_commands_at_once(bastion: Bastion, scripted: ScriptedAws, log: Log) -> None:
    ended = bastion.run(MALLORY, "-c", START, SSH_ORIGINAL_COMMAND=START)

    assert_refused(bastion, scripted, log, ended, 252)


# What is in the environment. IAM denies, and another AWS would allow.

ENVIRON: dict[str, dict[str, str]] = {
    "mode": {"SSMGATE_MODE": "permissive"},
    "checker": {"SSMGATE_CHECKER_PROFILE": "evil"},
    "context": {"SSMGATE_CONTEXT": '{"aws:MultiFactorAuthPresent": true}'},
    "plugin path": {"SSMGATE_PLUGIN_PATH": "{evil}/session-manager-plugin"},
    "record": {"SSMGATE_RECORD_FILE": "/dev/null", "SSMGATE_RECORD_REQUIRED": "false"},
    "unknown variable": {"SSMGATE_X": "1"},
    "endpoint": {"AWS_ENDPOINT_URL": "{url}"},
    "endpoints": {"AWS_ENDPOINT_URL_IAM": "{url}", "AWS_ENDPOINT_URL_STS": "{url}"},
    "configuration": {"AWS_CONFIG_FILE": "{evil}/aws", "AWS_SHARED_CREDENTIALS_FILE": "{evil}/aws"},
    "profile": {"AWS_PROFILE": "evil", "AWS_CONFIG_FILE": "{evil}/aws"},
    "default profile": {"AWS_DEFAULT_PROFILE": "evil"},
    "keys": {"AWS_ACCESS_KEY_ID": "AKIAEVIL", "AWS_SECRET_ACCESS_KEY": "x"},
    "web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": "{evil}/aws", "AWS_ROLE_ARN": "arn:aws:iam::1"},
    "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}"},
    "metadata": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "{url}", "AWS_EC2_METADATA_DISABLED": "0"},
    "proxy": {"HTTP_PROXY": "{url}", "http_proxy": "{url}", "ALL_PROXY": "{url}"},
    "CA bundle": {"AWS_CA_BUNDLE": "{evil}/ca", "REQUESTS_CA_BUNDLE": "{evil}/ca"},
    "OpenSSL": {"SSL_CERT_FILE": "{evil}/ca", "OPENSSL_CONF": "{evil}/openssl.cnf"},
    "models": {"AWS_DATA_PATH": "{evil}/models"},
    "botocore's plugins": {"BOTOCORE_EXPERIMENTAL__PLUGINS": "evil=evil"},
    "region": {"AWS_REGION": "us-gov-west-1", "AWS_DEFAULT_REGION": "us-gov-west-1"},
    "sts": {"AWS_STS_REGIONAL_ENDPOINTS": "legacy"},
    "PYTHONPATH": {"PYTHONPATH": "{evil}"},
    "PYTHONHOME": {"PYTHONHOME": "{evil}"},
    "PYTHONSTARTUP": {"PYTHONSTARTUP": "{evil}/evil.py", "PYTHONINSPECT": "1"},
    "PYTHONUSERBASE": {"PYTHONUSERBASE": "{evil}"},
    "PYTHONBREAKPOINT": {"PYTHONBREAKPOINT": "os.system", "PYTHONWARNINGS": "error"},
    "PYTHONEXECUTABLE": {"PYTHONEXECUTABLE": "{evil}/python", "__PYVENV_LAUNCHER__": "{evil}/p"},
    "PYTHONPYCACHEPREFIX": {"PYTHONPYCACHEPREFIX": "{evil}"},
    "PATH": {"PATH": "{evil}"},
    "no PATH": {"PATH": ""},
    "HOME": {"HOME": "{evil}"},
    "HOME of root": {"HOME": "/root"},
    "XDG": {"XDG_CONFIG_HOME": "{evil}/.config"},
    "TMPDIR": {"TMPDIR": "{evil}"},
    "locale": {"LANG": "../../evil", "LC_ALL": "{evil}", "LOCPATH": "{evil}"},
    "messages": {"LANGUAGE": "evil", "NLSPATH": "{evil}/%N"},
    "terminal": {"TERM": "../../evil", "TERMINFO": "{evil}"},
    "IFS": {"IFS": "/"},
    "ENV": {"ENV": "{evil}/evil.sh", "BASH_ENV": "{evil}/evil.sh"},
    "functions": {
        f"BASH_FUNC_{name}%%": "() { touch {evil}/owned; }"
        for name in ("exec", "umask", "ulimit", "set", "[", "unset", "env")
    },
    "CDPATH": {"CDPATH": "{evil}", "PS4": "$(touch {evil}/owned)", "SHELLOPTS": "xtrace"},
    "SHELL": {"SHELL": "{evil}/evil.sh"},
    "SSH_CONNECTION": {"SSH_CONNECTION": 'x"}\n{"event": "start"}'},
    "SSH_TTY": {"SSH_TTY": "/etc/shadow"},
    "resolver": {"RES_OPTIONS": "debug", "HOSTALIASES": "{evil}/hosts", "LOCALDOMAIN": "evil"},
    "malloc": {"MALLOC_TRACE": "{evil}/owned", "GCONV_PATH": "{evil}"},
    "debug": {"AWS_CLI_UPGRADE_DEBUG_MODE": "1", "SSMGATE_DEBUG": "1"},
    "error format": {"AWS_CLI_ERROR_FORMAT": "json"},
}

SITE = "import os; open({owned!r}, 'w').close()\n"


@pytest.fixture
def hostile_directory(bastion: Bastion) -> Iterator[Path]:
    """Return a directory of Mallory with many files that a program could load."""
    directory = bastion.root / "homes" / MALLORY
    owned = str(directory / "owned")
    for name in ("sitecustomize.py", "usercustomize.py", "evil.py", "botocore.py", "awscli.py"):
        (directory / name).write_text(SITE.format(owned=owned))
    for name in ("evil.sh", "python", "session-manager-plugin", "env", "sh", "stty"):
        (directory / name).write_text(f"#!/bin/sh\ntouch {owned}\n")
        (directory / name).chmod(0o755)
    (directory / ".config" / "ssmgate").mkdir(parents=True)
    (directory / ".config" / "ssmgate" / "config.toml").write_text('mode = "permissive"')
    (directory / ".aws" / "models").mkdir(parents=True)
    subprocess.run(["chown", "-R", MALLORY, str(directory)], check=True)
    yield directory
    assert not Path(owned).exists()
    shutil.rmtree(directory)
    directory.mkdir()


@pytest.fixture
def other_aws() -> Iterator[ScriptedAws]:
    with ScriptedAws() as server:
        yield server
    assert server.received == []


@pytest.mark.parametrize("variables", ENVIRON.values(), ids=ENVIRON.keys())
def test_ignores_hostile_environment(
    bastion: Bastion,
    scripted: ScriptedAws,
    log: Log,
    hostile_directory: Path,
    other_aws: ScriptedAws,
    variables: dict[str, str],
) -> None:
    assert_environment_is_ignored(
        bastion, scripted, log, hostile_directory, other_aws, variables, None
    )


def test_ignores_hostile_environment_without_entry_script(
    bastion: Bastion,
    scripted: ScriptedAws,
    log: Log,
    hostile_directory: Path,
    other_aws: ScriptedAws,
) -> None:
    """All of it at once, given to Python of root: the program does not rely on the script."""
    variables = {name: value for row in ENVIRON.values() for name, value in row.items()}
    for name in ("PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__"):  # would be another Python
        del variables[name]
    program = [bastion.python, "-I", "-m", "ssmgate", "login"]

    assert_environment_is_ignored(
        bastion, scripted, log, hostile_directory, other_aws, variables, program
    )


def assert_environment_is_ignored(
    bastion: Bastion,
    scripted: ScriptedAws,
    log: Log,
    hostile_directory: Path,
    other_aws: ScriptedAws,
    variables: dict[str, str],
    program: list[str] | None,
) -> None:
    scripted.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))
    for name in ("aws", "ca", "hosts", "openssl.cnf"):
        (hostile_directory / name).write_text(
            f"[default]\n[profile evil]\naws_access_key_id=AKIAEVIL\naws_secret_access_key=x\n"
            f"endpoint_url={other_aws.url}\nregion=us-east-1\n"
        )
    environ = {
        name: value.replace("{evil}", str(hostile_directory)).replace("{url}", other_aws.url)
        for name, value in variables.items()
    }

    ended = bastion.run(MALLORY, "-c", START, program=program, **environ)

    assert_refused(bastion, scripted, log, ended, 254)
    assert "AccessDeniedException" in ended.stderr
    (asked,) = scripted.calls("SimulatePrincipalPolicy")
    assert asked.access_key == "AKIABASTION"
    assert "aws:MultiFactorAuthPresent" not in asked.context
    assert asked.context["aws:RequestedRegion"][1] == ["us-east-1"]


PROGRAMS = {
    "not isolated": ["-m", "ssmgate", "login"],
    "own directory": ["-c", "import sys; sys.argv[1:] = ['login']; import ssmgate.__main__ as m;"
                         " m.ssmgate()"],
    "safe path only": ["-P", "-m", "ssmgate", "login"],
    "no user site only": ["-s", "-E", "-m", "ssmgate", "login"],
}  # fmt: skip


@pytest.mark.parametrize("words", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_rejects_other_program_arguments(
    bastion: Bastion, scripted: ScriptedAws, log: Log, words: list[str]
) -> None:
    ended = bastion.run(MALLORY, program=[bastion.python, *words], SSH_ORIGINAL_COMMAND=START)

    assert_refused(bastion, scripted, log, ended, 253)
    assert scripted.received == []


# Files that a mistake of root, or a race with another user, would open. IAM allows.


def owned_by_mallory(path: Path) -> None:
    os.chown(path, pwd.getpwnam(MALLORY).pw_uid, -1)


def writable_by_all(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def by_a_group(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o020)


def by_all_but_sticky(path: Path) -> None:
    path.chmod(0o1777)


def moved_behind_link(path: Path) -> None:
    real = path.with_name(f"{path.name}.real")
    path.rename(real)
    path.symlink_to(real.name)


def gone(path: Path) -> None:
    shutil.move(path, path.with_name(f"{path.name}.away"))


def a_fifo(path: Path) -> None:
    gone(path)
    os.mkfifo(path)


def unreadable(path: Path) -> None:
    path.chmod(0o600)


CHANGES = [owned_by_mallory, writable_by_all, by_a_group, moved_behind_link, gone]
FILES: list[tuple[str, Callable[[Path], None]]] = [
    *(("etc/config.toml", change) for change in (*CHANGES, a_fifo, unreadable)),
    *(
        ("etc", change)
        for change in (owned_by_mallory, writable_by_all, by_all_but_sticky, by_a_group)
    ),
    *(("etc/aws", change) for change in (*CHANGES, a_fifo, unreadable)),
    *(("plugin/session-manager-plugin", change) for change in (*CHANGES, a_fifo)),
    *(("plugin", change) for change in (owned_by_mallory, by_all_but_sticky, moved_behind_link)),
    *(("empty", change) for change in (*CHANGES, by_all_but_sticky)),
    *((".", change) for change in (owned_by_mallory, writable_by_all, by_a_group)),
    *(("venv/pyvenv.cfg", change) for change in (owned_by_mallory, writable_by_all)),
    *(
        ("SITE/ssmgate/__init__.py", change)
        for change in (owned_by_mallory, writable_by_all, by_a_group)
    ),
    *(("SITE", change) for change in (owned_by_mallory, writable_by_all)),
    *(("SITE/awscli", change) for change in (owned_by_mallory, writable_by_all)),
]


@pytest.mark.parametrize(
    ("name", "change"), FILES, ids=lambda value: getattr(value, "__name__", value)
)
def test_rejects_files_that_others_can_write(
    bastion: Bastion,
    scripted: ScriptedAws,
    log: Log,
    name: str,
    change: Callable[[Path], None],
) -> None:
    (site,) = (bastion.root / "venv" / "lib").glob("python3*/site-packages")
    path = Path(str(bastion.root / name).replace(f"{bastion.root}/SITE", str(site)))
    known = path.stat()
    change(path)
    try:
        ended = bastion.run(MALLORY, "-c", START)
    finally:
        for left in (path.with_name(f"{path.name}.real"), path.with_name(f"{path.name}.away")):
            if left.exists():
                path.unlink(missing_ok=True)
                left.rename(path)
        os.chown(path, known.st_uid, known.st_gid)
        path.chmod(known.st_mode)

    assert_refused(bastion, scripted, log, ended, 253)
    assert scripted.received == []


def test_rejects_home_that_is_not_empty(bastion: Bastion, scripted: ScriptedAws, log: Log) -> None:
    aws = bastion.root / "empty" / ".aws"
    aws.mkdir()
    try:
        ended = bastion.run(MALLORY, "-c", START)
    finally:
        aws.rmdir()

    assert_refused(bastion, scripted, log, ended, 253)


CONFIGURATIONS = {
    "nothing locked": ('locked = ["*"]', ""),
    "an empty list": ('locked = ["*"]', "locked = []"),
    "no TOML": ('locked = ["*"]', "locked"),
    "an unknown key": ('locked = ["*"]', 'locked = ["*"]\nlock = true'),
    "no plugin": ("[plugin]\npath", "[context]\nplugin"),
    "no AWS files": ("aws_config_file", "# "),
    "a relative path": ("/plugin/session", "/plugin/../plugin/session"),
    "a missing home": ('/empty"', '/none"'),
    "no records but required": ('records/{user}.jsonl"', 'none/{user}.jsonl"'),
}


@pytest.mark.parametrize("change", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_rejects_invalid_configuration(
    bastion: Bastion, scripted: ScriptedAws, log: Log, change: tuple[str, str]
) -> None:
    text = bastion.config_file.read_text()
    assert change[0] in text
    bastion.config_file.write_text(text.replace(*change))

    assert_refused(bastion, scripted, log, bastion.run(MALLORY, "-c", START), 253, 254)


def test_unprivileged_user_cannot_exchange_files(bastion: Bastion, scripted: ScriptedAws) -> None:
    """The race for the configuration: only root can exchange it."""
    tried = (
        f"cd {bastion.root} && for f in etc/config.toml etc/aws plugin/session-manager-plugin"
        " bin/ssmgate-login empty records; do rm -rf $f; mv $f x; ln -sfn /tmp $f; chmod 777 $f;"
        " cp /etc/passwd $f; touch empty/x; done; : > etc/config.toml; exit 0"
    )
    before = sorted(str(path) for path in bastion.root.glob("*/*"))
    text = bastion.config_file.read_text()

    bastion.run(MALLORY, program=["/bin/sh", "-c", tried])

    assert sorted(str(path) for path in bastion.root.glob("*/*")) == before
    assert bastion.config_file.read_text() == text


# Records.


def record_link(path: Path) -> None:
    gone(path)
    path.symlink_to("/dev/null")


def record_second_name(path: Path) -> None:
    os.link(path, path.with_name("second"))


def record_open(path: Path) -> None:
    path.chmod(0o666)


def record_of_roots(path: Path) -> None:
    os.chown(path, 0, 0)


RECORDS = [record_link, record_second_name, record_open, record_of_roots, gone, a_fifo]


@pytest.mark.parametrize("change", RECORDS, ids=lambda change: change.__name__)
def test_denies_without_record_file(
    bastion: Bastion, scripted: ScriptedAws, log: Log, change: Callable[[Path], None]
) -> None:
    change(bastion.records_file(MALLORY))

    ended = bastion.run(MALLORY, "-c", START)

    for path in (bastion.root / "records").iterdir():
        path.unlink()
    bastion.delete_records(MALLORY)
    assert_refused(bastion, scripted, log, ended, 254)
    assert "cannot write the audit record, and record.required is set" in ended.stderr


@pytest.mark.parametrize("left", [0, 300])
def test_denies_on_full_disk(bastion: Bastion, scripted: ScriptedAws, log: Log, left: int) -> None:
    """A limit of the file size stands for the full disk."""
    limited = ["prlimit", f"--fsize={left}", str(bastion.entry)]
    ended = bastion.run(MALLORY, "-c", START, program=limited)

    bastion.delete_records(MALLORY)
    assert_refused(bastion, scripted, log, ended, 254)


def test_denies_on_full_disk_without_syslog(bastion: Bastion, scripted: ScriptedAws) -> None:
    bastion.syslog_socket.unlink()
    bastion.syslog_socket.mkdir()
    try:
        limited = ["prlimit", "--fsize=0", str(bastion.entry)]
        ended = bastion.run(MALLORY, "-c", START, program=limited)
    finally:
        bastion.syslog_socket.rmdir()
        bastion.syslog_socket.touch()

    assert ended.returncode == 254
    assert scripted.calls("StartSession") == []


@pytest.mark.parametrize("limit", ["--nofile=4", "--as=20000000", "--nproc=0", "--cpu=0"])
def test_denies_without_resources(bastion: Bastion, scripted: ScriptedAws, limit: str) -> None:
    """Without a process there is no record, but no session either."""
    program = ["prlimit", limit, str(bastion.entry)]
    ended = bastion.run(MALLORY, "-c", START, program=program)

    assert ended.returncode != 0
    assert scripted.calls("StartSession") == []
    assert not bastion.plugin.started


def test_each_rejected_login_leaves_one_short_record(
    bastion: Bastion, scripted: ScriptedAws, log: Log
) -> None:
    """The record is short, whatever the length of the command."""
    line = f"{START} --reason {'x' * 60_000}"
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda _: bastion.run(MALLORY, "-c", line), range(24)))

    assert {e.returncode for e in ended} == {252}
    lines = bastion.records_file(MALLORY).read_bytes().splitlines()
    assert len([text for text in lines if text]) == 24
    assert max(map(len, lines)) <= 8000
    assert scripted.received == []


# Signals.

STEPS = ["GetCallerIdentity", "SimulatePrincipalPolicy", "StartSession", "plugin"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("step", STEPS)
def test_signal_at_each_step_starts_nothing(
    bastion: Bastion, scripted: ScriptedAws, log: Log, step: str, number: signal.Signals
) -> None:
    import threading

    go_on = threading.Event()
    if step == "plugin":
        bastion.plugin.on_version(": > $FAKE_PLUGIN/asked; sleep 2")
    else:
        (answer,) = scripted.answers[step]
        scripted.script(step, after(go_on, answer))
    process = bastion.popen(MALLORY, "-c", START)
    asked = bastion.root / "recorded" / "asked"
    if step == "plugin":
        until(asked.exists)
    else:
        scripted.wait_for(step)

    process.send_signal(number)
    until(lambda: is_signal_delivered(process.pid, number))
    process.send_signal(number)
    go_on.set()
    _, err = process.communicate(timeout=60)

    assert process.returncode in (130, -number), err
    assert scripted.sessions_left() == []
    assert not bastion.plugin.started
    end = [*bastion.records(MALLORY), *log.records][-1]
    assert end["event"] == "end"
    assert end["error"] == f"signal {number.value}"


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGIO"])
def test_ignores_harmless_signals(
    bastion: Bastion, scripted: ScriptedAws, log: Log, name: str
) -> None:
    import threading

    go_on = threading.Event()
    scripted.script("SimulatePrincipalPolicy", after(go_on, evaluation("implicitDeny")))
    process = bastion.popen(MALLORY, "-c", START)
    scripted.wait_for("SimulatePrincipalPolicy")
    process.send_signal(getattr(signal, name))
    until(lambda: is_signal_delivered(process.pid, getattr(signal, name)))
    go_on.set()
    out, err = process.communicate(timeout=60)

    assert process.returncode == 254, err
    assert_refused(bastion, scripted, log, Ended(process.returncode, out, err), 254)
