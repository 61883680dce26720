"""Completion in the three shells, the helper behind it, and its cache."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pexpect
import pytest

from conftest import Machine, needs
from fakes.scripted_aws import Answer, hang, json_error, json_ok, send
from fakes.typist import Typist
from fakes.waiting import until
from plugins import ways

DIRECTORY = Path(__file__).parents[2] / "completions"
BIN = Path(sys.executable).parent
WEB, DB = "i-0123456789abcdef0", "i-0fedcba9876543210"
HYBRID = "mi-0123456789abcdef0"


def named(**names: str) -> Answer:
    """Return DescribeInstances' answer: the Name tags by instance id, `_` for `-`."""
    items = "".join(
        f"<item><instancesSet><item><instanceId>{node.replace('_', '-')}</instanceId><tagSet><item>"
        f"<key>Name</key><value>{name}</value></item></tagSet></item></instancesSet></item>"
        for node, name in names.items()
    )
    body = (
        '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<reservationSet>{items}</reservationSet></DescribeInstancesResponse>"
    )
    return lambda handler, _: send(handler, 200, body)


def nodes(*ids: str, **names: str) -> Answer:
    found = [{"InstanceId": node, "ComputerName": names.get(node, "")} for node in ids]
    return json_ok({"InstanceInformationList": found})


def documents(*names: str) -> Answer:
    found = [{"Name": name, "Owner": "Amazon"} for name in names]
    return json_ok({"DocumentIdentifiers": found})


@pytest.fixture
def desk(machine: Machine) -> Machine:
    """Return a machine with profiles, and an AWS with two nodes and two documents."""
    programs = [str(ways.forks.programs)] if ways.forked() else []
    machine.environ["PATH"] = os.pathsep.join([*programs, str(BIN), machine.environ["PATH"]])
    # Of the library's: the shells of these tests run programs that are not ours.
    del machine.environ["PYTHONWARNINGS"]
    (machine.home / ".aws").mkdir()
    (machine.home / ".aws" / "config").write_text(
        '[default]\nregion = us-east-1\n[profile "two words"]\nregion=eu-west-1\n'
        "aws_access_key_id = AKIATWO\naws_secret_access_key = s\n[profile three]\n"
        "[sso-session x]\n"
    )
    (machine.home / ".aws" / "credentials").write_text(
        "[it's $HOME]\naws_access_key_id = AKIAITS\naws_secret_access_key = s\n"
    )
    machine.aws.script("DescribeInstanceInformation", nodes(WEB, DB))
    machine.aws.script("DescribeInstances", named(i_0123456789abcdef0="web-1"))
    machine.aws.script("ListDocuments", documents("AWS-StartSSHSession", "Team-Shell"))
    return machine


def complete(desk: Machine, *words: str, **environ: str | None) -> list[str]:
    """Return what `ssmgate complete WORDS` offers. It prints nothing else in any case."""
    ended = desk.python("-P", "-m", "ssmgate", "complete", *words, **environ)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


# The files


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    import completions  # loads awscli

    return completions


def test_completion_files_are_generated_from_program(generator: ModuleType) -> None:
    """If this fails: make completions."""
    for name, text in generator.generated().items():
        assert (DIRECTORY / name).read_text() == text, name


def test_each_file_has_each_verb_and_option(generator: ModuleType) -> None:
    from ssmgate.commands.main import main

    options = {option.names[0] for option in generator.start_session().options}
    assert {"--target", "--document-name", "--region", "--cli-input-yaml"} <= options
    assert "--no-sign-request" not in options
    for name in generator.FILES.values():
        text = (DIRECTORY / name).read_text()
        shown = {option if name != "ssmgate.fish" else f"-l {option[2:]}" for option in options}
        verbs = {verb for verb, command in main.commands.items() if not command.hidden}
        assert {verb for verb in verbs if verb not in text} == set()
        assert {option for option in shown if option not in text} == set()


