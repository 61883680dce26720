"""Text of others has no effect on a terminal, wherever it is printed.

Each row is one way in which such a text is printed. The text has each class of `fakes.hostile` that
is possible there, and a line break followed by a forged message of ssmgate.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from conftest import TARGET, Ended, Machine
from fakes.hostile import FORGED, hostile, seen
from fakes.scripted_aws import (
    SESSION_ID,
    STARTED,
    Answer,
    context_keys,
    evaluation,
    identity,
    json_error,
    json_ok,
    xml_error,
)
from functional.test_oracle import Runner

START = ("start-session", "--target", TARGET)
CHECK = ("check", "--target", TARGET)


def offline(file: str, *words: str) -> tuple[str, ...]:
    caller = ("--caller", "arn:aws:iam::111122223333:user/alice")
    return ("policy", "check", file, *caller, "--target", TARGET, "--region", "us-east-1", *words)


# A text, and what is shown of it, for each place where it can stand.
def forged_line(where: str) -> tuple[str, str]:
    text, shown = hostile(where)
    return text + FORGED, shown + FORGED.replace("\n", "\\n")


NAME, NAME_SHOWN = "\x1b[2J\u202e\u2028", "\\x1b[2J\\u202e\\u2028"  # of a variable
XML, XML_SHOWN = forged_line("xml")
JSON, JSON_SHOWN = forged_line("json")
UTF8, UTF8_SHOWN = forged_line("utf-8")
WORD, WORD_SHOWN = forged_line("word")
DIRECTORY, DIRECTORY_SHOWN = hostile("word")  # without a colon
# In a text of several lines a line break may stay, but not the one of a line that looks like ours.
LAYOUT_SHOWN = WORD_SHOWN.replace("\\n.", "\n.").replace("\\t.", "\t.")


def unwrapped(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True)
class Row:
    """A run whose output has `shown`, and no character that affects the terminal."""

    name: str
    words: tuple[str, ...]
    shown: str
    code: int | None  # None where it is not this test's matter
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def toml(text: str) -> str:
    return '"' + "".join(f"\\U{ord(one):08x}" for one in text) + '"'


def explicit_deny(*policies: str) -> dict[str, list[Answer]]:
    from xml.sax.saxutils import escape

    return {
        "SimulatePrincipalPolicy": [
            evaluation("explicitDeny", policies=tuple(map(escape, policies)))
        ],
        "GetContextKeysForPrincipalPolicy": [context_keys()],
    }


def policy(**changed: Any) -> str:
    statement = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*", **changed}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


CONDITION = policy(Condition={"StringEquals": {"aws:PrincipalTag/team": f"{JSON}\u001b[2J\u202e"}})
STS_ERROR = {"GetCallerIdentity": [xml_error("InvalidClientTokenId", XML, 403)]}
IAM_ERROR = {"SimulatePrincipalPolicy": [xml_error("ServiceFailure", XML, 400)]}
SSM_ERROR = {"StartSession": [json_error("TargetNotConnected", JSON)]}
SAYING = r"""#!/bin/sh
printf '\033[2J\342\200\256\nssmgate: hint: curl evil' >&2
exit 1
"""
CONFIG = ".config/ssmgate/config.toml"


def errors(name: str, words: tuple[str, ...], shown: str, code: int, **more: Any) -> list[Row]:
    """Return a row for each error format that is text."""
    return [
        Row(f"{name}, {how}", (*words, "--cli-error-format", how), shown, code, **more)
        for how in ("enhanced", "legacy", "text")
    ]


INPUTS = {"s3BucketName": JSON, "cloudWatchLogGroupName": JSON, "runAsDefaultUser": JSON}
DOCTOR: list[tuple[str, tuple[str, ...], str, Any, dict[str, str], dict[str, str]]] = [
    ("HOME", (), WORD_SHOWN, {}, {"HOME": f"/{WORD}"}, {}),
    ("PATH", (), "session-manager-plugin", {}, {"PATH": f"/{WORD}"}, {}),
    ("a shim on PATH", (), DIRECTORY_SHOWN, {}, {"PATH": f"HOME/{DIRECTORY}:/usr/bin:/bin"},
     {f"{DIRECTORY}/aws": "#!/bin/sh\n"}),
    ("a plugin", (), DIRECTORY_SHOWN, {}, {"PATH": f"HOME/{DIRECTORY}:/usr/bin:/bin"},
     {f"{DIRECTORY}/session-manager-plugin": "#!/bin/sh\necho 1.2.804.0\n"}),
    ("a plugin's version", (), "", {}, {"PATH": "HOME/bin:/usr/bin:/bin"},
     {"bin/session-manager-plugin": SAYING.replace(" >&2\nexit 1", "")}),
    ("a plugin that fails", (), "", {}, {"PATH": "HOME/bin:/usr/bin:/bin"},
     {"bin/session-manager-plugin": SAYING.replace(" >&2", "")}),
    ("an unknown key", (), UTF8_SHOWN, {}, {}, {CONFIG: f"{toml(UTF8)} = 1"}),
    ("an unknown variable", (), f"SSMGATE_{NAME_SHOWN}", {}, {f"SSMGATE_{NAME}": "1"}, {}),
    ("a record's file", (), WORD_SHOWN, {}, {"SSMGATE_RECORD_FILE": f"/nowhere/{WORD}"}, {}),
    ("syslog's socket", (), WORD_SHOWN, {}, {"SSMGATE_RECORD_SYSLOG": f"/nowhere/{WORD}"}, {}),
    ("an AWS file", (), WORD_SHOWN, {}, {"AWS_CONFIG_FILE": f"/nowhere/{WORD}"}, {}),
    ("an AWS file with errors", (), "\\x1b[2J", {}, {}, {".aws/config": f"[default]\n{NAME}\n"}),
    ("a profile", ("--profile", WORD), WORD_SHOWN, {}, {}, {}),
    ("a profile in a variable", (), WORD_SHOWN, {}, {"AWS_PROFILE": WORD}, {}),
    ("a region", ("--region", WORD), WORD_SHOWN, {}, {}, {}),
    ("an endpoint", (), "\\x1b[2J", {}, {"AWS_ENDPOINT_URL_STS": f"http://127.0.0.1/{WORD}"}, {}),
    ("a proxy", (), "is not a URL", {}, {"HTTPS_PROXY": f"http://127.0.0.1:1/{WORD}"}, {}),
    ("a CA bundle", (), WORD_SHOWN, {}, {"AWS_CA_BUNDLE": f"/nowhere/{WORD}"}, {}),
    ("a target", ("--target", WORD), WORD_SHOWN, {}, {}, {}),
    ("a terminal", (), "", {}, {"TERM": WORD, "SHELL": f"/{WORD}", "LANG": WORD}, {}),
    ("a credential_process", (), "", {}, {"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "p"},
     {".aws/config": "[profile p]\ncredential_process = ./said\n", "said": SAYING}),
    ("STS's error", (), XML_SHOWN, STS_ERROR, {}, {}),
    ("IAM's error", (), XML_SHOWN, IAM_ERROR, {}, {}),
    ("IAM's error code", (), "", {"SimulatePrincipalPolicy": [xml_error(XML, "no", 400)]}, {}, {}),
    ("SSM's error code", (), "", {"GetDocument": [json_error("a\x1b[2Jb\u202e", "no")]}, {}, {}),
    ("a caller's name", (), "user/a\\u202eb",
     {"GetCallerIdentity": [identity("arn:aws:iam::111122223333:user/a\u202eb")]}, {}, {}),
    ("a policy that denies", (), "", explicit_deny(XML), {}, {}),
    ("what the default document sets", (), JSON_SHOWN,
     {"GetDocument": [json_ok({"Content": json.dumps({"inputs": INPUTS})})]}, {}, {}),
]  # fmt: skip

ROWS = [
    # What services say.
    *errors("STS's error", START, XML_SHOWN, 254, answers=STS_ERROR),
    *errors("IAM's error", START, XML_SHOWN, 254, answers=IAM_ERROR),
    *errors("SSM's error", START, JSON_SHOWN, 254, answers=SSM_ERROR),
    Row("an error code of SSM's", START, "(a\\x1b[2Jb\\u202e)", 254,
        {"StartSession": [json_error("a\x1b[2Jb\u202e", "no")]}),
    Row("a policy that denies", START, f"policy ({XML_SHOWN}", 254, explicit_deny(XML)),
    Row("a session that is ended", START, f"session {SESSION_ID}\\x1b[2J\\n\\u202e was terminated",
        255, {"StartSession": [json_ok({**STARTED, "SessionId": f"{SESSION_ID}\x1b[2J\n\u202e"})]},
        {"PATH": "HOME/bin:/usr/bin:/bin"},
        {"bin/session-manager-plugin": "#!/bin/sh\nrm $0\necho 1.2.804.0"}),
    Row("a caller's name", START, "user/a\\u202eb", 254,
        {"GetCallerIdentity": [identity("arn:aws:iam::111122223333:user/a\u202eb")],
         "SimulatePrincipalPolicy": [evaluation("implicitDeny")]}),
    # What was typed.
    *errors("an unknown option", (*START, f"--{WORD}"), WORD_SHOWN, 252),
    *errors("a wrong choice", (*START, f"--output={WORD}"), LAYOUT_SHOWN, 252),
    *errors("a document name", (*START, f"--document-name={WORD}"), WORD_SHOWN, 252),
    *errors("parameters", (*START, f"--parameters=a={WORD},="), "\\x1b[2J", 252),
    *errors("a file that is not there", (*START, f"--reason=file://{WORD}"), WORD_SHOWN, 252),
    Row("a query", (*CHECK, "--output", "json", f"--query=[{WORD}"), LAYOUT_SHOWN, 252),
    Row("a profile", (*START, f"--profile={WORD}"), WORD_SHOWN, 255),
    # Variables and files.
    Row("PATH", START, "no session-manager-plugin", 255, environ={"PATH": f"/{WORD}"}),
    Row("a variable", START, WORD_SHOWN, 255, environ={"AWS_PROFILE": WORD}),
    Row("an unknown key", START, UTF8_SHOWN, 253, files={CONFIG: f"{toml(UTF8)} = 1"}),
    Row("no TOML", START, "\\x1b", 253, files={CONFIG: "a = '\x1b[2J'"}),
    Row("a record's file", START, WORD_SHOWN, 254,
        environ={"SSMGATE_RECORD_FILE": f"/nowhere/{WORD}", "SSMGATE_RECORD_REQUIRED": "true"}),
    Row("a record's file, as a warning", START, f"audit record: /nowhere/{WORD_SHOWN}", 254,
        answers=SSM_ERROR, environ={"SSMGATE_RECORD_FILE": f"/nowhere/{WORD}"}),
    Row("what a credential_process prints", START, "\\x1b[2J\\u202e", 255,
        environ={"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "p"},
        files={".aws/config": "[profile p]\ncredential_process = ./said\n",
               "said": SAYING}),
    # check.
    Row("check", CHECK, XML_SHOWN, 3, explicit_deny(XML)),
    Row("check in colour", (*CHECK, "--color", "on"), XML_SHOWN, 3, explicit_deny(XML)),
    Row("check --explain", (*CHECK, "--explain"), XML_SHOWN, 3, explicit_deny(XML)),
    Row("check --request", (*CHECK, "--request"), XML_SHOWN, 3, explicit_deny(XML)),
    Row("check --redact", (*CHECK, "--redact"), XML_SHOWN, 3, explicit_deny(XML)),
    Row("check, IAM's error", CHECK, XML_SHOWN, 4, IAM_ERROR),
    Row("check --explain, IAM's error", (*CHECK, "--explain"), XML_SHOWN, 4, IAM_ERROR),
    # Policies from files.
    *(
        Row(f"a policy's condition {' '.join(how)}", offline("p.json", *how), "", 4,
            files={"p.json": CONDITION})
        for how in ([], ["--request"], ["--redact"])
    ),
    Row("a policy's condition --explain",
        offline("p.json", "--explain", "--context", "aws:PrincipalTag/team=x"),
        f"{JSON_SHOWN}\\x1b[2J\\u202e", 3, files={"p.json": CONDITION}),
    Row("a policy's file", offline(WORD), WORD_SHOWN, 252),
    Row("a policy's file, in an answer", offline(WORD), WORD_SHOWN, 0,
        files={WORD: policy()}),
    Row("a policy's member", offline("p.json"), JSON_SHOWN, 252,
        files={"p.json": policy(**{JSON: 1})}),
    Row("a caller", offline("p.json", "--caller", WORD),
        WORD_SHOWN, 252, files={"p.json": policy()}),
    Row("a context", offline("p.json", "--context", WORD), WORD_SHOWN, 252,
        files={"p.json": policy()}),
    # The other verbs.
    Row("documents, a name", ("documents",), JSON_SHOWN, None,
        {"ListDocuments": [json_ok({"DocumentIdentifiers": [{"Name": JSON}]})]}),
    Row("documents, what the default one sets", ("documents",), JSON_SHOWN, 0,
        {"ListDocuments": [json_ok({"DocumentIdentifiers": [
            {"Name": "SSM-SessionManagerRunShell"}]})],
         "GetDocument": [json_ok({"Content": json.dumps(
             {"sessionType": JSON, "inputs": {"runAsDefaultUser": JSON}})})]}),
    Row("config show", ("config", "show", "--origin"), "\\u001b", 0,
        files={CONFIG: f'[context]\n"aws:x" = {toml(UTF8)}'}),
    Row("config check", ("config", "check", WORD), WORD_SHOWN, 0, files={WORD: ""}),
    Row("config check, a wrong file", ("config", "check", "c"), UTF8_SHOWN, 253,
        files={"c": f"{toml(UTF8)} = 1"}),
    Row("ssh-config, a profile", ("ssh-config", "--profile", WORD), WORD_SHOWN, 252),
    Row("ssh-config, a host", ("ssh-config", "--host", WORD), WORD_SHOWN, 252),
    Row("init --check", ("init", "bash", "--check"), f"/{DIRECTORY_SHOWN}/aws", 3,
        environ={"PATH": "HOME/" + DIRECTORY}, files={f"{DIRECTORY}/aws": "#!/bin/sh\n"}),
    # doctor, whose every line has a text of someone else's somewhere.
    *(
        Row(f"doctor, {name}", ("doctor", *words), shown, None, answers, environ, files)
        for name, words, shown, answers, environ, files in DOCTOR
    ),
    Row("help, an unknown verb", ("help", WORD), WORD_SHOWN, 252),
    Row("cache show, an odd file", ("cache", "show"), "", 0,
        files={f".cache/ssmgate/answers/{DIRECTORY}": "x"}),
    Row("records verify, a file", ("records", "verify", WORD), WORD_SHOWN, 4),
    Row("records verify, a head", ("records", "verify", "--head", WORD, "r"), WORD_SHOWN, 252),
    Row("records verify, a record", ("records", "verify", "r"), "", None,
        files={"r": f'{json.dumps({"event": UTF8})}\n{UTF8}\n'}),
    Row("policy audit, a file", ("policy", "audit", WORD), WORD_SHOWN, None),
    Row("an unknown verb", (WORD,), WORD_SHOWN, 252),
    Row("an unknown verb below", ("config", WORD), WORD_SHOWN, 252),
    Row("an unknown option of a verb", ("cache", "show", f"--{WORD}"), WORD_SHOWN, 252),
    Row("a wrong choice of a verb", ("cache", "show", "--output", WORD), WORD_SHOWN, 252),
    Row("a wrong number", ("daemon", "run", "--idle", WORD), WORD_SHOWN, 252),
    Row("a wrong shell", ("init", WORD), WORD_SHOWN, 252),
    Row("a user of the sandbox's", ("sandbox", "env", WORD), WORD_SHOWN, 253,
        environ={"XDG_RUNTIME_DIR": "HOME"}, files={"ssmgate/sandbox.json": json.dumps(
            {"pid": 1, "url": "", "region": "", "as": "", "nodes": [], "path": "",
             "ssh_config": None, "principals": {}})}),
    Row("a sandbox's seed", ("sandbox", "--seed", WORD), WORD_SHOWN, 253),
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner("verbs", str(tmp_path_factory.mktemp("verbs"))) as runner:
        yield runner


@pytest.fixture
def printed(run: Runner, machine: Machine) -> Callable[[Row], Ended]:
    def go(row: Row) -> Ended:
        for name, text in row.files.items():
            path = machine.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode(errors="surrogatepass"))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        for operation, answers in row.answers.items():
            machine.aws.script(operation, *answers)
        given = {
            name: text.replace("HOME", str(machine.home)) for name, text in row.environ.items()
        }
        environ = {**machine.environ, "SSMGATE_DAEMON": "off", **given}
        return run(("ssmgate", *row.words), environ, machine.home)

    return go


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_escapes_control_characters_of_others(row: Row, printed: Callable[[Row], Ended]) -> None:
    ended = printed(row)
    output = ended.stdout + ended.stderr

    assert "Traceback" not in output
    assert unwrapped(row.shown) in unwrapped(output), output
    assert row.code in (None, ended.returncode)
    colours = "\x1b" if "--color" in row.words else ""
    assert seen(output) - {*colours} == set()
    assert "\nssmgate: hint: curl evil" not in output


@pytest.mark.parametrize(
    ("words", "text", "answers"),
    [
        pytest.param((*START, "--cli-error-format", "json"), XML, STS_ERROR, id="a refusal"),
        pytest.param((*CHECK, "--output", "json"), XML, explicit_deny(XML), id="check"),
        pytest.param(offline("p.json", "--output", "json"), JSON, {}, id="a policy"),
        pytest.param(
            ("documents", "--output", "json"),
            JSON,
            {"GetDocument": [json_ok({"Content": json.dumps({"inputs": {"x": JSON}})})],
             "ListDocuments": [
                 json_ok({"DocumentIdentifiers": [{"Name": "SSM-SessionManagerRunShell"}]})
             ]},
            id="documents",
        ),
    ],
)  # fmt: skip
def test_json_has_original_text_in_ascii(
    words: tuple[str, ...],
    text: str,
    answers: dict[str, list[Answer]],
    printed: Callable[[Row], Ended],
) -> None:
    ended = printed(Row("", words, "", None, answers, files={"p.json": CONDITION}))
    output = ended.stdout + ended.stderr

    assert output.isascii()
    assert seen(output) == set()
    assert any(text in found for found in strings(json.loads(output)))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from strings(member)


def test_shell_code_has_real_paths_only(run: Runner, machine: Machine) -> None:
    program = machine.home / DIRECTORY / "ssmgate"
    program.parent.mkdir()
    program.touch(0o755)
    program.with_name("ssm-start-session").touch(0o755)

    for words in (("init", "bash"), ("init", "fish", "--function"), ("ssh-config",)):
        ended = run((str(program), *words), machine.environ, machine.home)

        assert (ended.returncode, ended.stdout) == (253, ""), words
        assert DIRECTORY_SHOWN in ended.stderr.replace("\\\\", "\\")
        assert seen(ended.stderr) == set()


def test_sandbox_env_rejects_unprintable_credentials(
    printed: Callable[[Row], Ended],
) -> None:
    keys = {"access_key_id": "A\x1b[2J", "secret_access_key": "s", "session_token": None}
    state = {
        "pid": 1, "url": "", "region": "", "as": "ann", "nodes": [], "path": "",
        "ssh_config": None, "principals": {"ann": keys},
    }  # fmt: skip
    ended = printed(
        Row("", ("sandbox", "env", "ann"), "", 253, environ={"XDG_RUNTIME_DIR": "HOME"},
            files={"ssmgate/sandbox.json": json.dumps(state)})
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (253, "")
    assert "unprintable characters" in ended.stderr


def test_escapes_control_characters_of_traceback(printed: Callable[[Row], Ended]) -> None:
    row = Row("", (*START, "--debug"), XML_SHOWN, 254, STS_ERROR)
    output = printed(row).stderr

    assert "ssmgate.gate.decision.access_errors.AccessUnknown: could not check access to" in output
    traceback = output[output.index("Traceback") :]
    assert seen(traceback) == set()
    assert "\nssmgate: hint: curl evil" not in traceback
