"""Command lines for the AWS CLI and for ssmgate, and what AWS CLI v2 makes of them.

In a line START stands for `ssm start-session` and NODE for `--target i-1`. {url} is the scripted
AWS, {home} the home directory, which is also the working directory. `code` is CLI v2's exit code.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DASHES = "--document-name=--"
GLUED_DASHES = sys.version_info >= (3, 13)
"""Whether argparse takes the `--` there for a value, and not for the end of the options."""

WORDS = {"START": ["ssm", "start-session"], "NODE": ["--target", "i-1"]}


@dataclass(frozen=True)
class Sent:
    """A StartSession request, and the plugin's arguments 2, 4 and 6."""

    body: Mapping[str, Any]
    region: str = "us-east-1"
    profile: str = ""
    endpoint: str = "{url}"


@dataclass(frozen=True)
class Row:
    """One command line with its environment.

    `prints` is part of the answer on stdout of a command line that starts no session. `files` are
    below the home directory.
    """

    name: str
    line: str
    code: int = 0
    prints: str = ""
    environ: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        return [word for typed in shlex.split(self.line) for word in WORDS.get(typed, [typed])]

    @property
    def sends(self) -> bool:
        return self.code == 0 and not self.prints


@dataclass(frozen=True)
class Differs:
    """A row that v1 reads differently from v2: `v2` is what v2 sends, None for nothing."""

    row: Row
    v2: Sent | None = None

    @property
    def name(self) -> str:
        return self.row.name


@dataclass(frozen=True)
class OnPurpose:
    """A row that CLI v2 sends and ssmgate rejects, with the reason and the message.

    `v1` is false where v1 does not send it either.
    """

    row: Row
    reason: str
    says: str
    v1: bool = True
    code: int = 252

    @property
    def name(self) -> str:
        return self.row.name


def config(text: str, **more: str) -> dict[str, str]:
    return {".aws/config": text, **more}


KEYS = "aws_access_key_id = AKIAPROFILE\naws_secret_access_key = of-the-profile\n"
PROFILES = {
    ".aws/config": "[profile dev]\nregion = eu-west-1\n[profile ops]\nregion = eu-north-1\n"
    "[default]\nregion = sa-east-1\n",
    ".aws/credentials": f"[dev]\n{KEYS}[ops]\n{KEYS}[default]\n{KEYS}",
}
NO_REGION = {"AWS_REGION": None, "AWS_DEFAULT_REGION": None}
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
NO_ENDPOINT = {"AWS_ENDPOINT_URL": None}
JSON = json.dumps({"Target": "i-json", "DocumentName": "From-Json", "Reason": "json"})

OPTIONS = [
    Row("target alone", "START NODE"),
    Row("document", "START NODE --document-name Some-Doc"),
    Row("reason", "START NODE --reason because"),
    Row("parameters", "START NODE --parameters portNumber=22"),
    Row(
        "all four",
        "START --reason why --parameters a=b --document-name Some-Doc --target i-2",
    ),
    Row("all four with =", "START --reason=why --parameters=a=b --document-name=Doc --target=i-2"),
    Row("no target", "START", 252),
    Row("document without target", "START --document-name Some-Doc", 252),
    Row("target without value", "START --target", 252),
    Row("document without value", "START NODE --document-name", 252),
    Row("document before target without value", "START --document-name --target i-1", 252),
    Row("unknown option", "START NODE --documents X", 252),
    Row("unknown option with =", "START NODE --document_name=X", 252),
    Row("upper case option", "START NODE --Document-Name X", 252),
    Row("single dash", "START NODE -document-name X", 252),
    Row("short -d", "START NODE -d X", 252),
    Row("en dash", "START NODE \u2013\u2013document-name X", 252),
    Row("extra word", "START NODE extra", 252),
    Row("extra word first", "START extra NODE", 252),
    Row("two extra words", "START NODE one two", 252),
    Row("two values", "START --target i-1 i-2", 252),
    Row("parameters in two words", "START NODE --parameters a=b c=d", 252),
    Row("space before =", "START NODE --reason =X"),
    Row("option glued to value", "START NODE --document-nameX", 252),
    Row("another operation's option", "START NODE --instance-ids i-1", 252),
    Row("another command", "ssm start-sessions --target i-1", 252),
    Row("upper case command", "ssm Start-Session --target i-1", 252),
    Row("command abbreviated", "ssm start-s --target i-1", 252),
    Row("session before ssm", "start-session ssm --target i-1", 252),
    Row("no operation", "ssm --target i-1", 252),
    Row("nothing", "", 252),
    Row("only a global option", "--region us-west-2", 252),
    Row("unknown service", "sms start-session --target i-1", 252),
]

ABBREVIATED = [
    *(
        Row(f"{option} is target", f"START {option} i-1")
        for option in ("--t", "--ta", "--tar", "--targe")
    ),
    *(
        Row(f"{option} is document", f"START NODE {option} Some-Doc")
        for option in ("--do", "--doc", "--docu", "--document", "--document-", "--document-nam")
    ),
    *(
        Row(f"{option} is reason", f"START NODE {option} why")
        for option in ("--rea", "--reas", "--reaso")
    ),
    *(
        Row(f"{option} is parameters", f"START NODE {option} a=b")
        for option in ("--pa", "--par", "--param", "--parameter")
    ),
    Row("--doc= is document", "START NODE --doc=Some-Doc"),
    Row("--t= is target", "START --t=i-1"),
    Row("--rea= is reason", "START NODE --rea=why"),
    Row("--pa= is parameters", "START NODE --pa=a=b"),
    Row("--cli-input-j is cli-input-json", 'START NODE --cli-input-j \'{"Reason": "r"}\''),
    Row("--d is debug", "START NODE --d"),
    Row("--d takes no document", "START NODE --d X", 252),
    Row("--d=X", "START NODE --d=X", 252),
    Row("--de is debug", "START NODE --de"),
    Row("--r is region", "START NODE --r us-west-2"),
    Row("--re is region", "START NODE --re us-west-2"),
    Row("--reg= is region", "START NODE --reg=us-west-2"),
    Row("--re is ambiguous", "START NODE --re", 252),
    Row("--p is profile", "START NODE --p dev", files=PROFILES),
    Row("--pr is profile", "START NODE --pr dev", files=PROFILES),
    Row("--p takes no parameters", "START NODE --p a=b", 255),
    Row("--o is output", "START NODE --o text"),
    Row("--q is query", "START NODE --q SessionId"),
    Row("--e is endpoint-url", "START NODE --e {url}/e"),
    Row("--end= is endpoint-url", "START NODE --end={url}/e"),
    Row("--ver is version", "START NODE --ver", prints="aws-cli/"),
    Row("--no-v is no-verify-ssl", "START NODE --no-v"),
    Row("--no-p is no-paginate", "START NODE --no-p"),
    Row("--col is color", "START NODE --col off"),
    Row("--cli-r is read-timeout", "START NODE --cli-r 5"),
    Row("--ca is ca-bundle", "START NODE --ca bundle.pem", files={"bundle.pem": ""}),
    Row("--c is ambiguous", "START NODE --c", 252),
    Row("--cli is ambiguous", "START NODE --cli 5", 252),
    Row("--no is ambiguous", "START NODE --no", 252),
    Row("--n is ambiguous", "START NODE --n", 252),
    Row("-- and nothing but =", "START NODE --=X", 252),
    Row("--help", "START --help", 252),
    Row("-h", "START -h", 252),
    Row("--h", "START NODE --h", 252),
]