def test_verbs_that_take_start_session_arguments_offer_its_options(generator: ModuleType) -> None:
    commands = {command.name: command for command in generator.commands()}
    offered = {
        name: {option.names[0] for option in commands[name].options}
        for name in ("check", "documents", "policy", "daemon")
    }
    assert offered["check"] >= {"--explain", "--quiet", "--target", "--document-name", "--profile"}
    assert offered["documents"] >= {"--redact", "--target"}
    assert offered["policy"] >= {"--caller", "--scp", "--aws", "--target"}
    assert offered["daemon"] == {"--help", "--idle"}


# The helper


def test_completes_profiles_and_regions_of_configuration_files(desk: Machine) -> None:
    append(desk.home / ".aws" / "config", "[profile a\x1bb]\nregion = $(id)\n[profile 'x]\n[x")
    line = ("--", "ssmgate", "")
    assert complete(desk, "profiles", *line) == ["default", "it's $HOME", "three", "two words"]
    assert complete(desk, "regions", *line, AWS_REGION="ap-south-1") == [
        "ap-south-1",
        "eu-west-1",
        "us-east-1",
    ]
    elsewhere = desk.home / "elsewhere"
    elsewhere.write_text("[profile only]\n")
    assert complete(
        desk, "profiles", *line,
        AWS_CONFIG_FILE=str(elsewhere), AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    ) == ["only"]  # fmt: skip


def test_completes_targets_and_documents_with_typed_profile_and_region(desk: Machine) -> None:
    assert complete(desk, "targets", "--", "ssmgate", "--target", "") == [f"{DB}", f"{WEB}\tweb-1"]
    assert complete(desk, "documents", "--", "x", "--profile", "it's $HOME", "--doc", "") == [
        "AWS-StartSSHSession\tAmazon",
        "Team-Shell\tAmazon",
    ]
    complete(desk, "targets", "--quoted", "--", "x", "--profile=two\\ words", "", AWS_REGION=None)
    complete(desk, "targets", "--", "x", "--region=eu-north-1", "--region", "ap-south-1", "")
    # The value is still being typed: it has no effect yet.
    complete(desk, "targets", "--", "x", "--profile", "thr", AWS_PROFILE=None)

    asked = [(r.access_key, r.headers["Authorization"].split("/")[2]) for r in desk.aws.received
             if r.operation != "DescribeInstances"]  # fmt: skip
    assert asked == [
        ("AKIAEXAMPLE", "us-east-1"),
        ("AKIAITS", "us-east-1"),
        ("AKIATWO", "eu-west-1"),
        ("AKIAEXAMPLE", "ap-south-1"),
    ]
    online = desk.aws.calls("DescribeInstanceInformation")[0].parameters["Filters"]
    assert online == [{"Key": "PingStatus", "Values": ["Online"]}]
    only = desk.aws.calls("ListDocuments")[0].parameters["Filters"]
    assert only == [{"Key": "DocumentType", "Values": ["Session"]}]


def test_escapes_or_omits_hostile_names(desk: Machine) -> None:
    desk.aws.script("DescribeInstances", json_error("UnauthorizedOperation", "no", 403))
    desk.aws.script(
        "DescribeInstanceInformation",
        nodes(
            WEB, "$(id)", HYBRID, "i-1;id", "-x",
            **{WEB: "a\x1b]0;title\x07\nb\tc\u202ed" + "x" * 100, HYBRID: "hall"},
        ),
    )  # fmt: skip
    desk.aws.script("ListDocuments", documents("Team-Shell", "a b", "$(id)", "a\nb"))

    assert complete(desk, "targets", "--", "") == [
        f"{WEB}\ta\\x1b]0;title\\x07\\nb\\tc\\u202ed" + "x" * (60 - 17),
        f"{HYBRID}\thall",
    ]
    assert complete(desk, "documents", "--", "") == ["Team-Shell\tAmazon"]


