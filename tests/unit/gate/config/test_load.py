"""Loading the configuration: sources, types, and no ignored error."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmgate.gate.config import merge
from ssmgate.gate.config.load import USER_FILE, Checker, Config, ConfigSource, load
from ssmgate.gate.config.schema import KEYS, VARIABLES, Key
from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.decision.question import ContextEntry
from ssmgate.gate.system import trusted_open
from ssmgate.gate.system.trusted_open import LARGEST

MFA = ContextEntry("aws:MultiFactorAuthPresent", "boolean", ("true",))


def read(directory: Path, *, system: str = "", user: str = "", **environ: str) -> Config:
    system_file = directory / "system.toml"
    if system:
        system_file.write_text(system)
    user_file = directory / "home" / USER_FILE
    user_file.parent.mkdir(parents=True, exist_ok=True)
    if user:
        user_file.write_text(user)
    return load({"HOME": str(directory / "home"), **environ}, tier(directory))


def tier(directory: Path) -> ConfigSource:
    return ConfigSource(str(directory / "system.toml"), base=str(directory), owner=os.geteuid())


def test_enforces_without_any_file(tmp_path: Path) -> None:
    assert read(tmp_path) == Config(permissive=False, checker=None, context=())


def test_later_source_overrides_single_keys(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        system='mode = "permissive"\n[checker]\nprofile = "sys"\n'
        '[context]\n"aa:bb" = "sys"\n"cc:dd" = 1',
        user='[checker]\nprofile = "user"\n[context]\n"AA:BB" = "user"',
        SSMGATE_MODE="enforce",
        SSMGATE_CHECKER_ROLE_ARN="arn:aws:iam::111122223333:role/Checker",
        SSMGATE_CONTEXT='{"aws:MultiFactorAuthPresent": true}',
        SSMGATE_PLUGIN_PASS_CREDENTIALS="true",
    )

    assert config == Config(
        permissive=False,
        checker=Checker("user", "arn:aws:iam::111122223333:role/Checker"),
        context=(
            ContextEntry("AA:BB", "string", ("user",)),
            MFA,
            ContextEntry("cc:dd", "numeric", ("1",)),
        ),
        pass_credentials=True,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('mode = "off"', "mode must be 'enforce' or 'permissive'"),
        ("mode = true", "mode must be 'enforce' or 'permissive'"),
        ('modes = "enforce"', "unknown key 'modes'"),
        ('[checker]\nprofil = "x"', "unknown key 'checker.profil'"),
        ("[checker]\nprofile = 1", "checker.profile must be a string"),
        ('[checker]\nprofile = ""', "checker.profile must be a string"),
        ('[checker]\nrole_arn = "Checker"', "checker.role_arn must be the ARN of an IAM role"),
        ("checker = 1", "unknown key 'checker'"),
        ("allow_wildcard_grants = 0", "allow_wildcard_grants must be true or false"),
        ('on_unknown = "allow"', "on_unknown must be 'deny' or 'service'"),
        ('explicit = "named"', "unknown key 'explicit'"),
        ('[plugin]\npass_credentials = "own"', "plugin.pass_credentials must be true or false"),
        ('[plugin]\ncredentials = "own"', "unknown key 'plugin.credentials'"),
        ('context = "a"', "context must be a table"),
        ("cache.ttl = -1", "cache.ttl must be a whole number of seconds from 0 to 900"),
        ("cache.ttl = 901", "cache.ttl must be a whole number of seconds"),
        ("cache.ttl = true", "cache.ttl must be a whole number of seconds"),
        ("cache.ttl = 1.5", "cache.ttl must be a whole number of seconds"),
        ('[context]\n"aa:bb" = {}', "context.aa:bb must be a string"),
        ('[context]\n"aa:bb" = 2024-01-01', "context.aa:bb must be a string"),
        ('[context]\n"SSM:sessiondocumentaccesscheck" = false', "is set by ssmgate itself"),
        ('[context]\n"aws:userid" = "x"', "is set by ssmgate itself"),
        ('[context]\n"a:b" = 1', "context.a:b is not a condition key"),
        ('"documents.deny" = []\n[documents]\ndeny = ["X"]', "duplicate key documents.deny"),
        ('"cache.ttl" = 1\ncache.ttl = 1', "duplicate key cache.ttl"),
        ("mode = ", "Invalid value"),
        ("\udcff", "utf-8"),
    ],
)
def test_rejects_invalid_files(tmp_path: Path, text: str, words: str) -> None:
    directory = tmp_path / "home" / ".config" / "ssmgate"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(ConfigurationProblem, match=words):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SSMGATE_MOD", "enforce", "unknown environment variable SSMGATE_MOD"),
        ("SSMGATE_MODE", "", "mode must be"),
        ("SSMGATE_CONTEXT", "{", "must be a JSON object"),
        ("SSMGATE_CONTEXT", "[]", "context must be a table"),
        ("SSMGATE_CONTEXT", '{"a":' * 100_000, "SSMGATE_CONTEXT: nested too deeply"),
        ("SSMGATE_CACHE_TTL", "60s", "cache.ttl must be a whole number of seconds"),
        ("SSMGATE_CACHE_TTL", "-1", "cache.ttl must be a whole number of seconds"),
        ("SSMGATE_CACHE_TTL", "", "cache.ttl must be a whole number of seconds"),
    ],
)
def test_rejects_invalid_environment_variables(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    with pytest.raises(ConfigurationProblem, match=words):
        read(tmp_path, **{name: value})


def test_check_does_not_wait_for_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(ConfigurationProblem, match="is not a regular file"):
        merge.check(str(tmp_path / "fifo"))


def test_unreadable_file_is_error(tmp_path: Path) -> None:
    (tmp_path / "home" / USER_FILE).mkdir(parents=True)

    with pytest.raises(ConfigurationProblem, match="Is a directory"):
        read(tmp_path)


SYSTEM = """
locked = ["mode", "documents.allow", "documents.deny", "require_reason", "context",
          "checker.profile", "record.file", "record.syslog", "record.required", "plugin.path"]