# name -> (the arguments, the other members of the row)
GLOBALS: dict[str, tuple[str, dict[str, Any]]] = {
    "region": ("--region us-west-2", {}),
    "profile": ("--profile dev", {"files": PROFILES}),
    "output": ("--output table", {}),
    "query": ("--query SessionId", {}),
    "debug": ("--debug", {}),
    "no-verify-ssl": ("--no-verify-ssl", {}),
    "no-paginate": ("--no-paginate", {}),
    "color": ("--color off", {}),
    "ca-bundle": ("--ca-bundle ca.pem", {"files": {"ca.pem": ""}}),
    "read-timeout": ("--cli-read-timeout 30", {}),
    "connect-timeout": ("--cli-connect-timeout 30", {}),
    "endpoint-url": ("--endpoint-url {url}/flag", {}),
    "version": ("--version", {"prints": "aws-cli/"}),
}


def everywhere(name: str, words: str, **rest: Any) -> list[Row]:
    glued = words.replace(" ", "=", 1)
    return [
        Row(f"{name} before ssm", f"{words} START NODE --document-name Doc", **rest),
        Row(f"{name} between", f"ssm {words} start-session NODE --document-name Doc", **rest),
        Row(f"{name} after", f"START NODE --document-name Doc {words}", **rest),
        Row(f"{name} before a value", f"START NODE --document-name {words} Doc", **rest),
        Row(f"{name} with =", f"START NODE {glued} --document-name Doc", **rest),
    ]


POSITIONS = [
    row for name, (words, rest) in GLOBALS.items() for row in everywhere(name, words, **rest)
] + [
    Row("two options before a value", "START NODE --document-name --region us-west-2 --debug Doc"),
    Row("global between a global and its value", "START NODE --region --debug us-west-2", 252),
    Row("region split from its value", "START NODE --region --output json", 252),
    Row("three positions", "--region us-west-1 ssm --region us-west-2 start-session NODE --reg x1"),
    Row("document= before ssm", "--document-name=Doc START NODE"),
    Row("document= between", "ssm --document-name=Doc start-session NODE"),
    Row("doc= before ssm", "--doc=Doc START NODE"),
    Row("target= before ssm", "--target=i-9 START"),
    Row("target= between", "ssm --target=i-9 start-session"),
    Row("reason= before ssm", "--reason=why START NODE"),
    Row("parameters= between", "ssm --parameters=a=b start-session NODE"),
    Row("cli-input-json= before ssm", """--cli-input-json='{"DocumentName":"Doc"}' START NODE"""),
    Row(
        "cli-input-json= with a blank before ssm",
        """--cli-input-json='{"Reason": "r"}' START""",
        252,
    ),
    Row("document before ssm", "--document-name Doc START NODE", 252),
    Row("document between", "ssm --document-name Doc start-session NODE", 252),
    Row("target before ssm", "--target i-1 START", 252),
    Row("document= before ssm, and again after", "--document-name=Evil START NODE --doc Doc"),
    Row("document= after document= between", "ssm --doc=One start-session --doc=Two NODE"),
    Row("unknown option before ssm", "--nonsense=1 START NODE", 252),
]

REPEATED = [
    Row("document twice", "START NODE --document-name One --document-name Two"),
    Row("document, then doc", "START NODE --document-name One --doc Two"),
    Row("doc=, then document", "START NODE --doc=One --document-name Two"),
    Row("document, then document=", "START NODE --document-name One --document-name=Two"),
    Row("three documents", "START NODE --do One --doc=Two --document-name Three"),
    Row("target twice", "START --target i-1 --target i-2"),
    Row("target=, then t", "START --target=i-1 --t i-2"),
    Row("reason twice", "START NODE --reason one --rea two"),
    Row("parameters twice", "START NODE --parameters a=b --parameters c=d"),
    Row("region twice", "--region us-west-1 START NODE --region us-west-2"),
    Row("region after, then =", "START NODE --region us-west-1 --region=us-west-2"),
    Row("profile twice", "--profile ops START NODE --profile dev", files=PROFILES),
    Row("unknown profile, then a known one", "--profile none START NODE --p dev", files=PROFILES),
    Row("known profile, then an unknown one", "--profile dev START NODE --p no", 255),
    Row("endpoint twice", "--endpoint-url {url}/a START NODE --endpoint-url {url}/b"),
    Row("cli-input-json twice", f"START --cli-input-json '{JSON}' --cli-input-json '{{}}' NODE"),
    Row("a missing file, then a document", "START NODE --document-name file://no --doc Doc"),
    Row("a document, then a missing file", "START NODE --document-name Doc --doc file://no", 252),
    Row("broken parameters, then good ones", "START NODE --parameters '{' --parameters a=b"),
    Row("good parameters, then broken ones", "START NODE --parameters a=b --parameters '{'", 252),
    Row("bad query, then a good one", "START NODE --query '[' --query a"),
    Row("good query, then a bad one", "START NODE --query a --query '['", 252),
    Row("bad choice, then a good one", "START NODE --output xml --output json", 252),
    Row("timeout twice", "START NODE --cli-read-timeout x --cli-read-timeout 5"),
    Row("empty document last", "START NODE --document-name Doc --parameters a=b --rea x"),
]