def test_odd_entry_hides_no_others(desk: Machine) -> None:
    listed = [{}, None, {"InstanceId": None}, {"InstanceId": 5}, {"InstanceId": WEB}]
    desk.aws.script("DescribeInstanceInformation", json_ok({"InstanceInformationList": listed}))
    tag = "<item><key>Name</key><value>web</value></item>"
    instances = (
        "<item><instanceId>i-1</instanceId><tagSet><item><key>Name</key></item></tagSet></item>"
        "<item><instanceId>i-2</instanceId><tagSet><item><value>x</value></item></tagSet></item>"
        f"<item><tagSet>{tag}</tagSet></item>"
        f"<item><instanceId>{WEB}</instanceId><tagSet>{tag}</tagSet></item>"
    )
    body = (
        '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<reservationSet><item/><item><instancesSet>{instances}</instancesSet></item>"
        "</reservationSet></DescribeInstancesResponse>"
    )
    desk.aws.script("DescribeInstances", lambda handler, _: send(handler, 200, body))
    names = [None, {}, {"Name": 5}, {"Name": "Team-Shell", "Owner": 5}]
    desk.aws.script("ListDocuments", json_ok({"DocumentIdentifiers": names}))

    assert complete(desk, "targets", "--", "") == [f"{WEB}\tweb"]
    assert complete(desk, "documents", "--", "") == ["Team-Shell\t5"]


@pytest.mark.parametrize(
    "answer",
    [
        json_error("AccessDeniedException", "not authorized"),
        hang(20),
        json_ok({"InstanceInformationList": None}),
        lambda handler, _: send(handler, 200, "<html>"),
    ],
    ids=["denied", "late", "odd", "garbage"],
)
def test_failing_call_completes_nothing_and_is_not_repeated(desk: Machine, answer: Answer) -> None:
    desk.aws.script("DescribeInstanceInformation", answer)
    assert complete(desk, "targets", "--", "") == []
    # And the next key does not wait for it again.
    assert complete(desk, "targets", "--", "") == []
    assert len(desk.aws.received) == 1


