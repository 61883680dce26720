"""Generated command lines: ssmgate reads from each what the AWS CLI's own driver reads."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from awscli.clidriver import CLIDriver, create_clidriver
from awscli.customizations.sessionmanager import StartSessionCaller
from botocore.session import Session
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import ssmgate.gate.aws  # noqa: F401 - before botocore
from plugins.examples import examples
from ssmgate.gate.argv import parse
from ssmgate.gate.aws import session
from ssmgate.gate.decision.errors import GateError

# A bare name or a full ARN, and the API's limit on the whole.
PATTERN = re.compile(
    r"(?!.{129})(?:arn:aws[a-z-]*:ssm:[a-z0-9-]+:(?:[0-9]{12})?:document/)?[a-zA-Z0-9_\-.]{3,128}"
)

EXAMPLES = settings(
    max_examples=examples(250),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

FILES = {
    "document": "From-File",
    "target": "i-file",
    "reason": "of a file\r\n",
    "parameters": '{"of": ["a", "file"]}',
    "input.json": '{"Reason": "of JSON", "Target": "i-json", "DocumentName": "Of-Json"}',
    "config": "[profile dev]\nregion = eu-west-1\n[default]\nregion = eu-west-3\n",
}


# Words. Left out is what v1 and v2 read differently: http(s), YAML, v2's own options.

names = st.from_regex(r"[a-zA-Z0-9_\-.:/]{1,20}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
odd = st.sampled_from(
    ["", " ", "-", "--", "-1", "-x", "--document-name X", "--x y", "=", "[", "{}", "ssm", "a,b"]
)
values = {
    "--target": st.one_of(names, texts, odd, st.just("file://target")),
    "--document-name": st.one_of(names, names, texts, odd, st.just("file://document")),
    "--reason": st.one_of(texts, odd, st.sampled_from(["file://reason", "fileb://reason"])),
    "--parameters": st.one_of(
        st.lists(
            st.builds(
                "{}={}".format,
                st.from_regex(r"[a-z]{1,3}@?", fullmatch=True),
                st.one_of(
                    st.from_regex(r"[a-zA-Z0-9 ,.'\"\[\]{}=\\-]{0,8}", fullmatch=True),
                    st.sampled_from(["file://document", "file://none", "b", "'b c'", "[b,c]"]),
                ),
            ),
            max_size=3,
        ).map(",".join),
        st.dictionaries(
            texts, st.one_of(st.lists(texts, max_size=3), texts, st.none()), max_size=3
        ).map(json.dumps),
        st.sampled_from(["file://parameters", "file://none"]),
    ),
    "--cli-input-json": st.one_of(
        st.dictionaries(
            st.sampled_from(["Target", "DocumentName", "Reason", "Parameters", "target", "X"]),
            st.one_of(
                names,
                texts,
                st.none(),
                st.integers(),
                st.dictionaries(texts, st.lists(texts, max_size=2), max_size=2),
            ),
            max_size=4,
        ).map(json.dumps),
        st.sampled_from(["file://input.json", "{", "[]", "null", '{"Reason": "a", "Reason": "b"}']),
    ),
    "--generate-cli-skeleton": st.sampled_from(["input", "output", ""]),
}

# option -> the length from which it may be cut off: shorter ones are another's, or v2's.
SHORTEST = {
    "--target": 3,
    "--document-name": 4,
    "--reason": 5,
    "--parameters": 4,
    "--cli-input-json": 13,
    "--generate-cli-skeleton": 3,
}

GLOBALS = st.sampled_from(
    [
        ["--region", "us-west-2"],
        ["--region=us-east-2"],
        ["--re", ""],
        ["--profile", "dev"],
        ["--p=dev"],
        ["--output", "text"],
        ["--output", "xml"],
        ["--query", "SessionId"],
        ["--query", "["],
        ["--no-verify-ssl"],
        ["--no-paginate"],
        ["--color", "off"],
        ["--cli-read-timeout", "5"],
        ["--cli-connect-timeout=soon"],
        ["--endpoint-url", "http-like://127.0.0.1"],
        ["--endpoint-url=nowhere"],
        ["--ca-bundle", "none.pem"],
    ]
)

JUNK = st.sampled_from([[""], ["extra"], ["--"], ["--nonsense"], ["--version"], ["-t", "i-1"]])


@st.composite
def an_option(draw: st.DrawFn, names: tuple[str, ...] = tuple(values)) -> list[str]:
    name = draw(st.sampled_from(names))
    length = draw(st.one_of(st.just(len(name)), st.integers(SHORTEST[name], len(name))))
    spelled, value = name[:length], draw(values[name])
    if draw(st.integers(0, 2)) == 0:
        return [f"{spelled}={value}"]
    if draw(st.integers(0, 4)) == 0:
        return [spelled, *draw(GLOBALS), value]
    return [spelled, value]


def flat(pieces: list[list[str]]) -> list[str]:
    return [word for piece in pieces for word in piece]


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Generate command lines that may be invalid at any point."""
    outside = st.one_of(
        st.just([]), st.lists(st.one_of(GLOBALS, an_option(), JUNK), max_size=1).map(flat)
    )
    inside = st.lists(
        st.one_of(an_option(), an_option(), an_option(), an_option(), GLOBALS, JUNK), max_size=3
    )
    target = draw(st.sampled_from([[], ["--target", "i-1"], ["--t=i-1"]]))
    return [
        *draw(outside),
        "ssm",
        *draw(outside),
        "start-session",
        *draw(st.sampled_from([[], [], [], ["--"]])),
        *target,
        *flat(draw(inside)),
    ]