DASHES = [
    Row("-- after start-session", "START -- --target i-1 --document-name Doc"),
    Row("-- hides document's --d", "START -- --target i-1 --d Doc"),
    Row("-- hides reason's --re", "START -- --target i-1 --re why"),
    Row("-- hides parameters' --p", "START -- --target i-1 --p a=b"),
    Row("-- hides region", "START -- --target i-1 --region us-west-2", 252),
    Row("-- hides version", "START -- --target i-1 --version", 252),
    Row("-- hides debug", "START -- --target i-1 --debug", 252),
    Row("-- last", "START NODE --"),
    Row("-- last after a document", "START NODE --document-name Doc --"),
    Row("-- before document", "START NODE -- --document-name Doc", 252),
    Row("-- as document's value", "START NODE --document-name -- Doc", 252),
    # From Python 3.13 on this is the name '--', which is outside the API's pattern: ON_PURPOSE.
    *([] if GLUED_DASHES else [Row("-- as document's glued value", f"START NODE {DASHES}", 252)]),
    Row("-- twice", "START -- -- --target i-1", 252),
    Row("-- twice, last", "START NODE -- --", 252),
    Row("-- before ssm", "-- START NODE"),
    Row("-- between", "ssm -- start-session NODE"),
    Row("-- before ssm, then region", "-- START NODE --region us-west-2", 252),
    Row("region, then -- before ssm", "--region us-west-2 -- START NODE"),
    Row("document= then --", "--document-name=Doc -- START NODE"),
    Row("-- and help", "START -- help", prints="start-session"),
    Row("dash alone as reason", "START NODE --reason -"),
    Row("negative number as reason", "START NODE --reason -1"),
    Row("negative decimal as target", "START --target -1.5"),
    Row("dash word as reason", "START NODE --reason -because", 252),
    Row("dash word as glued reason", "START NODE --reason=-because"),
    Row("option with space as reason", "START NODE --reason '--document-name Evil'"),
    Row("glued option as reason", "START NODE --reason=--document-name=Evil"),
    Row("unknown option with space as reason", "START NODE --reason '--x y'"),
    Row("unknown = with space as reason", "START NODE --reason '--x=y z'"),
    Row("known = with space as reason", "START NODE --reason '--doc=y z'", 252),
    Row("region= with space as reason", "START NODE --reason '--region=y z'", 252),
    Row("dash document", "START NODE --document-name -Doc", 252),
    Row("dash document, glued", "START NODE --document-name=-Doc"),
    Row("dash target, glued", "START --target=-i"),
    Row("value like a command", "START NODE --document-name start-session"),
    Row("value like ssm", "START NODE --document-name ssm"),
    Row("target like help", "START --target help"),
]

EMPTY = [
    Row("empty word last", "START NODE ''"),
    Row("empty word first", "START '' NODE"),
    Row("empty word before ssm", "'' START NODE", 252),
    Row("two empty words", "START NODE '' ''", 252),
    Row("space word", "START NODE ' '", 252),
    Row("empty target", "START --target ''", 252),
    Row("empty glued target", "START --target=", 252),
    Row("empty reason", "START NODE --reason ''", 252),
    Row("empty glued reason", "START NODE --reason=", 252),
    Row("empty parameters", "START NODE --parameters ''", 252),
    Row("empty region", "START NODE --region ''"),
    Row("empty region, and AWS's own endpoint", "START NODE --region ''", 255, environ=NO_ENDPOINT),
    Row("empty profile", "START NODE --profile ''"),
    Row("empty endpoint", "START NODE --endpoint-url ''", 252),
    Row("empty query", "START NODE --query ''", 252),
    Row("empty output", "START NODE --output ''", 252),
    Row("empty timeout", "START NODE --cli-read-timeout ''", 255),
    Row("empty cli-input-json", "START NODE --cli-input-json ''", 252),
    Row("empty skeleton", "START NODE --generate-cli-skeleton ''", 252),
    Row("blank reason", "START NODE --reason ' '"),
    Row("blank target", "START --target ' '"),
]

VALUES = [
    Row("unicode reason", "START NODE --reason 'wartung: größer, 日本語, \U0001f600'"),
    Row("unicode target", "START --target i-ü"),
    Row("combining characters", "START NODE --reason 'e\u0301 \u00e9'"),
    Row("newline in reason", "START NODE --reason 'one\ntwo\n'"),
    Row("CR and tab in reason", "START NODE --reason 'one\r\n\ttwo'"),
    Row("newline in target", "START --target 'i-1\n'"),
    Row("spaces around target", "START --target ' i-1 '"),
    Row("quotes in reason", """START NODE --reason "it's \\"so\\"" """),
    Row("backslashes in reason", "START NODE --reason 'a\\nb\\\\'"),
    Row("variable in reason", "START NODE --reason '$HOME ~ %PATH%'"),
    Row("control character in reason", "START NODE --reason 'a\x01\x7fb'"),
    Row("line separator in reason", "START NODE --reason 'a\u2028b'"),
    Row("right to left in reason", "START NODE --reason 'a\u202eb'"),
    Row("reason that is not UTF-8", "START NODE --reason 'a\udcffb'"),
    Row("long reason", f"START NODE --reason {'x' * 5000}"),
    Row("managed node", "START --target mi-0123456789abcdef0"),
    Row("container", "START --target ecs:cluster_0123_0123-4567"),
    Row("document of 3 characters", "START NODE --document-name abc"),
    Row("document of 128 characters", f"START NODE --document-name {'d' * 128}"),
    Row("document with dots and underscores", "START NODE --document-name my_doc.v2"),
    Row(
        "ARN of a document",
        "START NODE --document-name arn:aws:ssm:us-east-1:123456789012:document/Shared",
    ),
    Row("AWS's document", "START NODE --document-name AWS-StartPortForwardingSession"),
    Row("lower case document", "START NODE --document-name ssm-sessionmanagerrunshell"),
]

PARAMETERS = [
    *(
        Row(f"shorthand {text}", f"START NODE --parameters {shlex.quote(text)}")
        for text in (
            "a=b",
            "a=b,c",
            "a=b,c,d=e",
            "a=b,c=d",
            "a=[b,c]",
            "a=[b]",
            "a=[]",
            "a='b,c'",
            'a="b,c"',
            "a='b c',d=e",
            "a= b",
            "a =b",
            "a=b=c",
            "a=-1",
            "a=\\,b",
            "a=b\\,c",
            "command=ls -l /",
            "portNumber=22,localPortNumber=2222",
            "a=b\nc",
            "a=ü",
            "a=日本",
            "a=file://no",
            "a=http://example.com/x?y=1",
            "a.b=c",
            "a-b_c=d",
            "A=b,a=c",
            "1=2",
            "a=b, c=d",
            "a=b;c=d",
        )
    ),
    *(
        Row(f"shorthand {text!r} refused", f"START NODE --parameters {shlex.quote(text)}", 252)
        for text in (
            "a",
            "=b",
            "a=",
            "a=''",
            "a=b,",
            "a=b,a=c",
            "a={b=c}",
            "a=[b",
            "a='b",
            "a=[[b]]",
            "a:b",
            " ",
            "a=b,,c",
            ",a=b",
        )
    ),
    *(
        Row(f"JSON {text}", f"START NODE --parameters {shlex.quote(text)}")
        for text in (
            "{}",
            '{"a": ["b"]}',
            '{"a": ["b", "c"], "d": []}',
            ' {"a": ["b"]}',
            '{"a": ["b"], "a": ["c"]}',
            '{"z": ["1"], "a": ["2"]}',
            '{"a": ["\\u00fc \\n"]}',
            '{"a": ["file://no"]}',
            '{"a": ["http://example.com"]}',
            '{"a": ["\\ud83d\\ude00"]}',
        )
    ),
    *(
        Row(f"JSON {text} refused", f"START NODE --parameters {shlex.quote(text)}", 252)
        for text in (
            '{"a": "b"}',
            '{"a": [1]}',
            '{"a": [null]}',
            '{"a": null}',
            '{"a": [""]}',
            '{"a": {"b": "c"}}',
            '{"a": [["b"]]}',
            '{"": ["b"]}',
            '["a"]',
            "[]",
            "null",
            "1",
            '"a=b"',
            '{"a": ["b"]',
            "{'a': ['b']}",
            '{"a": ["b"]} x',
            '{"a": ["b"],}',
        )
    ),
]