require_reason = false
[documents]
allow = ["Dev-*"]
deny = ["Dev-Root"]
[checker]
profile = "asks"
[context]
"aws:SourceIp" = "203.0.113.10"
"""


@pytest.mark.parametrize(
    "user",
    [
        'mode = "permissive"',
        'checker.profile = "mine"',
        '[context]\n"aws:MultiFactorAuthPresent" = true',
        '[context]\n"AWS:SOURCEIP" = "198.51.100.1"',
        'plugin.path = "/tmp/plugin"',
    ],
)
def test_user_file_cannot_relax_locked_key(tmp_path: Path, user: str) -> None:
    with pytest.raises(ConfigurationProblem, match=r"is locked by .*system\.toml"):
        read(tmp_path, system=SYSTEM, user=user)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSMGATE_MODE", "permissive"),
        ("SSMGATE_CHECKER_PROFILE", "mine"),
        ("SSMGATE_CONTEXT", '{"aws:MultiFactorAuthPresent": true}'),
        ("SSMGATE_PLUGIN_PATH", "/tmp/plugin"),
    ],
)
def test_environment_variable_cannot_relax_locked_key(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigurationProblem, match=f"{name}: .* is locked by"):
        read(tmp_path, system=SYSTEM, **{name: value})


def test_unset_locked_key_is_locked_at_default(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationProblem, match="mode is locked"):
        read(tmp_path, system='locked = ["*"]', SSMGATE_MODE="permissive")


def test_repeating_locked_value_is_allowed(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        system=SYSTEM,
        user='mode = "enforce"\n[checker]\nprofile = "asks"',
        SSMGATE_CONTEXT='{"aws:SourceIp": "203.0.113.10"}',
    )

    assert config.checker == Checker("asks")


def test_user_may_tighten_locked_key(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        system=SYSTEM,
        user='require_reason = true\n[documents]\nallow = ["*-Shell"]\ndeny = ["Dev-Old"]\n'
        '[record]\nrequired = true\nfile = "/var/log/mine"\nsyslog = true',
    )

    assert config.rules.documents_allow == (("Dev-*",), ("*-Shell",))
    assert config.rules.documents_deny == ("Dev-Root", "Dev-Old")
    assert config.rules.require_reason
    assert (config.records.file, config.records.syslog) == ("/var/log/mine", True)
    assert config.records.required


@pytest.mark.parametrize(
    ("system", "user", "above"),
    [
        ("require_reason = true", "require_reason = false", "require_reason"),
        ("record.required = true", "record.required = false", "record.required"),
        ("cache.ttl = 10", "cache.ttl = 11", "cache.ttl"),
        ("record.syslog = true", "record.syslog = false", "record.syslog"),
        ('record.syslog = "/dev/log"', "record.syslog = true", "record.syslog"),
        ('record.file = "/var/log/a"', 'record.file = "/var/log/b"', "record.file"),
        ("", "allow_wildcard_grants = true", None),
        ("allow_wildcard_grants = false", "allow_wildcard_grants = true", "allow_wildcard_grants"),
        ("", "allow_wildcard_grants = false", None),
        ("", "plugin.pass_credentials = false", None),
        ("", "plugin.pass_credentials = true", "plugin.pass_credentials"),
        (
            "plugin.pass_credentials = true",
            "plugin.pass_credentials = false",
            "plugin.pass_credentials",
        ),
    ],
)
def test_looser_value_of_locked_key_is_rejected(
    tmp_path: Path, system: str, user: str, above: str | None
) -> None:
    refused = pytest.raises(ConfigurationProblem, match=f"{above} is locked")
    with refused if above else contextlib.nullcontext():
        read(tmp_path, system=f'locked = ["*"]\n{system}', user=user)


def test_locked_time_may_be_shortened(tmp_path: Path) -> None:
    config = read(tmp_path, system='locked = ["*"]', SSMGATE_CACHE_TTL="0")

    assert config.cache_ttl == 0


def test_unlocked_list_is_replaced(tmp_path: Path) -> None:
    config = read(
        tmp_path, system='documents.allow = ["A"]', SSMGATE_DOCUMENTS_ALLOW="Bee-*,arn:aws:ssm:*"
    )

    assert config.rules.documents_allow == (("Bee-*", "arn:aws:ssm:*"),)


def test_reads_empty_allow_list(tmp_path: Path) -> None:
    assert read(tmp_path, system="documents.allow = []").rules.documents_allow == ((),)


@pytest.mark.parametrize(
    ("tier_of", "text", "words"),
    [
        ("user", 'locked = ["mode"]', "locked can only be set in .*system.toml"),
        ("user", 'login.profile = "x"', "login.profile can only be set in"),
        ("user", 'aws.allowed_endpoints = ["x"]', "aws.allowed_endpoints can only be set in"),
        ("system", 'locked = ["mod"]', "locked has an unknown key 'mod'"),
        ("system", 'locked = "mode"', "locked must be a list"),
        ("system", 'documents.allow = "A"', "documents.allow must be a list"),
        ("system", 'documents.allow = ["[a-z]"]', "documents.allow must be a list"),
        ("system", 'documents.deny = ["x:y"]', "documents.deny must be a list of document names"),
        ("system", "require_reason = 1", "require_reason must be true or false"),
        ("system", 'record.file = "log"', "record.file must be an absolute path"),
        ("system", 'record.file = "/a/../b"', "record.file must be an absolute path"),
        ("system", 'record.syslog = "yes"', "record.syslog must be true, false or"),
        ("system", 'login.options = ["debug"]', "login.options must be a list of some of"),
        ("system", 'aws.allowed_endpoints = "x"', "aws.allowed_endpoints must be a list of HOST"),
        (
            "system",
            'aws.allowed_endpoints = ["x/y"]',
            "aws.allowed_endpoints must be a list of HOST",
        ),
        ("system", "aws.allowed_endpoints = [1]", "aws.allowed_endpoints must be a list of HOST"),
        (
            "system",
            'plugin.path = "session-manager-plugin"',
            "plugin.path must be an absolute path",
        ),
    ],
)
def test_rejects_keys_that_a_source_must_not_set(
    tmp_path: Path, tier_of: str, text: str, words: str
) -> None:
    with pytest.raises(ConfigurationProblem, match=words):
        read(tmp_path, **{tier_of: text})


@pytest.mark.parametrize(
    "name", ["SSMGATE_LOGIN_PROFILE", "SSMGATE_LOCKED", "SSMGATE_AWS_ALLOWED_ENDPOINTS"]
)
def test_system_only_keys_have_no_environment_variable(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationProblem, match=f"unknown environment variable {name}"):
        read(tmp_path, **{name: "x"})


def test_each_key_has_own_environment_variable() -> None:
    assert len(VARIABLES) == len([key for key in KEYS.values() if key.text])
    assert VARIABLES["SSMGATE_REQUIRE_REASON"].name == "require_reason"


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_repeating_default_of_locked_key_changes_nothing(key: Key) -> None:
    if key.default not in (None, ()):
        assert key.tighten(key.default, key.default) == key.default


# Who could have written it.

ROOT_OWNED = pytest.mark.skipif(
    os.geteuid() != 0, reason="the group of an ordinary user may write the user's own files"
)


def write_system(directory: Path, text: str = 'mode = "permissive"') -> Path:
    (directory / "etc").mkdir()
    path = directory / "etc" / "config.toml"
    path.write_text(text)
    return path


def load_system(directory: Path, path: Path, owner: int | None = None) -> Config:
    owner = os.geteuid() if owner is None else owner
    return load({}, ConfigSource(str(path), base=str(directory), owner=owner))


def test_reads_system_file_of_trusted_owner(tmp_path: Path) -> None:
    assert load_system(tmp_path, write_system(tmp_path)).permissive


@pytest.mark.parametrize("what", [".", "etc", "etc/config.toml"])
@pytest.mark.parametrize("mode", [pytest.param(0o020, marks=ROOT_OWNED), 0o002, 0o1002])
def test_rejects_system_file_that_others_could_write(
    tmp_path: Path, what: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_system(tmp_path)
    # Members of the user's private group may write.
    monkeypatch.setattr(os, "getegid", lambda: -1)
    place = tmp_path / what
    place.chmod(0o755 | mode)

    with pytest.raises(ConfigurationProblem, match=r"can be written by others \(mode"):
        load_system(tmp_path, path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", [".", "etc", "etc/config.toml"])
def test_rejects_system_file_of_another_user(tmp_path: Path, what: str) -> None:
    path = write_system(tmp_path)
    os.chown(tmp_path / what, 12345, -1)

    with pytest.raises(ConfigurationProblem, match="belongs to uid 12345"):
        load_system(tmp_path, path)


def test_rejects_link_to_system_file(tmp_path: Path) -> None:
    path = write_system(tmp_path)
    path.rename(tmp_path / "etc" / "real.toml")
    path.symlink_to("real.toml")
    with pytest.raises(ConfigurationProblem, match=r"config\.toml is a symbolic link"):
        load_system(tmp_path, path)

    (tmp_path / "link").symlink_to("etc")
    with pytest.raises(ConfigurationProblem, match="link is a symbolic link"):
        load_system(tmp_path, tmp_path / "link" / "real.toml")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "is not a regular file"),
        (os.mkdir, "Is a directory"),
        (lambda path: Path(path).write_bytes(b"#" * (LARGEST + 1)), "more than 65536 bytes"),
        (lambda path: Path(path).write_text("a" + "[" * 3000), "config.toml"),
        (lambda path: Path(path).write_bytes(b"\0"), "config.toml"),
    ],
    ids=["fifo", "directory", "big", "deep", "binary"],
)
@pytest.mark.parametrize("whose", ["system", "user"])
def test_rejects_files_that_are_not_text(
    tmp_path: Path, make: Callable[[str], object], words: str, whose: str
) -> None:
    (tmp_path / ".config" / "ssmgate").mkdir(parents=True)
    path = tmp_path / USER_FILE
    make(str(path))

    system = path if whose == "system" else tmp_path / "none"
    tier_ = ConfigSource(str(system), base=str(tmp_path), owner=os.geteuid())
    with pytest.raises(ConfigurationProblem, match=words):
        load({"HOME": str(tmp_path)}, tier_)


def test_rejects_user_file_that_others_can_write(tmp_path: Path) -> None:
    path = tmp_path / "home" / USER_FILE
    path.parent.mkdir(parents=True)
    path.write_text('mode = "permissive"')
    path.chmod(0o666)

    with pytest.raises(ConfigurationProblem, match="can be written by others"):
        read(tmp_path)


def test_checks_file_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is exchanged after it was opened: the opened file is the one that is checked."""
    path = write_system(tmp_path, 'mode = "permissive"')
    path.chmod(0o666)
    good = tmp_path / "good.toml"
    good.write_text('mode = "permissive"')
    judge = trusted_open.judge

    def exchange(file: int, name: str, owners: frozenset[int]) -> None:
        good.replace(path)
        judge(file, name, owners)

    monkeypatch.setattr(trusted_open, "judge", exchange)

    with pytest.raises(ConfigurationProblem, match="can be written by others"):
        load_system(tmp_path, path)


