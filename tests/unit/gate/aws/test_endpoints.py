"""The endpoints that clients really use, for each partition and region of botocore's data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen

# isort: split
import botocore.session
from botocore.exceptions import BotoCoreError

from ssmgate.gate.aws.endpoints import create_asking, partition_of, url_of
from ssmgate.gate.aws.preconnect import CHECK
from ssmgate.gate.aws.session import MfaPrompt, new_session
from ssmgate.gate.decision.endpoints import is_own

DUMMY_KEYS = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy"}
STS_FIPS = {"us-east-1", "us-east-2", "us-west-1", "us-west-2"}


def session_for(*, fips: bool = False, dual_stack: bool = False) -> Any:
    session = new_session(MfaPrompt())
    session.set_config_variable("use_fips_endpoint", fips)
    session.set_config_variable("use_dualstack_endpoint", dual_stack)
    return session


def endpoint(session: Any, service: str, region: str) -> str:
    return url_of(create_asking(session, service, region, config=CHECK, **DUMMY_KEYS))


def regions() -> Iterator[tuple[str, str]]:
    """Return partitions and regions, without the pseudo regions that no command line names."""
    data = session_for().get_component("data_loader").load_data("partitions")
    for partition in data["partitions"]:
        for region in partition["regions"]:
            if not region.endswith("-global"):
                yield partition["id"], region


REGIONS = list(regions())
SSM_REGIONS = [
    *(region for _partition, region in REGIONS),
    "fips-ca-central-1", "ca-central-1-fips", "aws-global", "us-gov-west-1-fips", "mars-north-1",
]  # fmt: skip
AWSCLI_DATA = str(Path(botocore.__file__).parents[1] / "data")


def existing(session: Any, service: str) -> set[str]:
    """Return the hosts that botocore's endpoint data list literally for the service."""
    data = session.get_component("data_loader").load_data("endpoints")
    hosts = set()
    for partition in data["partitions"]:
        for one in partition["services"].get(service, {}).get("endpoints", {}).values():
            hosts |= {e["hostname"] for e in (one, *one.get("variants", ())) if "hostname" in e}
    return hosts


def expected(
    session: Any, service: str, partition: str, region: str, *, fips: bool, dual_stack: bool
) -> str:
    """Return the expected host: FIPS where the data list it, then dual-stack, then the standard."""
    listed = existing(session, service)
    if service == "sts":
        if fips and f"sts-fips.{region}.amazonaws.com" in listed:
            return f"sts-fips.{region}.amazonaws.com"
        if dual_stack and partition in DUAL_STACK and not (fips and partition == "aws-us-gov"):
            return f"sts.{region}.{DUAL_STACK[partition]}"
        return f"sts.{region}.{SUFFIX[partition]}"
    both = IAM[partition]
    wanted = ("both",) * (fips and dual_stack) + ("fips",) * fips + ("dual",) * dual_stack
    return next((both[one] for one in wanted if one in both), both["standard"])


SUFFIX = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
    "aws-eusc": "amazonaws.eu",
}
DUAL_STACK = {
    "aws": "api.aws",
    "aws-cn": "api.amazonwebservices.com.cn",
    "aws-us-gov": "api.aws",
    "aws-eusc": "api.amazonwebservices.eu",
}
IAM = {
    "aws": {
        "standard": "iam.amazonaws.com",
        "fips": "iam-fips.amazonaws.com",
        "dual": "iam.global.api.aws",
        "both": "iam-fips.global.api.aws",
    },
    "aws-cn": {
        "standard": "iam.cn-north-1.amazonaws.com.cn",
        "dual": "iam.global.api.amazonwebservices.com.cn",
    },
    "aws-us-gov": {
        "standard": "iam.us-gov.amazonaws.com",
        "fips": "iam.us-gov.amazonaws.com",
        "dual": "iam.us-gov.api.aws",
        "both": "iam.us-gov.api.aws",
    },
    "aws-iso": {
        "standard": "iam.us-iso-east-1.c2s.ic.gov",
        "fips": "iam-fips.us-iso-east-1.c2s.ic.gov",
    },
    "aws-iso-b": {
        "standard": "iam.us-isob-east-1.sc2s.sgov.gov",
        "fips": "iam-fips.us-isob-east-1.sc2s.sgov.gov",
    },
    "aws-iso-e": {"standard": "iam.eu-isoe-west-1.cloud.adc-e.uk"},
    "aws-iso-f": {"standard": "iam.us-isof-south-1.csp.hci.ic.gov"},
    "aws-eusc": {"standard": "iam.eusc-de-east-1.amazonaws.eu"},
}