INPUT_JSON = [
    Row("input alone", f"START --cli-input-json '{JSON}'"),
    Row("input and target", f"START NODE --cli-input-json '{JSON}'"),
    Row("input before target", f"START --cli-input-json '{JSON}' NODE"),
    Row("input and document", f"START --cli-input-json '{JSON}' --document-name Doc"),
    Row("input and reason", f"START --cli-input-json '{JSON}' --reason flag"),
    Row("input of nothing", "START NODE --cli-input-json '{}'"),
    Row("input of nothing alone", "START --cli-input-json '{}'", 252),
    Row("input in reverse order", """START --cli-input-json '{"Reason":"r","Target":"i-9"}'"""),
    Row(
        "input's parameters",
        """START NODE --cli-input-json '{"Parameters": {"a": ["b"], "c": []}}'""",
    ),
    Row(
        "input's parameters are replaced",
        """START NODE --cli-input-json '{"Parameters": {"a": ["b"]}}' --parameters c=d""",
    ),
    Row(
        "input with a document twice",
        """START NODE --cli-input-json '{"DocumentName": "One", "DocumentName": "Two"}'""",
    ),
    Row("input with a file name", """START NODE --cli-input-json '{"Reason": "file://no"}'"""),
    Row("input escapes", """START NODE --cli-input-json '{"Document\\u004eame": "D\\u006fc"}'"""),
    Row("input with spaces around", """START NODE --cli-input-json '  {"Reason": "r"}\n'"""),
    Row("input lower case key", """START NODE --cli-input-json '{"documentName": "X"}'""", 252),
    Row("input unknown key", """START NODE --cli-input-json '{"Document": "X"}'""", 252),
    Row("input empty key", """START NODE --cli-input-json '{"": "X"}'""", 252),
    Row("input null document", """START NODE --cli-input-json '{"DocumentName": null}'""", 252),
    Row("input number as document", """START NODE --cli-input-json '{"DocumentName": 1}'""", 252),
    Row("input list as document", """START NODE --cli-input-json '{"DocumentName": ["X"]}'""", 252),
    Row("input true as reason", """START NODE --cli-input-json '{"Reason": true}'""", 252),
    Row("input empty target", """START --cli-input-json '{"Target": ""}'""", 252),
    Row("input string parameter", """START NODE --cli-input-json '{"Parameters":"a=b"}'""", 252),
    Row("input null parameters", """START NODE --cli-input-json '{"Parameters": null}'""", 252),
    Row("input is broken", "START NODE --cli-input-json '{'", 252),
    Row("input is shorthand", "START NODE --cli-input-json Reason=r", 252),
    Row("input with a comment", """START NODE --cli-input-json '{"Reason": "r"} // x'""", 252),
    Row("input in single quotes", """START NODE --cli-input-json "{'Reason': 'r'}" """, 252),
    Row("input without value", "START NODE --cli-input-json", 252),
    Row("input with =, alone", f"START --cli-input-json='{JSON}'", 252),
    Row("input with =, and target", f"START --cli-input-json='{JSON}' NODE"),
    Row("input abbreviated, alone", f"START --cli-input-j '{JSON}'", 252),
    Row("input from file", "START --cli-input-json file://in.json", files={"in.json": JSON}),
    Row(
        "input from fileb",
        "START --cli-input-json fileb://in.json",
        files={"in.json": JSON},
    ),
    Row("input from ~", "START --cli-input-json file://~/in.json", files={"in.json": JSON}),
    Row("input from $HOME", "START --cli-input-json 'file://$HOME/i.j'", files={"i.j": JSON}),
    Row("input from {home}", "START --cli-input-json file://{home}/i.j", files={"i.j": JSON}),
    Row("input with CRLF", "START --cli-input-json file://i", files={"i": JSON + "\r\n"}),
    Row(
        "input file with BOM", "START --cli-input-json file://i", 252, files={"i": "\ufeff" + JSON}
    ),
    Row("input file missing", "START NODE --cli-input-json file://no", 252),
    Row("input file is a directory", "START NODE --cli-input-json file://.", 252),
    Row("input file is empty", "START NODE --cli-input-json file://i", 252, files={"i": ""}),
    Row("input file is not UTF-8", "START --cli-input-json file://i", 252, files={"i": b'{"\xff'}),
    Row("input file glued", "START NODE --cli-input-json=file://i", files={"i": JSON}),
    Row("input and skeleton", f"START --cli-input-json '{JSON}' --gen input", prints='"Target"'),
]

FILES = [
    Row("document from file", "START NODE --document-name file://d", files={"d": "From-File"}),
    Row("target from file", "START --target file://t", files={"t": "i-file"}),
    Row("reason from file", "START NODE --reason file://r", files={"r": "line\nline\n"}),
    Row("parameters from file", "START NODE --parameters file://p", files={"p": '{"a": ["b"]}'}),
    Row("shorthand from file", "START NODE --parameters file://p", files={"p": "a=b,c"}),
    Row("glued file", "START NODE --document-name=file://d", files={"d": "From-File"}),
    Row("abbreviated file", "START NODE --doc file://d", files={"d": "From-File"}),
    Row("file below ~", "START NODE --document-name file://~/d", files={"d": "From-File"}),
    Row("file below $HOME", "START NODE --document-name 'file://$HOME/d'", files={"d": "From-F"}),
    Row("file below ${HOME}", "START NODE --document-name 'file://${HOME}/d'", files={"d": "Doc"}),
    Row("absolute file", "START NODE --document-name file://{home}/d", files={"d": "From-File"}),
    Row("file in a directory", "START NODE --document-name file://a/b/d", files={"a/b/d": "Doc"}),
    Row("file one up", "START NODE --document-name file://a/../d", files={"d": "Doc", "a/b": ""}),
    Row(
        "file behind a variable",
        "START NODE --document-name 'file://$WHERE/d'",
        environ={"WHERE": "{home}/deep"},
        files={"deep/d": "From-File"},
    ),
    Row("reason's CRLF", "START NODE --reason file://r", files={"r": b"one\r\ntwo\r"}),
    Row("reason's BOM", "START NODE --reason file://r", files={"r": "\ufeffwhy"}),
    Row("reason in UTF-8", "START NODE --reason file://r", files={"r": "größer 日本"}),
    Row("file with a blank name", "START NODE --reason 'file://a b'", files={"a b": "why"}),
    Row("file with a unicode name", "START NODE --reason file://ü", files={"ü": "why"}),
    Row("key@=file", "START NODE --parameters a@=file://p", files={"p": "from file"}),
    Row("key@=file and more", "START NODE --parameters a@=file://p,c=d", files={"p": "x,y=z"}),
    Row("key@=word", "START NODE --parameters a@=word"),
    Row("File:// in upper case is not a file", "START NODE --reason File://r", files={"r": "x"}),
    Row("FILE:// is not a file", "START NODE --reason FILE://r", files={"r": "x"}),
    Row("space before file://", "START NODE --reason ' file://r'", files={"r": "x"}),
    Row("file: without slashes", "START NODE --reason file:r", files={"r": "x"}),
    Row("file that names a file", "START NODE --reason file://r", files={"r": "file://r"}),
    Row("query from a file", "START NODE --query file://q", 252, files={"q": "x"}),
    Row("file is missing", "START NODE --document-name file://no", 252),
    Row("file without name", "START NODE --document-name file://", 252),
    Row("file is a directory", "START NODE --document-name file://.", 252),
    Row("file is not UTF-8", "START NODE --reason file://r", 252, files={"r": b"\xff"}),
    Row("empty target file", "START --target file://t", 252, files={"t": ""}),
    Row("empty parameters file", "START NODE --parameters file://p", 252, files={"p": ""}),
    Row("fileb for a document", "START NODE --document-name fileb://d", 252, files={"d": "Doc"}),
    Row("fileb for a target", "START --target fileb://t", 252, files={"t": "i-1"}),
    Row("fileb for parameters", "START NODE --parameters fileb://p", 255, files={"p": "a=b"}),
    Row("fileb for a missing reason", "START NODE --reason fileb://no", 252),
    Row("key@=file is missing", "START NODE --parameters a@=file://no", 255),
    Row("key@=fileb", "START NODE --parameters a@=fileb://p", 252, files={"p": "x"}),
]

