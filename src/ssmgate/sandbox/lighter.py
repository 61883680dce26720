"""Load less of moto and boto3: the sandbox has to be up soon, and small.

moto's EC2 loads AWS's list of instance types, 100 MB in memory, and boto3 loads a service's whole
model and all endpoints, once for each question about regions. The sandbox rarely needs the former
and asks about few services. `prepare` has to be called before moto's EC2 is imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any

# The prefixes of these services' endpoints, which boto3 would read from their models.
_PREFIXES = {name: name for name in ("ec2", "iam", "organizations", "ssm", "sts")}

# moto's other services that launch instances.
_WITH_INSTANCES = ("autoscaling", "batch", "cloudformation", "ecs", "eks", "emr")
_WITHOUT_TYPES = frozenset(
    (
        "CreateTags",
        "DeleteTags",
        "DescribeInstanceStatus",
        "DescribeInstances",
        "DescribeRegions",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeTags",
        "DescribeVpcs",
        "StartInstances",
        "StopInstances",
        "TerminateInstances",
    )
)
# glibc's malloc.h
_M_ARENA_MAX = -8
_TYPES = "ec2/resources/instance_types.json"
_OFFERINGS = "ec2/resources/instance_type_offerings/"
_SEEDED_TYPE = "t3.micro"

_filling = threading.Lock()
_offerings: dict[str, list[dict[str, str]]] = {}


def share_heap() -> None:
    """Let all threads of this process allocate from one heap. Call it before they start.

    glibc gives each thread a heap of its own, whose free memory no other thread uses. moto's server
    starts a thread for each request. Other C libraries are left as they are.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def prepare() -> None:
    """Change moto and boto3 in this process, and import moto's EC2 without its instance types.

    moto.utilities.utils.load_resource returns stubs during that import. Afterwards
    boto3.session.Session answers get_available_partitions and, for the services of the sandbox,
    get_available_regions from a table. moto does not track its objects for its dashboard, and loads
    AWS's managed policies and each service's model once.
    """
    from boto3.session import Session
    from moto.core import utils as core_utils
    from moto.core.common_models import BaseModel
    from moto.iam.models import IAMBackend
    from moto.utilities import utils

    # An object that is tracked is never freed.
    BaseModel.__new__ = staticmethod(_untracked)
    _share_policies(IAMBackend)
    _tabulate_regions(Session)
    core_utils._load_service_model = _once(core_utils._load_service_model)
    load_resource = utils.load_resource

    def load_less(resource: str) -> Any:
        if resource == _TYPES:
            return {}
        if resource.startswith(_OFFERINGS):
            # The nodes of a seed have this type, which moto looks up.
            region = resource.rpartition("/")[2].partition(".")[0]
            stub = [{"InstanceType": _SEEDED_TYPE, "Location": region}]
            return _offerings.setdefault(resource, stub)
        return load_resource(resource)

    utils.load_resource = load_less
    try:
        import moto.ec2.models  # noqa: F401
    finally:
        utils.load_resource = load_resource


def _untracked(cls: type, *_args: Any, **_members: Any) -> Any:
    return object.__new__(cls)


def _once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, whose results are cached, and which runs in one thread at a time.

    The first requests to a service come at once, and each would load its model.
    """
    cached, lock = functools.cache(function), threading.Lock()

    def call(*arguments: str) -> Any:
        with lock:
            return cached(*arguments)

    return call


def _share_policies(backend_class: Any) -> None:
    """Read AWS's managed policies once for all accounts of a partition, not for each of them."""
    original = backend_class._init_aws_policies
    known: dict[str, list[Any]] = {}

    def policies(self: Any) -> list[Any]:
        if self.partition not in known:
            known[self.partition] = original(self)
        return [_copied(policy, self.account_id) for policy in known[self.partition]]

    backend_class._init_aws_policies = policies


def _copied(policy: Any, account: str) -> Any:
    """Return a policy of another account with the same versions."""
    copied = object.__new__(type(policy))
    own = {"account_id": account, "tags": {}, "versions": list(policy.versions)}
    vars(copied).update(vars(policy), attachment_count=0, **own)
    return copied


def _tabulate_regions(session_class: Any) -> None:
    from botocore.loaders import create_loader
    from botocore.regions import EndpointResolver

    resolver = EndpointResolver(create_loader().load_data("endpoints"))
    partitions = resolver.get_available_partitions()
    regions = {
        (service, partition): resolver.get_available_endpoints(prefix, partition)
        for service, prefix in _PREFIXES.items()
        for partition in partitions
    }
    original = session_class.get_available_regions

    def get_available_regions(
        self: Any, service_name: str, partition_name: str = "aws", allow_non_regional: bool = False
    ) -> Any:
        key = (service_name, partition_name)
        if allow_non_regional or key not in regions:
            return original(self, service_name, partition_name, allow_non_regional)
        return list(regions[key])

    session_class.get_available_regions = get_available_regions
    session_class.get_available_partitions = lambda self: list(partitions)


def load_for(service: str, operation: str) -> None:
    """Load the instance types, once, if the operation may need them."""
    needed = operation not in _WITHOUT_TYPES if service == "ec2" else service in _WITH_INSTANCES
    if not needed:
        return
    with _filling:
        if _offerings:
            _fill()


def _fill() -> None:
    from moto.ec2.models import instance_types as types
    from moto.utilities.utils import load_resource

    types.INSTANCE_TYPES.update(load_resource(_TYPES))
    types.INSTANCE_FAMILIES += {name.split(".")[0] for name in types.INSTANCE_TYPES}
    types.InstanceTypeBackend.instance_types += map(types.InstanceType, types.INSTANCE_TYPES)
    for resource, offered in _offerings.items():
        location_type = offered[0]["LocationType"]
        offered[:] = load_resource(resource)
        for each in offered:
            each["LocationType"] = location_type
    _offerings.clear()
