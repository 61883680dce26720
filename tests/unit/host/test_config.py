"""The configuration: tiers, types, and nothing passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssmgate.core.errors import ConfigurationProblem
from ssmgate.core.question import ContextEntry
from ssmgate.host.config import USER_FILE, Checker, Config, load

MFA = ContextEntry("aws:MultiFactorAuthPresent", "boolean", ("true",))


def read(folder: Path, *, system: str = "", user: str = "", **environ: str) -> Config:
    system_file = folder / "system.toml"
    if system:
        system_file.write_text(system)
    user_file = folder / "home" / USER_FILE
    user_file.parent.mkdir(parents=True, exist_ok=True)
    if user:
        user_file.write_text(user)
    return load({"HOME": str(folder / "home"), **environ}, system_file=str(system_file))


def test_without_any_file_the_gate_enforces(tmp_path: Path) -> None:
    assert read(tmp_path) == Config(permissive=False, checker=None, context=())


def test_the_later_tier_wins_key_by_key(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        system='mode = "permissive"\n[checker]\nprofile = "sys"\n'
        '[context]\n"aa:bb" = "sys"\n"cc:dd" = 1',
        user='[checker]\nprofile = "user"\n[context]\n"AA:BB" = "user"',
        SSMGATE_MODE="enforce",
        SSMGATE_CHECKER_ROLE_ARN="arn:aws:iam::111122223333:role/Checker",
        SSMGATE_CONTEXT='{"aws:MultiFactorAuthPresent": true}',
        SSMGATE_PLUGIN_CREDENTIALS="resolved",
    )

    assert config == Config(
        permissive=False,
        checker=Checker("user", "arn:aws:iam::111122223333:role/Checker"),
        context=(
            ContextEntry("AA:BB", "string", ("user",)),
            MFA,
            ContextEntry("cc:dd", "numeric", ("1",)),
        ),
        resolved_credentials=True,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('mode = "off"', "mode is 'enforce' or 'permissive'"),
        ("mode = true", "mode is 'enforce' or 'permissive'"),
        ('modes = "enforce"', "unknown key 'modes'"),
        ('[checker]\nprofil = "x"', "unknown key 'checker.profil'"),
        ("[checker]\nprofile = 1", "checker.profile is a name"),
        ('[checker]\nprofile = ""', "checker.profile is a name"),
        ('[checker]\nrole_arn = "Checker"', "checker.role_arn is the ARN of an IAM role"),
        ("checker = 1", "unknown key 'checker'"),
        ('[plugin]\ncredentials = "mine"', "plugin.credentials is 'own' or 'resolved'"),
        ("[plugin]\ncredentials = true", "plugin.credentials is 'own' or 'resolved'"),
        ('[plugin]\ncredential = "own"', "unknown key 'plugin.credential'"),
        ('context = "a"', "context is a table"),
        ('[context]\n"aa:bb" = {}', "context.aa:bb takes a string"),
        ('[context]\n"aa:bb" = 2024-01-01', "context.aa:bb takes a string"),
        ('[context]\n"SSM:sessiondocumentaccesscheck" = false', "ssmgate's own to fill in"),
        ('[context]\n"aws:userid" = "x"', "ssmgate's own to fill in"),
        ('[context]\n"a:b" = 1', "context.a:b is no condition key"),
        ("mode = ", "Invalid value"),
        ("\udcff", "utf-8"),
    ],
)
def test_what_is_not_understood_is_an_error(tmp_path: Path, text: str, words: str) -> None:
    folder = tmp_path / "home" / ".config" / "ssmgate"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(ConfigurationProblem, match=words):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SSMGATE_MOD", "enforce", "unknown variable SSMGATE_MOD"),
        ("SSMGATE_MODE", "", "mode is"),
        ("SSMGATE_CONTEXT", "{", "is a JSON object"),
        ("SSMGATE_CONTEXT", "[]", "context is a table"),
    ],
)
def test_variables_are_held_to_the_same(tmp_path: Path, name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigurationProblem, match=words):
        read(tmp_path, **{name: value})


def test_a_file_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "home" / USER_FILE).mkdir(parents=True)

    with pytest.raises(ConfigurationProblem, match="Is a directory"):
        read(tmp_path)
