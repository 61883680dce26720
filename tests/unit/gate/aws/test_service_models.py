from __future__ import annotations

import json
from typing import Any

import pytest

import cut_models
import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from ssmgate.gate.aws import service_models
from ssmgate.gate.aws.asking_session import ASKED
from ssmgate.gate.aws.service_models import CALLED, AwscliModels
from ssmgate.gate.aws.session import MfaPrompt, new_session


def committed() -> Any:
    with open(service_models.CUT_DOWN) as file:
        return json.load(file)


def test_copy_matches_installed_awscli() -> None:
    import awscli

    if committed()["awscli"] != awscli.__version__:
        pytest.skip("another awscli: its own models are used until `make models`")

    assert committed() == json.loads(json.dumps(cut_models.cut_down()))


@pytest.mark.parametrize("service_name", CALLED)
def test_copy_has_exactly_operations_of_start(service_name: str) -> None:
    assert set(committed()[f"{service_name}/service-2"]["operations"]) == set(CALLED[service_name])


def test_does_not_use_copy_of_another_awscli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("awscli.__version__", "1.46.999")

    model = AwscliModels().load_service_model("ssm", "service-2")

    assert "documentation" in model["operations"]["StartSession"]
    assert set(model["operations"]) == set(CALLED["ssm"])


@pytest.mark.parametrize(
    "loader",
    [
        pytest.param(lambda: AwscliModels(documented=True), id="for help"),
        pytest.param(lambda: AwscliModels(ASKED), id="for what only asks"),
    ],
)
def test_other_sessions_load_whole_model(loader: Any) -> None:
    model = loader().load_service_model("iam", "service-2")

    assert "documentation" in model["operations"]["GetRole"]


def test_removing_documentation_keeps_members() -> None:
    whole = AwscliModels(documented=True)
    for service_name in CALLED:
        cut = committed()[f"{service_name}/service-2"]
        model = whole.load_service_model(service_name, "service-2")
        for name, shape in cut["shapes"].items():
            assert list(shape.get("members", ())) == list(model["shapes"][name].get("members", ()))


def handlers_of(session: Any, event_name: str) -> list[str]:
    events = session.get_component("event_emitter")
    found = events._emitter._handlers.prefix_search(events._alias_event_name(event_name))
    return [f"{h.__module__}.{h.__qualname__}" for h in found]


def test_own_events_have_all_handlers_of_botocore() -> None:
    import botocore.session
    from botocore.handlers import BUILTIN_HANDLERS

    whole, ours = botocore.session.Session(), new_session(MfaPrompt())
    kinds = {spec[0].partition(".")[0] for spec in BUILTIN_HANDLERS} - {"docs"}
    called = {**CALLED, **ASKED, "sso": ("GetRoleCredentials",), "signin": ("CreateOAuth2Token",)}
    seen = 0
    for kind in kinds:
        for service_id, operations in {**called, "sso-oidc": ("CreateToken",)}.items():
            for event in (kind, *(f"{kind}.{service_id}.{name}" for name in operations)):
                expected = handlers_of(whole, event)
                assert handlers_of(ours, event) == expected, event
                seen += len(expected)
    assert seen > 100


def test_events_of_cli_have_no_aliases() -> None:
    from botocore.hooks import EventAliaser, HierarchicalEmitter

    from ssmgate.gate.argv import v2

    events = EventAliaser(HierarchicalEmitter())
    names = [event for event, _ in v2.handlers()]
    for name in (*names, "session-initialized", "calling-command", "doc-examples"):
        for about in ("", ".main", ".ssm", ".ssm.start-session", ".ssm.start-session.target"):
            assert events._alias_event_name(name + about) == name + about
    assert events._alias_event_name("before-call.cloudwatch.X") == "before-call.cloudwatch.X"
    assert events._alias_event_name("x.runtime.sagemaker.y") != "x.runtime.sagemaker.y"
