"""The files of awscli that the reduced service models are made from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from ssmgate.gate.aws import AWSCLI_DIRECTORY
from ssmgate.gate.aws.service_models import CALLED

_ENTIRE = ("endpoints.json", "partitions.json", "sdk-default-configuration.json")
# With the additions to them, in files such as service-2.sdk-extras.json.
_OF_A_SERVICE = ("endpoint-rule-set-1.", "service-2.")


def digest(directory: str = AWSCLI_DIRECTORY) -> str:
    """Return a SHA-256 digest of the names and contents of the files in awscli's `directory`.

    Releases of awscli with the same data have the same digest. Takes some 5 ms, so that it is only
    computed if the release is not the one that the models were made from. Empty if a file cannot
    be read: then nothing was made from these files.
    """
    whole = hashlib.sha256()
    try:
        for name in _names(directory):
            with open(os.path.join(directory, name), "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            whole.update(f"{name} {content}\n".encode())
    except OSError:
        return ""
    return whole.hexdigest()


def _names(directory: str) -> Iterator[str]:
    """Yield the names of the files. All versions of an API count: botocore uses the latest one."""
    data = os.path.join("botocore", "data")
    yield os.path.join("data", "cli.json")
    yield from (os.path.join(data, name) for name in _ENTIRE)
    for service_name in CALLED:
        versions = os.path.join(data, service_name)
        for version in sorted(os.listdir(os.path.join(directory, versions))):
            for name in sorted(os.listdir(os.path.join(directory, versions, version))):
                if name.startswith(_OF_A_SERVICE):
                    yield os.path.join(versions, version, name)
