"""The reduced service models in the package, and the events of a session."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from ssmgate.commands import models
from ssmgate.commands.main import main
from ssmgate.gate import exits
from ssmgate.gate.aws import AWSCLI_DIRECTORY, model_files, service_models
from ssmgate.gate.aws.asking_session import ASKED
from ssmgate.gate.aws.service_models import CALLED, CUT_DOWN, AwscliModels
from ssmgate.gate.aws.session import MfaPrompt, new_session


def committed_at(path: str) -> Any:
    with open(path) as file:
        return json.load(file)


def committed() -> Any:
    return committed_at(CUT_DOWN)


def test_copy_matches_installed_awscli() -> None:
    import awscli

    if committed()["awscli"] != awscli.__version__:
        pytest.skip("another awscli: its own models are used until `make models`")

    assert committed() == json.loads(json.dumps(models.cut_down()))


@pytest.mark.parametrize("service_name", CALLED)
def test_copy_has_exactly_operations_of_start(service_name: str) -> None:
    assert set(committed()[f"{service_name}/service-2"]["operations"]) == set(CALLED[service_name])


def test_uses_copy_for_another_release_with_same_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("awscli.__version__", "1.46.999")

    model = AwscliModels().load_service_model("ssm", "service-2")

    assert "documentation" not in model["operations"]["StartSession"]


def test_does_not_use_copy_of_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("awscli.__version__", "1.46.998")
    monkeypatch.setattr(model_files, "digest", lambda: "another")

    model = AwscliModels().load_service_model("ssm", "service-2")

    assert "documentation" in model["operations"]["StartSession"]
    assert set(model["operations"]) == set(CALLED["ssm"])


def test_build_replaces_file_for_all_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "service_models.json"
    path.write_text("old")
    path.chmod(0o600)
    monkeypatch.setattr(service_models, "CUT_DOWN", str(path))

    ended = CliRunner().invoke(main, ["models", "build"])

    assert (ended.exit_code, str(path) in ended.output) == (exits.OK, True), ended.output
    assert json.loads(path.read_text()) == committed_at(CUT_DOWN)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file for file in tmp_path.iterdir() if file.is_file()] == [path]


def test_build_says_who_may_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(service_models, "CUT_DOWN", str(tmp_path / "missing" / "file"))

    ended = CliRunner().invoke(main, ["models", "build"])

    assert ended.exit_code == exits.CONFIGURATION
    assert "cannot be written: No such file or directory" in ended.output
    assert "hint: as the user who installed ssmgate: " in ended.output


def test_digest_covers_each_file_that_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each file that the reduced models are made from is copied, as it is opened, and changed."""
    from botocore.loaders import JSONFileLoader

    opened: list[str] = []
    whole = JSONFileLoader.load_file
    monkeypatch.setattr(
        JSONFileLoader, "load_file", lambda self, path: opened.append(path) or whole(self, path)
    )
    models.cut_down()
    names = {f"{path}.json".removeprefix(AWSCLI_DIRECTORY + os.sep) for path in opened}
    files = {name for name in names if os.path.exists(os.path.join(AWSCLI_DIRECTORY, name))}
    assert len(files) == 10
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    before = model_files.digest(str(tmp_path))
    assert before
    for name in files:
        (tmp_path / name).write_bytes(b"{ }")
        assert model_files.digest(str(tmp_path)) != before, name
        (tmp_path / name).write_bytes(b"{}")
    newer = tmp_path / "botocore" / "data" / "ssm" / "2099-01-01" / "service-2.json"
    newer.parent.mkdir()
    newer.write_bytes(b"{}")
    assert model_files.digest(str(tmp_path)) not in ("", before)
    (tmp_path / "data" / "cli.json").unlink()
    assert model_files.digest(str(tmp_path)) == ""


@pytest.mark.parametrize(
    "loader",
    [
        pytest.param(lambda: AwscliModels(documented=True), id="for help"),
        pytest.param(lambda: AwscliModels(ASKED), id="for read-only sessions"),
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
    # A handler of moto is an object, where its tests ran in this process before.
    return [f"{h.__module__}.{getattr(h, '__qualname__', type(h).__qualname__)}" for h in found]


# They change nothing about a call: `gate.waiting`.
SHOWS_WAITS = {f"ssmgate.gate.aws.session.{name}" for name in ("_begin_call", "end_wait")}


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
                found = [name for name in handlers_of(ours, event) if name not in SHOWS_WAITS]
                assert found == expected, event
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
