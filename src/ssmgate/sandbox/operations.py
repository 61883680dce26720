"""What is added to moto: the operations that it lacks, and the check before every restricted one.

The methods are put into moto's own response classes, so that one endpoint serves all.
"""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.ssm.models import Document, Documents, ssm_backends
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.responses import TokenResponse

from ssmgate.policy import Policies
from ssmgate.sandbox import simulator
from ssmgate.sandbox.enforcement import RESOURCES, Caller, Where, authorize, request_context
from ssmgate.sandbox.faults import InvalidKey, ServiceFault
from ssmgate.sandbox.principals import caller_of, source_of
from ssmgate.sandbox.sessions import Node, Region, SessionDocument, Sessions

# The session documents of AWS's own that are seen in the wild, and one that is no session
# document. Their content is cut down: sessionType and parameters only.
_PORT = {"portNumber": {"type": "String", "default": "22"}}
_REMOTE = {**_PORT, "host": {"type": "String"}}
_AWS_DOCUMENTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "AWS-StartSSHSession": ("Port", _PORT),
    "AWS-StartPortForwardingSession": ("Port", _PORT),
    "AWS-StartPortForwardingSessionToRemoteHost": ("Port", _REMOTE),
    "AWS-StartPortForwardingSessionToSocket": ("Port", {"socketPath": {"type": "String"}}),
    "AWS-StartInteractiveCommand": ("InteractiveCommands", {"command": {"type": "String"}}),
    "AWS-StartNonInteractiveCommand": ("NonInteractiveCommands", {"command": {"type": "String"}}),
    "AWS-PasswordReset": ("InteractiveCommands", {"username": {"type": "String"}}),
}

# They are in moto, and with them credentials that nobody restricts.
_NOT_OFFERED = ("GetFederationToken", "AssumeRoleWithSAML")


class _Answer(ServiceException):  # type: ignore[misc]
    """A fault as moto serialises it: moto looks for a service in the name of the class's module."""


def install(sessions: Sessions, log: Callable[[str], None]) -> None:
    """Extend moto's response classes in this process, once. `log` gets a line for each request."""
    added: tuple[Callable[[Any], Any], ...] = (
        simulate_principal_policy,
        simulate_custom_policy,
        get_context_keys_for_principal_policy,
        get_context_keys_for_custom_policy,
        put_user_permissions_boundary,
        delete_user_permissions_boundary,
    )
    for function in added:
        setattr(IamResponse, function.__name__, function)
    IamResponse.create_user = _with_boundary(IamResponse.create_user)
    for name in ("assume_role", "assume_role_with_web_identity"):
        setattr(TokenResponse, name, _of_a_role(getattr(TokenResponse, name)))
    TokenResponse.get_session_token = _of_the_user(TokenResponse.get_session_token)
    TokenResponse.get_caller_identity = _of_user_session(TokenResponse.get_caller_identity)
    for name, method in _session_operations(sessions).items():
        setattr(SimpleSystemManagerResponse, name, method)
    # AccessDenied and its like are in no service's model, as in AWS's own.
    warnings.filterwarnings("ignore", message=r"Exception\(_Answer\)")
    BaseResponse.call_action = _checked(BaseResponse.call_action, log)


def _checked(call_action: Any, log: Callable[[str], None]) -> Any:
    @functools.wraps(call_action)
    def checked(self: Any) -> Any:
        action = f"{self.service_name}:{self._get_action()}"
        who = _Signer(self)
        self.sandbox_notes = []
        try:
            if isinstance(self, SimpleSystemManagerResponse):
                _put_aws_documents(self.ssm_backend)
            _check(self, action, who)
            status, headers, body = call_action(self)
            if int(status) >= 400:
                self.sandbox_notes.append(f"error {status}")
        except ServiceFault as fault:
            self.sandbox_notes.append(f"{fault.code}: {fault.message}")
            status, headers, body = self.serialized(
                ActionResult(_Answer(fault.code, fault.message))
            )
            headers, body = self._enrich_response(headers, body)
            status = fault.status
            headers["status"] = str(status)
        except Exception as error:
            log(f"{who.name} {action} {type(error).__name__}: {error}")
            raise
        log(f"{who.name} {action} {'; '.join(self.sandbox_notes)}")
        return status, headers, body

    return checked