@st.composite
def sound_lines(draw: st.DrawFn) -> list[str]:
    """Generate command lines of which most are valid: repeats, positions and spellings vary."""
    value = {
        "--target": names,
        "--document-name": st.one_of(
            st.from_regex(r"[a-zA-Z0-9_\-.:/]{3,30}", fullmatch=True), texts
        ),
        "--reason": st.text(st.characters(categories=["L", "Zs", "P"]), min_size=1, max_size=9),
        "--parameters": st.dictionaries(
            st.from_regex(r"[a-z]{1,4}", fullmatch=True),
            st.lists(st.text("abc ,=\n", min_size=1, max_size=4), max_size=3),
            max_size=4,
        ).map(json.dumps),
    }
    members = {"--target": "Target", "--document-name": "DocumentName", "--reason": "Reason"}
    pieces: list[list[str]] = [["--target", "i-1"]]
    for name in draw(st.lists(st.sampled_from(sorted(value)), max_size=5)):
        spelled = name[: draw(st.integers(SHORTEST[name], len(name)))]
        pieces.append([f"{spelled}={draw(value[name])}"])
    if draw(st.booleans()):
        keys = draw(st.permutations(sorted(members)))
        given_keys = keys[: draw(st.integers(0, 3))]
        body = {members[key]: draw(value[key]) for key in given_keys}
        pieces.append(["--cli-input-json", json.dumps(body)])
    pieces += draw(st.lists(st.sampled_from([["--region", "us-west-2"], ["--no-paginate"]])))
    return ["ssm", "start-session", *flat(draw(st.permutations(pieces)))]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("argv")
    for name, content in FILES.items():
        (directory / name).write_bytes(content.encode())
    return directory


@pytest.fixture(scope="module")
def _in_directory(directory: Path) -> Iterator[None]:
    """Set the working directory and the configuration, with models that are loaded once."""
    models = session.AwscliModels()
    created = Session.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        created(self, *args, **kwargs)
        self.register_component("data_loader", models)

    with (
        contextlib.chdir(directory),
        mock.patch.object(Session, "__init__", init),
        mock.patch.object(Session, "set_stream_logger"),
        mock.patch.object(session, "AwscliModels", return_value=models),
    ):
        yield


@pytest.fixture(autouse=True)
def _configured(_in_directory: None, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(directory / "config"))


def aws_calls_with(argv: list[str]) -> dict[str, Any] | None:
    """Return the StartSession members that the CLI's driver would send, None for no request."""
    called: list[dict[str, Any]] = []

    def invoke(_: Any, service: str, operation: str, parameters: Any, parsed_globals: Any) -> int:
        called.append(parameters)
        return 0

    driver: CLIDriver = create_clidriver()
    with mock.patch.object(StartSessionCaller, "invoke", invoke), contextlib.suppress(SystemExit):
        driver.main(argv)
    if not called:
        return None
    model = driver.session.get_service_model("ssm").operation_model("StartSession")
    report = ParamValidator().validate(called[0], model.input_shape)
    return None if report.has_errors() else called[0]


def ssmgate_reads(argv: list[str]) -> parse.Invocation | None:
    try:
        read = parse.read(argv)
    except GateError:
        return None
    return read if isinstance(read, parse.Invocation) else None


def both(argv: list[str]) -> tuple[dict[str, Any] | None, parse.Invocation | None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return aws_calls_with(argv), ssmgate_reads(argv)


@EXAMPLES
@given(lines())
def test_reads_request_as_aws_does_or_rejects_it(argv: list[str]) -> None:
    called, read = both(argv)

    named = (called or {}).get("DocumentName")
    if called is None or (named is not None and not PATTERN.fullmatch(named)):
        event("refused")
        assert read is None
    else:
        event("sent")
        assert read is not None
        assert read.request.to_parameters() == called


@EXAMPLES
@given(sound_lines())
def test_sends_request_as_it_was_read(argv: list[str]) -> None:
    called, read = both(argv)
    event("refused" if read is None else "sent")
    if read is None:
        assert called is None or not PATTERN.fullmatch(called["DocumentName"])
        return

    request = read.request

    assert json.dumps(request.to_parameters()) == json.dumps(called)
    assert request.document_name is None or PATTERN.fullmatch(request.document_name)
    assert request == type(request).from_parameters(request.to_parameters())