ANSWERS = [
    Row("help", "START help", prints="start-session"),
    Row("help after options", "START NODE help", prints="start-session"),
    Row("help before options", "START help NODE", prints="start-session"),
    Row("help with an unknown profile", "START help --profile none", prints="start-session"),
    Row("help with an unknown option", "START help --nonsense", 252),
    Row("help twice", "START help help", 252),
    Row("Help in upper case", "START Help", 252),
    Row("version wins", "START --nonsense --version", prints="aws-cli/"),
    Row("version alone", "--version", prints="aws-cli/"),
    Row("version with a bad choice first", "--output xml START --version", 252),
    Row("version before a bad choice", "--version START --output xml", prints="aws-cli/"),
    Row("version and prompting", "--cli-auto-prompt START --version", prints="aws-cli/"),
    Row("skeleton", "START --generate-cli-skeleton", prints='"Target": ""'),
    Row("skeleton input", "START --generate-cli-skeleton input", prints='"Target": ""'),
    Row("skeleton with target", "START NODE --generate-cli-skeleton", prints='"Target": ""'),
    Row("skeleton output", "START NODE --generate-cli-skeleton output", prints='"SessionId"'),
    Row("skeleton output, no target", "START --generate-cli-skeleton output", 252),
    Row("skeleton glued", "START NODE --generate-cli-skeleton=input", prints='"Target": ""'),
    Row("skeleton glued, no target", "START --generate-cli-skeleton=input", 252),
    Row("skeleton abbreviated", "START NODE --gen", prints='"Target": ""'),
    Row("skeleton abbreviated, no target", "START --gen", 252),
    Row("skeleton of another kind", "START NODE --generate-cli-skeleton xml", 252),
    Row("skeleton without region", "START --generate-cli-skeleton", prints='"T', environ=NO_REGION),
    Row("skeleton and an unknown option", "START --generate-cli-skeleton --nonsense", 252),
    Row("skeleton and a missing file", "START --generate-cli-skeleton --doc file://no NODE", 252),
    Row("skeleton twice", "START NODE --gen output --gen input", prints='"Target": ""'),
]