VARIANTS = list(itertools.product((False, True), repeat=2))
LEGACY_KEYS = {
    "sts_regional_endpoints": "legacy",
    "defaults_mode": "mobile",
    "api_versions": "\n  sts = 2011-06-15",
    "cli_follow_urlparam": "true",
}
"""Keys of the configuration that AWS CLI v1 obeys and v2 does not have."""


def set_legacy_keys(where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if where == "profile":
        file = tmp_path / "config"
        keys = "".join(f"{name} = {value}\n" for name, value in LEGACY_KEYS.items())
        file.write_text(f"[default]\n{keys}")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    elif where == "environment":
        for name in ("sts_regional_endpoints", "defaults_mode"):
            monkeypatch.setenv(f"AWS_{name.upper()}", LEGACY_KEYS[name])


@pytest.mark.parametrize("legacy", ["none", "profile", "environment"])
@pytest.mark.parametrize(("fips", "dual_stack"), VARIANTS)
def test_uses_only_existing_hosts(
    fips: bool, dual_stack: bool, legacy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_legacy_keys(legacy, monkeypatch, tmp_path)
    session = session_for(fips=fips, dual_stack=dual_stack)
    for partition, region in REGIONS:
        for service in ("sts", "iam"):
            host = expected(session, service, partition, region, fips=fips, dual_stack=dual_stack)
            assert endpoint(session, service, region) == f"https://{host}", (region, service)


def where_aws_cli_starts(session: Any, region: str) -> str:
    """Return the URL of StartSession, or the name of the error if there is none."""
    try:
        return url_of(session.create_client("ssm", region, **DUMMY_KEYS))
    except BotoCoreError as error:
        return type(error).__name__


@pytest.mark.parametrize(("fips", "dual_stack"), VARIANTS)
def test_session_starts_where_aws_cli_starts_it(
    fips: bool, dual_stack: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the complete models and configuration variables of the AWS CLI's botocore."""
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", str(fips).lower())
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", str(dual_stack).lower())
    standard = botocore.session.Session()
    standard.get_component("data_loader").search_paths.insert(0, AWSCLI_DATA)
    expected = {name: where_aws_cli_starts(standard, name) for name in SSM_REGIONS}
    assert len(set(expected.values())) > len(REGIONS) / 2

    set_legacy_keys("profile", monkeypatch, tmp_path)
    session = new_session(MfaPrompt())

    assert {name: where_aws_cli_starts(session, name) for name in SSM_REGIONS} == expected


def test_botocore_lists_fips_endpoints_of_sts_in_these_regions() -> None:
    session = session_for(fips=True)
    asked = {r for _p, r in REGIONS if "-fips" in endpoint(session, "sts", r)}

    assert asked == STS_FIPS


@pytest.mark.parametrize(("fips", "dual_stack"), VARIANTS)
def test_each_endpoint_belongs_to_aws(fips: bool, dual_stack: bool) -> None:
    session = session_for(fips=fips, dual_stack=dual_stack)
    for partition, region in REGIONS:
        found = partition_of(session, region)
        assert found is not None
        assert found.name == partition
        for service in ("sts", "iam"):
            url = endpoint(session, service, region)
            assert is_own(url, service, found), url
        if not (dual_stack and partition.startswith("aws-iso")):  # botocore has none there
            url = url_of(session.create_client("ssm", region, **DUMMY_KEYS))
            assert is_own(url, "ssm", found), url


def test_each_region_belongs_to_one_partition() -> None:
    session = session_for()
    every = {name: partition_of(session, region) for name, region in REGIONS}
    for partition, region in REGIONS:
        url = f"https://ssm.{region}.{SUFFIX[partition]}"
        owners = [name for name, one in every.items() if one and is_own(url, "ssm", one)]
        assert owners == [partition], url


def test_unknown_region_has_no_partition() -> None:
    assert partition_of(session_for(), "no-region") is None


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"])
def test_fips_does_not_replace_configured_endpoint(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:5000")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")

    asked = endpoint(new_session(MfaPrompt()), "sts", "ca-central-1")

    assert asked == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sts_regional_endpoints", "legacy"),
        ("sts_regional_endpoints", "bogus"),
        ("defaults_mode", "bogus"),
        ("defaults_mode", "mobile"),
    ],
)
def test_ignores_settings_that_v2_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    file = tmp_path / "config"
    file.write_text(f"[default]\n{name} = {value}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv(f"AWS_{name.upper()}", value)

    asked = endpoint(new_session(MfaPrompt()), "sts", "us-east-1")

    assert asked == "https://sts.us-east-1.amazonaws.com"