def test_each_key_has_default_without_configuration() -> None:
    """Without any configuration, the table of keys is not loaded."""
    found = {key.name: merge.Setting(key.default) for key in KEYS.values()}
    assert load({}, ConfigSource("/nowhere/config.toml")) == Config()
    assert merge.made(found, frozenset()) == Config()


# The verbs.


def ssmgate(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ssmgate", "config", *words],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_show_names_origin(tmp_path: Path) -> None:
    path = tmp_path / "home" / USER_FILE
    path.parent.mkdir(parents=True)
    path.write_text('[context]\n"aws:SourceIp" = "203.0.113.10"')

    shown = ssmgate("show", "--origin", SSMGATE_CONTEXT='{"aws:MultiFactorAuthPresent": true}')
    plain = ssmgate("show")

    assert (
        'context = {"aws:SourceIp" = "203.0.113.10", "aws:MultiFactorAuthPresent" = true}'
        f"  # {path}, then SSMGATE_CONTEXT" in shown.stdout.splitlines()
    )
    assert 'mode = "enforce"' in plain.stdout.splitlines()
    keys = [line.removeprefix("# ").partition(" =")[0] for line in plain.stdout.splitlines()]
    assert keys == list(KEYS)


def test_broken_file_exits_with_253(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text('mod = "enforce"')

    checked = ssmgate("check", str(path))
    shown = ssmgate("show", SSMGATE_MOD="x")

    assert (checked.returncode, checked.stdout) == (253, "")
    assert f"ssmgate: [ERROR]: {path}: unknown key 'mod'" in checked.stderr
    assert "unknown environment variable SSMGATE_MOD" in shown.stderr
    assert shown.returncode == 253


def test_check_warns_of_probable_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text(
        'locked = ["mode"]\n[login]\naws_config_file = "/etc/ssmgate/aws"\nprofile = "bastion"\n'
        "[record]\nrequired = true"
    )
    checked = ssmgate("check", str(path))
    assert "IAM simulates the bastion, not the user" in checked.stdout
    assert "record.required without record.file or record.syslog" in checked.stdout
    assert "plugin.path is unset" in checked.stdout
    assert f"valid; 1 of {len(KEYS)} keys are locked" in checked.stdout

    path.write_text(path.read_text().replace('"bastion"', '"{user}"'))
    assert "the person" not in ssmgate("check", str(path)).stdout


def test_check_says_when_nothing_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text('mode = "permissive"')

    checked = ssmgate("check", str(path)).stdout

    assert "nothing is locked" in checked
    assert "sessions start even if the check denies them" in checked


def test_allowed_endpoints_are_origins(tmp_path: Path) -> None:
    text = 'aws.allowed_endpoints = ["IAM.example", "http://127.0.0.1:5000"]'

    config = read(tmp_path, system=text)

    assert config.allowed_endpoints == ("https://iam.example:443", "http://127.0.0.1:5000")