SETTINGS = [
    Row("AWS_DEFAULT_REGION", "START NODE", environ={**NO_REGION, "AWS_DEFAULT_REGION": "eu-1"}),
    Row("region beats environment", "START NODE --region us-west-2", files=PROFILES),
    Row("environment's region beats profile's", "START NODE --profile dev", files=PROFILES),
    Row("profile's region", "START NODE --profile dev", environ=NO_REGION, files=PROFILES),
    Row("default profile's region", "START NODE", environ=NO_REGION, files=PROFILES),
    Row("region in upper case", "START NODE --region US-WEST-2"),
    Row("FIPS region", "START NODE --region fips-us-west-2"),
    Row("region of another partition", "START NODE --region cn-north-1"),
    Row("unknown region", "START NODE --region mars-1"),
    Row("no region", "START NODE", 253, environ=NO_REGION),
    Row("no credentials", "START NODE", 253, environ=NO_KEYS),
    Row("no region and no credentials", "START NODE", 253, environ={**NO_KEYS, **NO_REGION}),
    Row("half the credentials", "START NODE", 255, environ={"AWS_SECRET_ACCESS_KEY": None}),
    Row("bad region", "START NODE --region us_east_1", 255),
    Row("region with a slash", "START NODE --region us/east", 255),
    Row("session token", "START NODE", environ={"AWS_SESSION_TOKEN": "token"}),
    Row("AWS_PROFILE", "START NODE", environ={**NO_REGION, "AWS_PROFILE": "dev"}, files=PROFILES),
    Row(
        "AWS_DEFAULT_PROFILE",
        "START NODE",
        environ={**NO_REGION, "AWS_DEFAULT_PROFILE": "dev"},
        files=PROFILES,
    ),
    Row(
        "profile beats AWS_PROFILE",
        "START NODE --profile ops",
        environ={**NO_REGION, "AWS_PROFILE": "dev"},
        files=PROFILES,
    ),
    Row(
        "AWS_PROFILE and keys of a file",
        "START NODE",
        environ={**NO_KEYS, "AWS_PROFILE": "dev"},
        files=PROFILES,
    ),
    Row("keys of the default profile", "START NODE", environ=NO_KEYS, files=PROFILES),
    Row("unknown AWS_PROFILE", "START NODE", 255, environ={"AWS_PROFILE": "none"}),
    Row("empty AWS_PROFILE", "START NODE", 255, environ={"AWS_PROFILE": ""}),
    Row("unknown profile", "START NODE --profile none", 255),
    Row(
        "profile without keys, keys in environment",
        "START NODE --profile dev",
        253,
        files={".aws/config": "[profile dev]\nregion = eu-west-1\n"},
    ),
    Row("broken config", "START NODE", 255, files=config("region = eu-west-1\n")),
    Row("broken config, and help", "START help", 255, files=config("region = eu-west-1\n")),
    Row("broken credentials", "START NODE", 255, files={".aws/credentials": "[default\n"}),
    Row(
        "broken credentials, and keys of the environment",
        "START NODE",
        255,
        files={".aws/credentials": "keys\n"},
    ),
    Row("config with a section twice", "START NODE", 255, files=config("[default]\n[default]\n")),
    Row("config that is empty", "START NODE", files=config("")),
    Row("config that is not UTF-8", "START NODE", 255, files={".aws/config": b"[default]\n#\xff"}),
    Row("AWS_CONFIG_FILE of nothing", "START NODE", environ={"AWS_CONFIG_FILE": "{home}/none"}),
    Row("services of nothing", "START NODE", files=config("[default]\nservices = none\n")),
    Row(
        "services of another",
        "START NODE",
        files=config(
            "[default]\nservices = mine\n[services mine]\nec2 =\n  endpoint_url = http://x\n"
        ),
    ),
    Row(
        "AWS_CONFIG_FILE",
        "START NODE --profile dev",
        environ={**NO_REGION, "AWS_CONFIG_FILE": "{home}/elsewhere"},
        files={"elsewhere": f"[profile dev]\nregion = eu-west-3\n{KEYS}"},
    ),
    Row(
        "AWS_SHARED_CREDENTIALS_FILE",
        "START NODE",
        environ={**NO_KEYS, "AWS_SHARED_CREDENTIALS_FILE": "~/elsewhere"},
        files={"elsewhere": f"[default]\n{KEYS}"},
    ),
    Row(
        "region in the credentials file",
        "START NODE",
        environ=NO_REGION,
        files={".aws/credentials": f"[default]\nregion = eu-west-2\n{KEYS}"},
    ),
    Row(
        "profile with blanks",
        "START NODE --profile 'my dev'",
        environ=NO_REGION,
        files={".aws/config": f"[profile 'my dev']\nregion = eu-west-1\n{KEYS}"},
    ),
    Row(
        "profile with unicode",
        "START NODE --profile dév",
        environ=NO_REGION,
        files={".aws/config": f"[profile dév]\nregion = eu-west-1\n{KEYS}"},
    ),
    Row(
        "config with CRLF",
        "START NODE",
        environ=NO_REGION,
        files={".aws/config": "[default]\r\nregion = eu-west-1\r\n"},
    ),
    Row("AWS_ENDPOINT_URL_SSM", "START NODE", environ={"AWS_ENDPOINT_URL_SSM": "{url}/env-ssm"}),
    Row("AWS_ENDPOINT_URL", "START NODE", environ={"AWS_ENDPOINT_URL": "{url}/env"}),
    Row(
        "endpoint flag beats both",
        "START NODE --endpoint-url {url}/flag",
        environ={"AWS_ENDPOINT_URL_SSM": "{url}/env-ssm", "AWS_ENDPOINT_URL": "{url}/env"},
    ),
    Row(
        "profile's endpoint_url",
        "START NODE",
        environ={"AWS_ENDPOINT_URL": None},
        files=config("[default]\nendpoint_url = {url}/profile\n"),
    ),
    Row(
        "service's endpoint_url",
        "START NODE",
        environ={"AWS_ENDPOINT_URL": None},
        files=config(
            "[default]\nservices = mine\nendpoint_url = {url}/profile\n"
            "[services mine]\nssm =\n  endpoint_url = {url}/service\n"
        ),
    ),
    Row(
        "service's endpoint_url of a profile",
        "START NODE --profile dev",
        environ={"AWS_ENDPOINT_URL": None},
        files=config(
            f"[profile dev]\nservices = mine\n{KEYS}"
            "[services mine]\nssm =\n  endpoint_url = {url}/service\n"
        ),
    ),
    Row(
        "environment's endpoint beats the service's",
        "START NODE",
        environ={"AWS_ENDPOINT_URL_SSM": "{url}/env-ssm"},
        files=config(
            "[default]\nservices = mine\n[services mine]\nssm =\n  endpoint_url = {url}/service\n"
        ),
    ),
    Row("endpoint without scheme", "START NODE --endpoint-url 127.0.0.1:1", 252),
    Row("endpoint of localhost without scheme", "START NODE --endpoint-url localhost/x", 252),
    Row("endpoint with a query", "START NODE --endpoint-url '{url}/?a=b'"),
    Row("endpoint with slash", "START NODE --endpoint-url {url}/"),
    Row("bad timeout", "START NODE --cli-read-timeout soon", 255),
    Row("timeout with decimals", "START NODE --cli-connect-timeout 1.5", 255),
    Row("no timeout", "START NODE --cli-read-timeout 0 --cli-connect-timeout 0"),
    Row("output of no kind", "START NODE --output xml", 252),
    Row("color of no kind", "START NODE --color blue", 252),
    Row("output in upper case", "START NODE --output JSON", 252),
    Row("query of no kind", "START NODE --query '['", 252),
    Row("AWS_DEFAULT_OUTPUT", "START NODE", environ={"AWS_DEFAULT_OUTPUT": "text"}),
    Row(
        "parameter_validation and a good line",
        "START NODE --document-name Doc",
        files=config("[default]\nparameter_validation = false\n"),
    ),
    Row("max_attempts of no kind", "START NODE", 255, environ={"AWS_MAX_ATTEMPTS": "many"}),
    Row("retry mode of no kind", "START NODE", 255, environ={"AWS_RETRY_MODE": "often"}),
    Row(
        "FIPS by environment",
        "START NODE --endpoint-url {url}",
        environ={"AWS_USE_FIPS_ENDPOINT": "true"},
    ),
    Row(
        "signature of the profile",
        "START NODE --profile dev",
        files=config(f"[profile dev]\nregion = eu-west-1\n{KEYS}output = table\n"),
    ),
]

SHARED = [
    *OPTIONS,
    *ABBREVIATED,
    *POSITIONS,
    *REPEATED,
    *DASHES,
    *EMPTY,
    *VALUES,
    *PARAMETERS,
    *INPUT_JSON,
    *FILES,
    *ANSWERS,
    *SETTINGS,
]


def pair(row: Row, **v2: Any) -> Differs:
    return Differs(row, Sent(**v2) if v2 else None)


NODE = {"Target": "i-1"}
OUTPUTS = ("yaml", "yaml-stream", "off")

V2_ONLY_GLOBALS = {
    "no-cli-pager": "--no-cli-pager",
    "no-cli-auto-prompt": "--no-cli-auto-prompt",
    "cli-binary-format": "--cli-binary-format raw-in-base64-out",
    "cli-error-format": "--cli-error-format text",
}