@pytest.mark.parametrize(
    "environ",
    [
        {"AWS_ACCESS_KEY_ID": None},
        {"AWS_REGION": None, "AWS_CONFIG_FILE": os.devnull},
        {"AWS_PROFILE": "missing", "AWS_ACCESS_KEY_ID": None},
        {"AWS_ENDPOINT_URL": "no-url"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        {"AWS_CONFIG_FILE": "/dev/zero"},
        {"HOME": "/nonexistent"},
        {"HOME": None},
    ],
    ids=repr,
)
def test_completes_without_message_on_broken_machine(
    desk: Machine, environ: dict[str, str | None]
) -> None:
    for kind in ("profiles", "regions", "targets", "documents"):
        assert isinstance(complete(desk, kind, "--", "", **environ), list)


@pytest.mark.parametrize("words", [[], ["passwords", "--"], ["targets"], ["--", "x"]])
def test_other_arguments_exit_with_252(desk: Machine, words: list[str]) -> None:
    ended = subprocess.run(
        [BIN / "ssmgate", "complete", *words],
        env=desk.variables(),
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (252, b"", b"")


def test_prompts_for_nothing_and_leaves_no_process(desk: Machine) -> None:
    """A profile with MFA, and a credential process that would prompt and does not end."""
    left = desk.home / "left"
    process = desk.home / "process"
    process.write_text(
        f"#!/bin/sh\nif (: </dev/tty) 2>/dev/null; then echo CODE >/dev/tty; fi\n"
        f"echo $$ >{left}\nexec sleep 600\n"
    )
    process.chmod(0o755)
    (desk.home / ".aws" / "config").write_text(
        "[profile mfa]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = it's $HOME\n"
        f"mfa_serial = arn:aws:iam::111122223333:mfa/x\n[profile asks]\n"
        f"credential_process = {process}\n"
    )
    for profile in ("mfa", "asks"):
        child = pexpect.spawn(
            str(BIN / "ssmgate"),
            ["complete", "targets", "--", "x", "--profile", profile, ""],
            env=desk.variables(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None),
            encoding="utf-8",
            timeout=60,
        )
        child.expect(pexpect.EOF)
        assert child.before == ""
        child.close()
        assert child.exitstatus == 0
    # Init reaps it in its own time.
    until(lambda: state_of(int(left.read_text())) in ("", "Z"))


def state_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_completion_loads_no_large_modules(desk: Machine) -> None:
    complete(desk, "targets", "--", "")
    code = (
        "import sys; from ssmgate.commands.completion import complete\n"
        "print(complete(['targets', '--', '']), complete(['profiles', '--', '']))\n"
        "print({'click', 'awscli', 'botocore', 'subprocess', 'asyncio'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=desk.variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "set()"
    assert f"{WEB}\\tweb-1" in ended.stdout


# The cache


def cached(desk: Machine) -> Path:
    (file,) = (desk.home / ".cache" / "ssmgate").iterdir()
    return file


def poison(file: Path) -> None:
    entry = json.loads(file.read_text())
    entry["found"] = [["i-0000000000000bad0", "planted"]]
    file.write_text(json.dumps(entry))


def asked(desk: Machine) -> int:
    return len(desk.aws.calls("DescribeInstanceInformation"))


def test_second_completion_uses_cache(desk: Machine) -> None:
    first = complete(desk, "targets", "--", "")
    assert complete(desk, "targets", "--", "") == first
    assert asked(desk) == 1
    file = cached(desk)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert file.parent.parent.stat().st_mode & 0o777 == 0o700
    poison(file)
    # This proves that the attacks below would be noticed: the file is read.
    assert complete(desk, "targets", "--", "") == ["i-0000000000000bad0\tplanted"]


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_ACCESS_KEY_ID": "AKIAOTHER"},
        {"AWS_SECRET_ACCESS_KEY": "other"},
        {"AWS_SESSION_TOKEN": "other"},
        {"AWS_REGION": "eu-west-1"},
        {"AWS_PROFILE": "three"},
        {"AWS_CONFIG_FILE": os.devnull},
    ],
    ids=repr,
)
def test_cache_misses_for_other_caller_or_region(
    desk: Machine, change: dict[str, str | None]
) -> None:
    complete(desk, "targets", "--", "")
    complete(desk, "targets", "--", "", **change)
    assert asked(desk) == 2


def test_cache_misses_with_other_options_or_changed_files(desk: Machine) -> None:
    complete(desk, "targets", "--", "")
    complete(desk, "targets", "--", "--region", "eu-west-1", "")
    complete(desk, "targets", "--", "--profile", "it's $HOME", "")
    append(desk.home / ".aws" / "credentials", "# changed\n")
    complete(desk, "targets", "--", "")
    assert asked(desk) == 4


def _old(file: Path) -> None:
    os.utime(file, (time.time() - 70, time.time() - 70))


def _future(file: Path) -> None:
    os.utime(file, (time.time() + 3600, time.time() + 3600))


def _link(file: Path) -> None:
    moved = file.parent.parent / "moved"
    file.rename(moved)
    file.symlink_to(moved)


def _linked_directory(file: Path) -> None:
    file.parent.rename(file.parent.parent / "moved")
    file.parent.symlink_to(file.parent.parent / "moved")


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    "spoil",
    [
        _old, _future, _link, _linked_directory, _pipe,
        lambda file: file.chmod(0o620),
        lambda file: file.chmod(0o602),
        lambda file: file.parent.chmod(0o720),
        lambda file: file.parent.chmod(0o777),
        pytest.param(lambda file: os.chown(file, 65534, 65534), marks=pytest.mark.skipif(
            os.getuid() != 0, reason="only root can give files away")),
        pytest.param(lambda file: os.chown(file.parent, 65534, 65534), marks=pytest.mark.skipif(
            os.getuid() != 0, reason="only root can give files away")),
    ],
    ids=["old", "future", "link", "linked", "pipe", "group", "others", "directory of group",
         "directory of others", "another's", "another's directory"],
)  # fmt: skip
def test_ignores_cache_that_is_expired_or_insecure(desk: Machine, spoil: object) -> None:
    assert callable(spoil)
    first = complete(desk, "targets", "--", "")
    file = cached(desk)
    poison(file)
    spoil(file)
    assert complete(desk, "targets", "--", "") == first
    assert asked(desk) == 2


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"at": 1}', '{"at": 1, "found": [1]}', "\x00",
     '{"at": 1, "found": [["i-0123456789abcdef0", 7]]}'],
)  # fmt: skip
def test_ignores_broken_cache_file_without_message(desk: Machine, text: str) -> None:
    complete(desk, "targets", "--", "")
    cached(desk).write_text(text)
    assert complete(desk, "targets", "--", "") in ([], [f"{DB}", f"{WEB}\tweb-1"])


