"""The table of keys: names, environment variables, defaults, and what a lock still permits."""

from __future__ import annotations

from typing import Any

import pytest

from ssmgate.gate.config.schema import KEYS, LockedKeyError

TABLE: dict[str, tuple[str | None, Any]] = {
    "mode": ("SSMGATE_MODE", "enforce"),
    "on_unknown": ("SSMGATE_ON_UNKNOWN", "deny"),
    "allow_wildcard_grants": ("SSMGATE_ALLOW_WILDCARD_GRANTS", True),
    "checker.profile": ("SSMGATE_CHECKER_PROFILE", None),
    "checker.role_arn": ("SSMGATE_CHECKER_ROLE_ARN", None),
    "context": ("SSMGATE_CONTEXT", {}),
    "documents.allow": ("SSMGATE_DOCUMENTS_ALLOW", ()),
    "documents.deny": ("SSMGATE_DOCUMENTS_DENY", ()),
    "targets.allow": ("SSMGATE_TARGETS_ALLOW", ()),
    "require_reason": ("SSMGATE_REQUIRE_REASON", False),
    "record.file": ("SSMGATE_RECORD_FILE", None),
    "record.syslog": ("SSMGATE_RECORD_SYSLOG", False),
    "record.required": ("SSMGATE_RECORD_REQUIRED", False),
    "record.parameters": ("SSMGATE_RECORD_PARAMETERS", "all"),
    "record.chain": ("SSMGATE_RECORD_CHAIN", False),
    "record.syslog_format": ("SSMGATE_RECORD_SYSLOG_FORMAT", "auto"),
    "cache.ttl": ("SSMGATE_CACHE_TTL", 60),
    "daemon": ("SSMGATE_DAEMON", "on"),
    "aws.path": ("SSMGATE_AWS_PATH", None),
    "aws.allowed_endpoints": (None, ()),
    "plugin.path": ("SSMGATE_PLUGIN_PATH", None),
    "plugin.pass_credentials": ("SSMGATE_PLUGIN_PASS_CREDENTIALS", False),
    "login.aws_config_file": (None, None),
    "login.aws_credentials_file": (None, None),
    "login.home": (None, "/var/empty"),
    "login.profile": (None, None),
    "login.options": (None, ()),
    "login.confine_plugin": (None, True),
}


def test_keys_have_documented_variables_and_defaults() -> None:
    assert {name: (key.variable, key.default) for name, key in KEYS.items()} == TABLE


@pytest.mark.parametrize("name", ["allow_wildcard_grants", "plugin.pass_credentials"])
@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False)])
def test_reads_flag_from_environment_variable(name: str, text: str, value: bool) -> None:
    key = KEYS[name]
    assert key.text is not None
    assert key.read(key.text(text)) is value


@pytest.mark.parametrize("name", ["allow_wildcard_grants", "plugin.pass_credentials"])
@pytest.mark.parametrize("text", ["", "True", "1", "yes", "named", "resolved"])
def test_rejects_invalid_text_for_flag(name: str, text: str) -> None:
    key = KEYS[name]
    assert key.text is not None
    with pytest.raises(ValueError, match="must be true or false"):
        key.read(key.text(text))


@pytest.mark.parametrize(
    ("name", "above", "below", "result"),
    [
        ("on_unknown", "service", "deny", "deny"),
        ("on_unknown", "deny", "deny", "deny"),
        ("on_unknown", "service", "service", "service"),
        ("on_unknown", "deny", "service", None),
        ("allow_wildcard_grants", True, False, False),
        ("allow_wildcard_grants", False, False, False),
        ("allow_wildcard_grants", True, True, True),
        ("allow_wildcard_grants", False, True, None),
        ("plugin.pass_credentials", True, True, True),
        ("plugin.pass_credentials", True, False, None),
        ("plugin.pass_credentials", False, True, None),
    ],
)
def test_locked_flag_can_only_be_tightened(
    name: str, above: bool, below: bool, result: bool | None
) -> None:
    tighten = KEYS[name].tighten
    if result is None:
        with pytest.raises(LockedKeyError):
            tighten(above, below)
    else:
        assert tighten(above, below) is result