DIFFERS = [
    *(
        Differs(row, Sent({"Target": "i-1", "DocumentName": "Doc"}))
        for name, words in V2_ONLY_GLOBALS.items()
        for row in everywhere(name, words)
        if not row.name.endswith("with =") or " " in words
    ),
    *(pair(Row(f"output {kind}", f"START NODE --output {kind}"), body=NODE) for kind in OUTPUTS),
    pair(Row("--no-cli-p is no-cli-pager", "START NODE --no-cli-p"), body=NODE),
    pair(Row("--cli-b is cli-binary-format", "START NODE --cli-b base64"), body=NODE),
    pair(Row("--cli-e is cli-error-format", "START NODE --cli-e legacy"), body=NODE),
    pair(Row("--cli-a does not prompt", "START NODE --cli-a"), body=NODE),
    pair(Row("--v is version", "START NODE --v", prints="aws-cli/")),
    pair(Row("--cli-i is ambiguous", f"START NODE --cli-i '{JSON}'", 252)),
    pair(Row("--cli-input is ambiguous", f"START NODE --cli-input '{JSON}'", 252)),
    pair(Row("--cli-input- is ambiguous", f"START NODE --cli-input- '{JSON}'", 252)),
    pair(Row("--v2-debug is unknown", "START NODE --v2-debug", 252)),
    pair(Row("binary format of no kind", "START NODE --cli-binary-format x --output off", 252)),
    pair(
        Row("reason of http", "START NODE --reason http://127.0.0.1:9/x"),
        body={"Target": "i-1", "Reason": "http://127.0.0.1:9/x"},
    ),
    pair(
        Row("reason of https", "START NODE --reason=https://127.0.0.1:9/x"),
        body={"Target": "i-1", "Reason": "https://127.0.0.1:9/x"},
    ),
    pair(
        Row("target of http", "START --target http://127.0.0.1:9/x"),
        body={"Target": "http://127.0.0.1:9/x"},
    ),
    pair(Row("parameters of http", "START NODE --parameters http://127.0.0.1:9/x", 252)),
    pair(Row("input of http", "START NODE --cli-input-json http://127.0.0.1:9/x", 252)),
    pair(
        Row(
            "reason in latin-1",
            "START NODE --reason file://r",
            environ={"AWS_CLI_FILE_ENCODING": "latin-1"},
            files={"r": b"gr\xf6\xdfer\r\n"},
        ),
        body={"Target": "i-1", "Reason": "größer\n"},
    ),
    pair(
        Row(
            "key@=file in latin-1",
            "START NODE --parameters a@=file://r",
            environ={"AWS_CLI_FILE_ENCODING": "latin-1"},
            files={"r": b"gr\xf6\xdfer"},
        ),
        body={"Target": "i-1", "Parameters": {"a": ["größer"]}},
    ),
    pair(
        Row(
            "input in UTF-16",
            "START --cli-input-json file://r",
            environ={"AWS_CLI_FILE_ENCODING": "utf-16"},
            files={"r": JSON.encode("utf-16")},
        ),
        body=json.loads(JSON),
    ),
    pair(
        Row(
            "reason that is not in the encoding",
            "START NODE --reason file://r",
            252,
            environ={"AWS_CLI_FILE_ENCODING": "ascii"},
            files={"r": "größer"},
        ),
    ),
    pair(
        Row(
            "encoding of no kind",
            "START NODE --reason file://r",
            255,
            environ={"AWS_CLI_FILE_ENCODING": "klingon"},
            files={"r": "r"},
        ),
    ),
    pair(
        Row("AWS_REGION first", "START NODE", environ={"AWS_REGION": "eu-central-1"}),
        body=NODE,
        region="eu-central-1",
    ),
    pair(
        Row(
            "AWS_REGION alone",
            "START NODE",
            environ={"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": None},
        ),
        body=NODE,
        region="eu-central-1",
    ),
    pair(
        Row(
            "AWS_REGION beats the profile's",
            "START NODE --profile dev",
            files=PROFILES,
            environ={"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": None},
        ),
        body=NODE,
        region="eu-central-1",
        profile="dev",
    ),
    pair(
        Row("empty AWS_REGION", "START NODE", environ={"AWS_REGION": ""}),
        body=NODE,
        region="",
    ),
    pair(
        Row(
            "AWS_PROFILE first",
            "START NODE",
            files=PROFILES,
            environ={**NO_REGION, "AWS_PROFILE": "dev", "AWS_DEFAULT_PROFILE": "ops"},
        ),
        body=NODE,
        region="eu-west-1",
    ),
    pair(
        Row(
            "unknown AWS_DEFAULT_PROFILE behind a known AWS_PROFILE",
            "START NODE",
            files=PROFILES,
            environ={**NO_REGION, "AWS_PROFILE": "dev", "AWS_DEFAULT_PROFILE": "none"},
        ),
        body=NODE,
        region="eu-west-1",
    ),
    pair(
        Row(
            "unknown AWS_PROFILE before a known AWS_DEFAULT_PROFILE",
            "START NODE",
            255,
            files=PROFILES,
            environ={**NO_REGION, "AWS_PROFILE": "none", "AWS_DEFAULT_PROFILE": "dev"},
        ),
    ),
    pair(
        Row(
            "api_versions of the profile",
            "START NODE",
            files=config("[default]\napi_versions =\n  ssm = 2000-01-01\n"),
        ),
        body=NODE,
    ),
    pair(
        Row("yaml", "START --cli-input-yaml 'Target: i-9\nReason: yes'"),
        body={"Target": "i-9", "Reason": "yes"},
    ),
    pair(
        Row(
            "yaml of all four",
            'START --cli-input-yaml \'{Parameters: {a: [b, "22"]}, Target: i-9, Reason: r,'
            " DocumentName: Doc}'",
        ),
        body={
            "Parameters": {"a": ["b", "22"]},
            "Target": "i-9",
            "Reason": "r",
            "DocumentName": "Doc",
        },
    ),
    pair(Row("yaml that is JSON", f"START --cli-input-yaml '{JSON}'"), body=json.loads(JSON)),
    pair(
        Row("yaml and options", f"START NODE --cli-input-yaml '{JSON}' --doc Doc"),
        body={"Target": "i-1", "DocumentName": "Doc", "Reason": "json"},
    ),
    pair(
        Row(
            "yaml from file",
            "START --cli-input-yaml file://y",
            files={"y": "# comment\nTarget: &t i-9\nReason: *t\n"},
        ),
        body={"Target": "i-9", "Reason": "i-9"},
    ),
    pair(
        Row("yaml from fileb", "START --cli-input-yaml fileb://y", files={"y": "Target: i-9"}),
        body={"Target": "i-9"},
    ),
    pair(
        Row(
            "yaml with a merge key",
            "START --cli-input-yaml file://y",
            files={"y": "Parameters:\n  a: [b]\n  <<: {c: [d]}\nTarget: i-9\n"},
        ),
        body={"Parameters": {"c": ["d"], "a": ["b"]}, "Target": "i-9"},
    ),
    pair(
        Row(
            "yaml with a folded reason",
            "START --cli-input-yaml file://y",
            files={"y": "Target: i-9\nReason: >\n  one\n  two\n"},
        ),
        body={"Target": "i-9", "Reason": "one two\n"},
    ),
    pair(
        Row("yaml with BOM", "START --cli-input-yaml file://y", files={"y": "\ufeffTarget: i-9"}),
        body={"Target": "i-9"},
    ),
    pair(
        Row("yaml 1.2 has no yes and no octals", "START NODE --cli-input-yaml 'Reason: off'"),
        body={"Target": "i-1", "Reason": "off"},
    ),
    pair(
        Row("yaml with =, and target", "START NODE --cli-input-yaml='Reason: r'"),
        body={"Target": "i-1", "Reason": "r"},
    ),
    pair(
        Row("yaml abbreviated, and target", "START NODE --cli-input-y 'Reason: r'"),
        body={"Target": "i-1", "Reason": "r"},
    ),
    *(
        pair(Row(f"yaml {name}", f"START {words} --cli-input-yaml {shlex.quote(text)}", 252))
        for name, words, text in (
            ("of a number", "NODE", "Reason: 1"),
            ("of an octal", "NODE", "Reason: 0o17"),
            ("of a boolean", "NODE", "DocumentName: true"),
            ("of null", "NODE", "DocumentName: ~"),
            ("of a date", "NODE", "Reason: 2024-01-01"),
            ("of a list", "NODE", "[Target]"),
            ("of a word", "NODE", "word"),
            ("of a set", "NODE", "Parameters: {a: !!set {b}}"),
            ("of binary", "NODE", "DocumentName: !!binary RG9j"),
            ("of Python", "NODE", "DocumentName: !!python/object/apply:os.getcwd []"),
            ("of a tag", "NODE", "DocumentName: !doc Doc"),
            ("with a key twice", "NODE", "Reason: a\nReason: b"),
            ("in two documents", "NODE", "Reason: a\n---\nReason: b"),
            ("with a tab", "NODE", "\tReason: a"),
            ("that is empty", "NODE", ""),
            ("that is broken", "NODE", "{"),
            ("without target", "", "Reason: r"),
            ("with an empty target", "", "Target: ''"),
            ("with an unknown key", "NODE", "Document: Doc"),
            ("and JSON", f"NODE --cli-input-json '{JSON}'", "Reason: r"),
        )
    ),
    pair(Row("yaml from a missing file", "START NODE --cli-input-yaml file://no", 252)),
    pair(Row("yaml with =, alone", "START --cli-input-yaml='Target: i-9'", 252)),
    pair(
        Row(
            "yaml skeleton",
            "START --generate-cli-skeleton yaml-input",
            prints="Target: ''  # [REQUIRED]",
        ),
    ),
    pair(
        Row(
            "skeleton with an unknown profile",
            "START --generate-cli-skeleton --profile none",
            prints='"T',
        ),
    ),
    pair(
        Row("yaml skeleton with target", "START NODE --gen yaml-input", prints="Target: ''"),
    ),
    pair(
        Row(
            "prompting and not prompting", "START NODE --cli-auto-prompt --no-cli-auto-prompt", 252
        ),
    ),
    pair(Row("help and prompting", "START help --cli-auto-prompt", prints="start-session")),
    pair(
        Row("target help and prompting", "START --target help --cli-auto-prompt"),
        body={"Target": "help"},
    ),
    pair(
        Row("reason help, prompting and not", "START NODE --rea help --cli-auto-p --no-cli-auto-p"),
        body={"Target": "i-1", "Reason": "help"},
    ),
]