# The shells


AWS_BEFORE = {
    # As AWS documents it.
    "bash": f"complete -C '{BIN}/aws_completer' aws",
    "zsh": "autoload -Uz bashcompinit; bashcompinit; "
    f"complete -C '{BIN}/aws_completer' aws",
    "fish": "complete --command aws --no-files --arguments '(begin; set --local --export"
    " COMP_SHELL fish; set --local --export COMP_LINE (commandline);"
    f" {BIN}/aws_completer | sed \\'s/ $//\\'; end)'",
}  # fmt: skip
# TODO init
ZSH_TAKES = "__ssmgate_aws_before=$_comps[aws]; compdef _ssmgate aws"
LOADED = {
    "bash": [f"source {DIRECTORY}/ssmgate.bash", "__ssmgate_take_aws"],
    "zsh": [f"fpath=({DIRECTORY} $fpath); autoload -Uz compinit; compinit -u -D", ZSH_TAKES],
}

# line -> what it becomes at TAB, or what is shown if there are several candidates
LINES = [
    ("ssmgate start", "ssmgate start-session "),
    ("ssmgate ", {"start-session", "ssh-config", "sandbox"}),
    ("ssmgate ssh-config --us", "ssmgate ssh-config --user"),
    ("ssmgate ssh-config --profile thr", "ssmgate ssh-config --profile three "),
    ("ssmgate start-session --docu", "ssmgate start-session --document-name"),
    ("ssmgate start-session --document-name T",
     "ssmgate start-session --document-name Team-Shell "),
    ("ssmgate start-session --document-name=T",
     "ssmgate start-session --document-name=Team-Shell "),
    ("ssmgate start-session --target i-0", {WEB, DB}),
    ("ssm-start-session --target i-01", f"ssm-start-session --target {WEB} "),
    ("ssm-start-session --target=i-01", f"ssm-start-session --target={WEB} "),
    ("ssm-start-session --profile tw", "ssm-start-session --profile two\\ words "),
    ("ssm-start-session --profile 'tw", "ssm-start-session --profile 'two words' "),
    ("ssm-start-session --profile it", "ssm-start-session --profile it\\'s\\ \\$HOME "),
    ("ssm-start-session --region eu", "ssm-start-session --region eu-west-1 "),
    ("ssm-start-session --output ya", "ssm-start-session --output yaml"),
    ("ssm-start-session --reason x", "ssm-start-session --reason x"),
    ("ssm-start-session he", "ssm-start-session help "),
    ("ssmgate sandbox --session-document-model 2023",
     "ssmgate sandbox --session-document-model 2023 "),
    ("ssmgate sandbox --seed see", "ssmgate sandbox --seed seed.toml "),
    ("ssmgate sandbox -- session-man", "ssmgate sandbox -- session-manager-plugin "),
    ("aws ssm start-session --docu", "aws ssm start-session --document-name"),
    ("aws ssm start-session --target i-01", f"aws ssm start-session --target {WEB} "),
    ("aws --region eu-west-1 ssm --debug start-session --target i-0f",
     f"aws --region eu-west-1 ssm --debug start-session --target {DB} "),
    ("aws --region=eu-west-1 ssm start-session --document-name T",
     "aws --region=eu-west-1 ssm start-session --document-name Team-Shell "),
    # Completed by aws_completer.
    ("aws ssm start-ses", "aws ssm start-session "),
    ("aws kinesisv", "aws kinesisvideo"),
    ("aws ssm list-document-m", "aws ssm list-document-metadata-history "),
    ("aws s3 start-session --docu", "aws s3 start-session --docu"),
    ("aws ec2 describe-instances --no-dry", "aws ec2 describe-instances --no-dry-run "),
]  # fmt: skip