class _Signer:
    """Who signed a request, looked up when it is needed."""

    def __init__(self, response: Any) -> None:
        self.fault: ServiceFault | None = None
        self.caller: Caller | None = None
        self.name = "owner"
        try:
            self.caller = caller_of(
                response.access_key, response.current_account, response.partition
            )
        except ServiceFault as fault:
            self.fault, self.name = fault, response.access_key
        if self.caller is not None:
            self.name = self.caller.name

    def known(self) -> Caller | None:
        """The caller, None for the sandbox's owner. Raises where its policies cannot be read."""
        if self.fault is not None:
            raise self.fault
        return self.caller


def _check(response: Any, action: str, who: _Signer) -> None:
    if action.partition(":")[2] in _NOT_OFFERED:
        raise ServiceFault("InvalidAction", f"{action} is not offered by the sandbox.")
    response.sandbox_signer = who
    if isinstance(who.fault, InvalidKey):
        raise who.fault.for_service(response.service_name)
    if action in ("ssm:StartSession", "ssm:TerminateSession"):
        return
    resource = RESOURCES.get(action)
    if resource is None:
        response.sandbox_notes.append("not restricted")
        return
    caller = who.known()
    if caller is None:
        response.sandbox_notes.append("not restricted")
        return
    where = Where(
        response.partition,
        response.region,
        response.current_account,
        caller.name,
        functools.partial(_stored_arn, response),
        lambda name: _region(response).document_arn(name),
    )
    authorize(caller, action, resource(_members(response), where), _context(response))
    response.sandbox_notes.append("allowed")


def _members(response: Any) -> Mapping[str, Any]:
    """The request's members by AWS's names."""
    if response.service_name == "ssm":
        found = json.loads(response.body or "{}")
        return found if isinstance(found, dict) else {}
    if response.service_name == "iam":
        params: Mapping[str, Any] = response.params
        return params
    return {}


def _context(response: Any) -> dict[str, str]:
    address = response.normalized_request.remote_addr or "127.0.0.1"
    return request_context(response.region, address, datetime.now(UTC))


def _stored_arn(response: Any, kind: str, name: str) -> str | None:
    backend = iam_backends[response.current_account][response.partition]
    entities = {"user": backend.users, "group": backend.groups, "role": backend.roles}[kind]
    arn: str | None = next((e.arn for e in entities.values() if e.name == name), None)
    return arn


# iam


def simulate_principal_policy(self: Any) -> Any:
    asked = self.params
    source = source_of(asked.get("PolicySourceArn", ""), self.current_account, self.partition)
    return _simulation(self, simulator.simulate(asked, source.layers, source.context))


def simulate_custom_policy(self: Any) -> Any:
    return _simulation(self, simulator.simulate(self.params, Policies(()), {}))


def _simulation(response: Any, answer: dict[str, Any]) -> Any:
    for result in answer["EvaluationResults"]:
        for entry in result.get("ResourceSpecificResults", [result]):
            decision = entry.get("EvalResourceDecision", result["EvalDecision"])
            name = entry["EvalResourceName"]
            response.sandbox_notes.append(f"{result['EvalActionName']} on {name}: {decision}")
    return ActionResult(answer)


def get_context_keys_for_principal_policy(self: Any) -> Any:
    asked = self.params
    source = source_of(asked.get("PolicySourceArn", ""), self.current_account, self.partition)
    layers = simulator.with_inputs(asked, source.layers)
    return ActionResult({"ContextKeyNames": simulator.context_keys(layers.identity)})


def get_context_keys_for_custom_policy(self: Any) -> Any:
    layers = simulator.with_inputs(self.params, Policies(()))
    return ActionResult({"ContextKeyNames": simulator.context_keys(layers.identity)})