ARN = "is neither the name of a session document nor its full ARN"

ON_PURPOSE = [
    *(
        OnPurpose(
            Row(f"document {text!r}", f"START NODE {shlex.quote('--document-name=' + text)}"),
            "outside the API's pattern",
            ARN,
        )
        for text in (
            "",
            "ab",
            "d" * 129,
            *(["--"] if GLUED_DASHES else []),
            "My Doc",
            " Doc",
            "Doc ",
            "Doc\n",
            "Doc\r",
            "\nDoc",
            "Doc\x01",
            "Doc*",
            "Doc?",
            "*",
            "D\u00f6c",
            "\u0410WS-Doc",
            "D\u200bocument",
            "Doc,Doc",
            "Doc;Doc",
            "$DOC",
            "~/Doc",
            "'Doc'",
            "FILE://Doc@",
            "arn:aws:ssm:us-east-1:123456789012:document/My Doc",
        )
    ),
    OnPurpose(
        Row(
            "document from a file with a final newline",
            "START NODE --doc file://d",
            files={"d": "Doc\n"},
        ),
        "outside the API's pattern",
        ARN,
    ),
    OnPurpose(
        Row("document from a file with BOM", "START NODE --doc file://d", files={"d": "\ufeffDoc"}),
        "outside the API's pattern",
        ARN,
    ),
    OnPurpose(
        Row("document from an empty file", "START NODE --doc file://d", files={"d": ""}),
        "outside the API's pattern",
        ARN,
    ),
    OnPurpose(
        Row(
            "document of JSON with a newline",
            """START NODE --cli-input-json '{"DocumentName": "Doc\\n"}'""",
        ),
        "outside the API's pattern",
        ARN,
    ),
    OnPurpose(
        Row("empty document over JSON's", f"START --cli-input-json '{JSON}' --document-name ''"),
        "outside the API's pattern",
        ARN,
    ),
    OnPurpose(
        Row("glued space before =", "START NODE --document-name =X"),
        "outside the API's pattern",
        ARN,
    ),
    *(
        OnPurpose(
            Row(f"document {text}", f"START NODE --document-name {text}"),
            "no ARN can be placed for it",
            ARN,
        )
        for text in (
            "Doc:1",
            "Doc:$LATEST",
            "directory/Doc",
            "document/Doc",
            "arn:aws:ssm:us-east-1:123456789012:document/Doc:1",
            "arn:aws:ssm:us-east-1:123456789012:parameter/Doc",
            "arn:aws:s3:::bucket",
        )
    ),
    OnPurpose(
        Row("document of http", "START NODE --document-name http://127.0.0.1:9/x"),
        "a name, but of no document",
        ARN,
        v1=False,
    ),
    OnPurpose(
        Row("prompting", "START NODE --cli-auto-prompt"),
        "another line than the one typed would start",
        "--cli-auto-prompt is not supported",
        v1=False,
    ),
    OnPurpose(
        Row("unsigned", "START NODE --no-sign-request"),
        "no caller to check",
        "--no-sign-request is not supported",
    ),
    OnPurpose(
        Row("unsigned, abbreviated", "START NODE --no-s"),
        "no caller to check",
        "--no-sign-request is not supported",
    ),
    OnPurpose(
        Row("unsigned before ssm", "--no-sign-request START NODE"),
        "no caller to check",
        "--no-sign-request is not supported",
    ),
    *(
        OnPurpose(
            Row(
                f"unvalidated {name}",
                f"START {line}",
                files=config("[default]\nparameter_validation = false\n"),
            ),
            "what is not text cannot be simulated",
            says,
        )
        for name, line, says in (
            ("null document", """NODE --cli-input-json '{"DocumentName": null}'""", "Invalid type"),
            ("number as document", """NODE --cli-input-json '{"DocumentName": 1}'""", "Invalid"),
            ("list as document", """NODE --cli-input-json '{"DocumentName": ["D"]}'""", "Invalid"),
            ("map as document", """NODE --cli-input-json '{"DocumentName": {}}'""", "Invalid type"),
            ("empty target", "--target ''", "Invalid length"),
            ("missing target", "--cli-input-json '{}'", "Missing required parameter"),
            ("number as parameter", """NODE --parameters '{"a": [1]}'""", "Invalid type"),
        )
    ),
]