@pytest.fixture
def directory(desk: Machine) -> Path:
    (desk.home / "seed.toml").touch()
    return desk.home


@pytest.mark.parametrize("shell", [pytest.param(s, marks=needs(s)) for s in ("bash", "zsh")])
def test_shell_completes_typed_lines(shell: str, desk: Machine, directory: Path) -> None:
    with Typist(shell, desk.variables(), directory) as typist:
        load, take = LOADED[shell]
        typist.run(load)
        typist.run(AWS_BEFORE[shell])
        typist.run(take)
        for line, wanted in LINES:
            # More than once to see several candidates.
            typed = typist.complete(line, "\t" if isinstance(wanted, str) else "\t" * 3)
            if isinstance(wanted, str):
                # zsh puts the = that may follow an option, and takes it away again for a blank.
                assert typed.line.rstrip("= ") == wanted.rstrip("= "), line
                assert typed.line.endswith(" ") or not wanted.endswith(" "), line
            else:
                assert all(word in typed.shown for word in wanted), (line, typed)
            assert "rror" not in typed.shown, typed


@needs("fish")
def test_fish_completes_typed_lines(desk: Machine, directory: Path) -> None:
    script = f"{AWS_BEFORE['fish']}\nsource {DIRECTORY}/ssmgate.fish\n__ssmgate_take_aws\n"
    script += 'for line in $argv\n    complete -C "$line"\n    echo ==\nend\n'
    ended = subprocess.run(
        ["fish", "--no-config", "-c", script, *(line for line, _ in LINES)],
        env=desk.variables(),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert ended.stderr == ""
    offered = [part.splitlines() for part in ended.stdout.split("==\n")]
    for (line, wanted), found in zip(LINES, offered, strict=False):
        words = {row.partition("\t")[0] for row in found}
        if line == wanted:
            assert words == set(), line
        elif isinstance(wanted, str):
            assert shlex.split(wanted)[-1] in words, (line, found)
        else:
            assert wanted <= words, (line, found)
    assert f"{WEB}\tweb-1" in offered[7]


BASHES_OWN = {
    "function": "_old() { COMPREPLY=(by-function:$2); }; complete -o nospace -F _old aws",
    "words": "complete -W 'by-words' aws",
    "loaded": "_old() { COMPREPLY=(by-loaded); }\n"
    "_completion_loader() { [[ $1 == aws ]] && complete -F _old aws; }",
    "nothing": ":",
}


@needs("bash")
@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("function", "aws x by-function:by"),
        ("words", "aws x by-words "),
        ("loaded", "aws x by-loaded "),
        ("nothing", "aws x by-file "),
    ],
)
def test_bash_calls_previous_completion_of_aws(
    before: str, wanted: str, desk: Machine, directory: Path
) -> None:
    (directory / "by-file").touch()
    with Typist("bash", desk.variables(), directory) as typist:
        typist.run(BASHES_OWN[before])
        for command in LOADED["bash"] * 2:
            typist.run(command)
        for _ in range(2):
            assert typist.complete("aws x by").line == wanted
        ours = typist.complete("aws ssm start-session --target i-01").line
        assert (
            ours == f"aws ssm start-session --target {'i-01' if before == 'words' else WEB + ' '}"
        )


def test_completes_with_set_u(desk: Machine, directory: Path) -> None:
    """Some users have `set -u` in interactive shells."""
    with Typist("bash", desk.variables(), directory) as typist:
        for command in ["set -u", *LOADED["bash"]]:
            typist.run(command)
        for line in ("ssmgate start-session --target i-01", "aws ssm start-session --target i-01"):
            typed = typist.complete(line)
            assert typed.line.endswith(f"{WEB} ")
            assert "unbound" not in typed.shown
