"""Tables of both the reference pages and the man pages: exit statuses, files, environment."""

from __future__ import annotations

EXITS_OF_SESSIONS = (
    ("the plugin's", "The session was started."),
    ("252", "The command line is invalid."),
    ("253", "No region, no credentials, or an invalid configuration of ssmgate."),
    ("254", "Access is denied, access could not be checked, or AWS answered with an error."),
    ("255", "Any other error, for example no session-manager-plugin."),
    ("130", "Interrupted before the session was started."),
)
"""The exit statuses of `ssm-start-session` and of everything else that starts sessions."""

EXITS_OF_OTHERS = (
    ("0", "Allowed, valid, or done."),
    ("3", "Denied, or there are problems or findings."),
    ("4", "Unknown: access could not be checked, or not completely."),
    ("252", "The command line, or a policy file, is invalid."),
    ("253", "No region, no credentials, or an invalid configuration of ssmgate."),
    ("255", "Any other error."),
    ("130", "Interrupted."),
)

FILES = (
    (
        "/etc/ssmgate/config.toml",
        "The system's configuration. It must belong to root, and only root may write it.",
    ),
    ("~/.config/ssmgate/config.toml", "Your configuration."),
    ("~/.cache/ssmgate/answers/", "Cached allow decisions. Only you can read and write it."),
    ("~/.cache/ssmgate/daemon/", "The daemon's socket and its key. Only you can use it."),
    ("~/.cache/ssmgate/sandbox.json", "The running sandbox; in $XDG_RUNTIME_DIR if that is set."),
    ("~/.aws/config, ~/.aws/credentials", "Profiles, as for the AWS CLI."),
    ("~/.aws/cli/alias", "Aliases of the AWS CLI, which the shim reads."),
    ("~/.aws/cli/cache/", "Credentials of assumed roles, which the AWS CLI shares."),
)

ENVIRONMENT = (
    (
        "AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID",
        "These and all others have the same effect as in AWS CLI v2.",
    ),
    ("AWS_ENDPOINT_URL", "The endpoint of all services, for example that of a local AWS."),
    (
        "AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL_IAM, AWS_ENDPOINT_URL_SSM",
        "The endpoint of one service. ssmgate warns if another host answers for STS or IAM than"
        " for the session. With locked keys only AWS's endpoints are used, and those in"
        " aws.allowed_endpoints.",
    ),
    (
        "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT",
        "The session uses such an endpoint. STS and IAM use one where it exists, and otherwise"
        " the standard endpoint.",
    ),
    ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY, AWS_CA_BUNDLE", "As for the AWS CLI."),
    ("HOME, XDG_RUNTIME_DIR", "The directories that have your files."),
    ("NO_COLOR", "If set, output has no colors."),
    (
        "PATH",
        "The directories in which ssmgate looks for session-manager-plugin, and the shim for aws.",
    ),
)