def put_user_permissions_boundary(self: Any) -> Any:
    user = self.backend.get_user(self._get_param("UserName"))
    _set_boundary(self, user, self._get_param("PermissionsBoundary"))
    return EmptyResult()


def delete_user_permissions_boundary(self: Any) -> Any:
    user = self.backend.get_user(self._get_param("UserName"))
    user.permissions_boundary_arn = user.permissions_boundary = None
    return EmptyResult()


def _with_boundary(create_user: Any) -> Any:
    @functools.wraps(create_user)
    def create(self: Any) -> Any:
        arn = self._get_param("PermissionsBoundary")
        if arn:
            _managed_policy(self, arn)
        answer = create_user(self)
        if arn:
            _set_boundary(self, self.backend.get_user(self._get_param("UserName")), arn)
        return answer

    return create


def _set_boundary(response: Any, user: Any, arn: str) -> None:
    _managed_policy(response, arn)
    # moto's users have no such attribute. By these names GetUser shows them.
    user.permissions_boundary_arn = arn
    user.permissions_boundary = {
        "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
        "PermissionsBoundaryArn": arn,
    }


def _managed_policy(response: Any, arn: str) -> None:
    if arn not in response.backend.managed_policies:
        raise ServiceFault(
            "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404
        )


# sts


def _of_a_role(assume_role: Any) -> Any:
    """AssumeRole for roles that are here. moto also gives keys for others, which nobody restricts.

    Trust policies, and whether the caller may assume the role, are not checked.
    """

    @functools.wraps(assume_role)
    def assume(self: Any) -> Any:
        arn = str(self._get_param("RoleArn"))
        if _stored_arn(self, "role", arn.rpartition("/")[2]) != arn:
            caller = self.sandbox_signer.known()
            who = f"arn:{self.partition}:iam::{self.current_account}:root"
            raise ServiceFault(
                "AccessDenied",
                f"User: {who if caller is None else caller.arn} is not authorized to perform:"
                f" sts:AssumeRole on resource: {arn}",
                403,
            )
        answer = assume_role(self)
        if self._get_param("SerialNumber") and self._get_param("TokenCode"):
            # Whatever the code: it is not verified.
            answer.result["Credentials"].mfa_authenticated = True
        return answer

    return assume


def _of_the_user(get_session_token: Any) -> Any:
    """GetSessionToken for the calling user. moto's answer has always the same key."""

    @functools.wraps(get_session_token)
    def token(self: Any) -> Any:
        caller = self.sandbox_signer.known()
        if caller is None:
            return get_session_token(self)
        if ":user/" not in caller.arn:
            raise ServiceFault(
                "AccessDenied", "Cannot call GetSessionToken with session credentials", 403
            )
        key = iam_backends[self.current_account][self.partition].create_temp_access_key()
        key.user_name = caller.name
        key.mfa_authenticated = bool(
            self._get_param("SerialNumber") and self._get_param("TokenCode")
        )
        made = self.backend.get_session_token(
            duration=self._get_int_param("DurationSeconds", 43200)
        )
        return ActionResult(
            {
                "Credentials": {
                    "AccessKeyId": key.access_key_id,
                    "SecretAccessKey": key.secret_access_key,
                    "SessionToken": "sandbox-session-token",
                    "Expiration": made.expiration,
                }
            }
        )

    return token


def _of_user_session(get_caller_identity: Any) -> Any:
    @functools.wraps(get_caller_identity)
    def identity(self: Any) -> Any:
        caller = self.sandbox_signer.caller
        if caller is None:
            return get_caller_identity(self)
        return ActionResult(
            {"UserId": caller.user_id, "Account": self.current_account, "Arn": caller.arn}
        )

    return identity


# ssm


