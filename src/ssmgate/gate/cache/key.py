"""Collect what the key of a cache entry contains: all that a decision depends on."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from typing import Any

from ssmgate import __version__
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import AWSCLI_VERSION, BOTOCORE_VERSION
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.aws.preconnect import default_ca_bundle
from ssmgate.gate.config.load import Config
from ssmgate.gate.system.file_state import file_state

# Besides AWS_…: variables that decide where STS and IAM are, and which certificates are trusted.
_VARIABLES = (
    "HOME", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF",
    "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS",
)  # fmt: skip
_BUNDLE_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_BUNDLE_KEYS = ("ca_bundle", "proxy_ca_bundle", "proxy_client_cert")


def boot_id() -> str:
    """Return the id of this machine since its last boot, when `Timestamp.boot` began."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError):  # not Linux
        return os.uname().nodename


def dependencies(
    invocation: Invocation, clients: Clients, config: Config, environ: Mapping[str, str]
) -> dict[str, object]:
    """Return everything but the document that the decision depends on.

    Instead of the endpoints of STS and IAM it contains what these are made from: the whole AWS
    configuration, every AWS_… environment variable, the region, and the release of awscli. For the
    endpoints themselves, clients would have to be made. The checker is in it as in ssmgate's
    configuration and the AWS files, without credentials: IAM's answer is about the caller.
    """
    options, credentials = invocation.options, clients.credentials
    aws_configuration = invocation.session.full_config
    variables = {
        name: text
        for name, text in environ.items()
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name in _VARIABLES
    }
    return {
        "versions": [__version__, AWSCLI_VERSION, BOTOCORE_VERSION],
        "user": [os.getuid(), os.geteuid()],
        "machine": boot_id(),
        "credentials": credentials.for_client(),
        "place": [clients.partition, clients.region, clients.ssm.meta.endpoint_url],
        "options": [options.region, options.profile, options.endpoint_url, options.verify],
        "mfa": invocation.mfa.done,
        "configuration": config,
        "aws configuration": aws_configuration,
        "variables": variables,
        "bundles": _bundles(options.verify, aws_configuration, environ),
        "proxies": [urllib.request.getproxies(), _system_proxy_settings()],
    }


def _bundles(
    verify: bool | str | None, aws_configuration: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, object]:
    """Return the files with trusted certificates, each with its `file_state`."""
    profiles = aws_configuration.get("profiles", {}).values()
    paths = {
        default_ca_bundle(),
        verify,
        *(environ.get(name) for name in _BUNDLE_VARIABLES),
        *(profile.get(name) for profile in profiles for name in _BUNDLE_KEYS),
    }
    return {path: file_state(path) for path in paths if path and isinstance(path, str)}


def _system_proxy_settings() -> object:
    """Return for which hosts no proxy is used, which macOS stores outside the environment."""
    return getattr(urllib.request, "_get_proxy_settings", dict)()
