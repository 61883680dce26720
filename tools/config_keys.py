"""What each configuration key does, for docs/reference/configuration.md and ssmgate-config(5).

Names, defaults and environment variables are those of `ssmgate.gate.config.schema`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyText:
    """The texts of a key: its type, its effect, an example in TOML, and what a lock permits."""

    type: str
    effect: str
    example: str
    locked: str


FIXED = "cannot be changed"

KEYS = {
    "mode": KeyText(
        '"enforce" or "permissive"',
        '"enforce" starts a session only if access is allowed. "permissive" starts it in any case:'
        " it prints and records what would be denied.",
        'mode = "enforce"',
        'can only be set to "enforce"',
    ),
    "on_unknown": KeyText(
        '"deny" or "service"',
        "What happens if IAM cannot simulate the caller at all: no permission to simulate,"
        ' the root user, or a federated user. "service" sends the session with its document named,'
        " so that AWS checks the document.",
        'on_unknown = "deny"',
        'can only be set to "deny"',
    ),
    "allow_wildcard_grants": KeyText(
        "true or false",
        "If false, some statement that allows the document has to name it: `document/*` is not"
        " enough. This takes one more call to IAM for each allowed session.",
        "allow_wildcard_grants = true",
        "can only be set to false",
    ),
    "checker.profile": KeyText(
        "name of an AWS profile",
        "The profile whose credentials call IAM in place of the caller's.",
        'checker.profile = "ssm-checker"',
        FIXED,
    ),
    "checker.role_arn": KeyText(
        "ARN of an IAM role",
        "A role to assume for the calls to IAM, with the caller's credentials or those of"
        " checker.profile.",
        'checker.role_arn = "arn:aws:iam::111122223333:role/SsmChecker"',
        FIXED,
    ),
    "context": KeyText(
        "table of condition keys",
        "Condition keys whose values ssmgate cannot determine itself, such as the source address."
        " They are sent to IAM with each simulation. In the environment variable: a JSON object.",
        'context = {"aws:SourceIp" = "203.0.113.10"}',
        FIXED,
    ),
    "documents.allow": KeyText(
        "list of names or ARNs, with * and ?",
        "Deny all documents but these, even if IAM allows them. A name means a document of your"
        " own account or of AWS.",
        'documents.allow = ["Dev-*", "AWS-StartSSHSession"]',
        "other sources can add a list, which also has to match",
    ),
    "documents.deny": KeyText(
        "list of names or ARNs, with * and ?",
        "Deny these documents, even if IAM allows them. A name means a document of any account.",
        'documents.deny = ["Dev-Root"]',
        "other sources can add entries",
    ),
    "targets.allow": KeyText(
        "list of targets, with * and ?",
        "Deny all targets but these, even if IAM allows them.",
        'targets.allow = ["i-*"]',
        "other sources can add a list, which also has to match",
    ),
    "require_reason": KeyText(
        "true or false",
        "Deny sessions without --reason.",
        "require_reason = true",
        "can only be set to true",
    ),
    "record.file": KeyText(
        "absolute path",
        "Append one JSON object for each decision and each session. `{user}` is the name of the"
        " unix user.",
        'record.file = "/var/lib/ssmgate/records/{user}.jsonl"',
        "can be set if the system file does not set it",
    ),
    "record.syslog": KeyText(
        "true, false, or the absolute path of a socket",
        "Send the same records to syslog, with facility authpriv.",
        "record.syslog = true",
        "can be set if the system file does not set it",
    ),
    "record.required": KeyText(
        "true or false",
        "Start no session whose decision cannot be recorded, and terminate a session whose start"
        " cannot be recorded.",
        "record.required = true",
        "can only be set to true",
    ),
    "record.parameters": KeyText(
        '"all", "names" or "none"',
        "What records contain of the session's parameters, which may contain secrets: all of them,"
        " only their names, or nothing.",
        'record.parameters = "names"',
        FIXED,
    ),
    "record.chain": KeyText(
        "true or false",
        "Add the hash of the line before to each record of the file, so that `ssmgate records"
        " verify` finds lines that were changed, removed, moved or added.",
        "record.chain = true",
        "can only be set to true",
    ),
    "record.syslog_format": KeyText(
        '"auto", "journald", "rfc3164" or "rfc5424"',
        'The format for syslog. "auto" is the journal\'s own format if systemd-journald runs and'
        ' record.syslog is true, otherwise RFC 3164. "rfc5424" has structured data.',
        'record.syslog_format = "rfc5424"',
        FIXED,
    ),
    "cache.ttl": KeyText(
        "seconds, 0 to 900",
        "How long an allow decision is cached. 0 disables the cache. A revoked permission can be"
        " used for as long.",
        "cache.ttl = 60",
        "can only be lowered; with locked keys nothing is cached",
    ),
    "daemon": KeyText(
        '"on", "auto" or "off"',
        '"on" uses a running daemon, "auto" also starts one in the background.',
        'daemon = "on"',
        'can only be set to "off"; with locked keys no daemon is used',
    ),
    "aws.path": KeyText(
        "absolute path",
        "The AWS CLI that runs all other commands. Default: the next `aws` on PATH.",
        'aws.path = "/usr/local/bin/aws"',
        FIXED,
    ),
    "aws.allowed_endpoints": KeyText(
        "list of HOST or HOST:PORT, also after https:// or http://",
        "Endpoints other than AWS's own that may be used although keys are locked.",
        'aws.allowed_endpoints = ["sts.corp.example"]',
        "system file only",
    ),
    "plugin.path": KeyText(
        "absolute path",
        "The session-manager-plugin to run. Default: the first one on PATH.",
        'plugin.path = "/usr/local/sessionmanagerplugin/bin/session-manager-plugin"',
        FIXED,
    ),
    "plugin.pass_credentials": KeyText(
        "true or false",
        "Pass the checked credentials to the plugin, which then needs no profile. They are not"
        " refreshed: a session cannot be resumed after they expire.",
        "plugin.pass_credentials = false",
        FIXED,
    ),
    "login.aws_config_file": KeyText(
        "absolute path",
        "For ssmgate-login: the AWS configuration file.",
        'login.aws_config_file = "/etc/ssmgate/aws"',
        "system file only",
    ),
    "login.aws_credentials_file": KeyText(
        "absolute path",
        "For ssmgate-login: the AWS credentials file. `{user}` is the name of the unix user.",
        'login.aws_credentials_file = "/etc/ssmgate/credentials/{user}/aws"',
        "system file only",
    ),
    "login.home": KeyText(
        "absolute path",
        "For ssmgate-login: HOME of the session. An empty directory that only root can write.",
        'login.home = "/var/lib/ssmgate/empty"',
        "system file only",
    ),
    "login.profile": KeyText(
        "name of an AWS profile",
        "For ssmgate-login: the AWS profile. `{user}` is the name of the unix user.",
        'login.profile = "{user}"',
        "system file only",
    ),
    "login.options": KeyText(
        'list of "region" and "profile"',
        "For ssmgate-login: options that users may pass besides those of start-session.",
        'login.options = ["region"]',
        "system file only",
    ),
    "login.confine_plugin": KeyText(
        "true or false",
        "For ssmgate-login: confine the plugin with Landlock to what a session needs. It has no"
        " effect on a kernel without Landlock; `ssmgate doctor` and `ssmgate config check` report"
        " that.",
        "login.confine_plugin = true",
        "system file only",
    ),
}
"""The texts of each key of the schema, by its name."""