def _session_operations(sessions: Sessions) -> Mapping[str, Callable[[Any], Any]]:
    def start(self: Any) -> Any:
        caller = self.sandbox_signer.known()
        answer = sessions.start(_members(self), caller, _region(self), _context(self))
        self.sandbox_notes.append("not restricted" if caller is None else "allowed")
        return ActionResult(answer)

    def terminate(self: Any) -> Any:
        caller = self.sandbox_signer.known()
        answer = sessions.terminate(_members(self), caller, _region(self), _context(self))
        self.sandbox_notes.append("not restricted" if caller is None else "allowed")
        return ActionResult(answer)

    def describe_sessions(self: Any) -> Any:
        state = str(_members(self).get("State"))
        return ActionResult({"Sessions": sessions.describe(state, self.region)})

    return {
        "start_session": start,
        "terminate_session": terminate,
        "describe_sessions": describe_sessions,
        "describe_instance_information": describe_instance_information,
    }


def describe_instance_information(self: Any) -> Any:
    """The EC2 instances as managed nodes, online while they run."""
    asked = _members(self)
    filters = {
        **{f.get("key"): f.get("valueSet") for f in asked.get("InstanceInformationFilterList", ())},
        **{f.get("Key"): f.get("Values") for f in asked.get("Filters", ())},
    }
    found = []
    for instance in _instances(self):
        node = _node(instance)
        status = "Online" if node.online else "ConnectionLost"
        has = {
            "InstanceIds": node.node_id,
            "PingStatus": status,
            "ResourceType": "EC2Instance",
            **{f"tag:{key}": value for key, value in node.tags.items()},
        }
        for key in filters:
            if key not in has and not str(key).startswith("tag:"):
                raise ServiceFault("InvalidFilterKey", f"{key} is not modelled by the sandbox.")
        if all(has.get(key) in (values or ()) for key, values in filters.items()):
            found.append(
                {
                    "InstanceId": node.node_id,
                    "PingStatus": status,
                    "PlatformType": "Linux",
                    "ResourceType": "EC2Instance",
                    "IPAddress": instance.private_ip,
                    "LastPingDateTime": datetime.now(UTC) if node.online else instance.launch_time,
                }
            )
    return ActionResult({"InstanceInformationList": found})


def _region(response: Any) -> Region:
    backend = ssm_backends[response.current_account][response.region]

    def node(node_id: str) -> Node | None:
        return next((_node(i) for i in _instances(response) if i.id == node_id), None)

    def document(name: str) -> SessionDocument | None:
        documents = backend._documents.get(name)
        if documents is None:
            return None
        current = documents.get_default_version()
        tags = backend._resource_tags.get("Document", {}).get(name, {})
        return SessionDocument(name, current.document_type, current.owner, dict(tags))

    return Region(response.partition, response.region, response.current_account, node, document)


def _instances(response: Any) -> list[Any]:
    backend = ec2_backends[response.current_account][response.region]
    return [
        instance
        for reservation in backend.reservations.values()
        for instance in reservation.instances
        if instance._state.name != "terminated"
    ]


def _node(instance: Any) -> Node:
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    return Node(instance.id, tags, online=instance._state.name == "running")


def _put_aws_documents(backend: Any) -> None:
    """Documents of Amazon's are there in every region, whoever filled it."""
    if "AWS-RunShellScript" in backend._documents:
        return
    contents: dict[str, tuple[str, Any]] = {
        name: ("Session", {"schemaVersion": "1.0", "sessionType": kind, "parameters": parameters})
        for name, (kind, parameters) in _AWS_DOCUMENTS.items()
    }
    contents["AWS-RunShellScript"] = ("Command", {"schemaVersion": "1.2", "runtimeConfig": {}})
    made = {}
    for name, (document_type, content) in contents.items():
        document = Document(
            account_id="Amazon",
            name=name,
            version_name="",
            content=json.dumps(content),
            document_type=document_type,
            document_format="JSON",
            requires=[],
            attachments=[],
            target_type="",
        )
        made[name] = Documents(document)
    # At once: another request may be looking.
    backend._documents.update(made)
