"""Generate the man pages in docs/reference/man from the program: `make reference`.

They have the texts of docs/reference: the help of the verbs, and the tables of keys, exit statuses,
files and environment variables.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import config_keys
import reference
import reference_tables as tables
from ssmgate.commands.main import main as program
from ssmgate.gate.config.schema import KEYS

PAGES = Path(__file__).parents[1] / "docs" / "reference" / "man"
DATE = "2026-11-30"
"""The date of the last change of what the pages say; a page has to have one."""

NAMES = {
    "ssmgate.1": "check access to session documents, and start Session Manager sessions",
    "ssm-start-session.1": "start a session if IAM allows its document",
    "ssmgate-config.5": "configuration of ssmgate",
}

ABOUT = (
    "asks IAM policy simulation whether the caller has explicit access, ssm:StartSession, to the"
    " session document, the default one if none is named. Only an explicit allow starts a session."
    " It is not a security boundary for a caller who can call the AWS API directly: only IAM is."
)


def text(words: str) -> str:
    """Return `words` as roff text on one line: special characters are escaped."""
    words = words.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("`", "")
    return f"\\&{words}" if words[:1] in (".", "'") else words


def filled(words: str) -> Iterator[str]:
    """Return the lines of a paragraph of roff text, at most 80 characters long."""
    return map(text, textwrap.wrap(words, 66, break_long_words=False, break_on_hyphens=False))


def ssmgate() -> Iterator[str]:
    """Return the lines of ssmgate(1)."""
    yield from _head("ssmgate.1")
    yield from _section("SYNOPSIS", "\\fBssmgate\\fR \\fIVERB\\fR [\\fIARGUMENTS\\fR]")
    yield ".SH DESCRIPTION"
    yield from filled(f"ssmgate {ABOUT}")
    yield ".SH VERBS"
    for words in reference.verbs():
        if words in (("start-session",), ("login",)):
            command = program.commands[words[0]]
            yield from _item(" ".join(words), command.get_short_help_str(200))
    for words in reference.verbs():
        if words not in (("start-session",), ("login",)):
            yield f".SS {text(' '.join(words))}"
            yield from _example(reference.help_of(*words))
    yield ".SH EXIT STATUS"
    yield "The verb start\\-session: see"
    yield ".BR ssm\\-start\\-session (1)."
    yield "All others:"
    yield from _items(tables.EXITS_OF_OTHERS)
    yield from _shared()
    yield from _see_also("ssm-start-session(1)", "ssmgate-config(5)", "aws(1)", "ssh_config(5)")


def ssm_start_session() -> Iterator[str]:
    """Return the lines of ssm-start-session(1)."""
    yield from _head("ssm-start-session.1")
    synopsis = "\\fBssm\\-start\\-session\\fR \\-\\-target \\fINODE\\fR [\\fIOPTIONS\\fR]"
    yield from _section("SYNOPSIS", synopsis)
    yield ".SH DESCRIPTION"
    yield from filled(f"ssm-start-session {ABOUT}")
    yield ".PP"
    yield from filled(
        "It takes the arguments of 'aws ssm start-session' and reads them with the AWS CLI's own"
        " parser. 'ssm-start-session help' prints the manual page of the AWS CLI. It rejects"
        " --no-sign-request, --cli-auto-prompt, and document names that are not a valid name or"
        " complete ARN."
    )
    yield ".SH OPTIONS"
    yield from _items((", ".join(o.names), o.help) for o in reference.start_options())
    yield ".SH EXIT STATUS"
    yield from _items(tables.EXITS_OF_SESSIONS)
    yield from _shared()
    yield ".SH EXAMPLES"
    yield from _example(
        "ssm-start-session --target i-0123456789abcdef0\n"
        "ssm-start-session --target i-0123456789abcdef0 --document-name Dev-Shell\n"
    )
    yield ".PP"
    yield "In ssh_config:"
    yield ".PP"
    yield from _example(
        "Host i-* mi-*\n"
        "    ProxyCommand ssm-start-session --target '%h' \\\n"
        "        --document-name AWS-StartSSHSession --parameters portNumber=%p\n"
    )
    yield from _see_also("ssmgate(1)", "ssmgate-config(5)")


def ssmgate_config() -> Iterator[str]:
    """Return the lines of ssmgate-config(5)."""
    yield from _head("ssmgate-config.5")
    yield ".SH SYNOPSIS"
    yield ".I /etc/ssmgate/config.toml"
    yield ".br"
    yield ".I \\(ti/.config/ssmgate/config.toml"
    yield ".SH DESCRIPTION"
    for number, paragraph in enumerate(reference.CONFIGURATION.strip().split("\n\n")):
        if number:
            yield ".PP"
        yield from filled(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph))
    yield ".SH KEYS"
    for key in KEYS.values():
        words = config_keys.KEYS[key.name]
        yield ".TP"
        yield f".B {text(key.name)}"
        yield from filled(words.effect)
        yield ".br"
        yield from filled(f"Type: {words.type}. Default: {reference.default_of(key)}.")
        yield ".br"
        variable = f"Environment variable: {key.variable}. " if key.variable else ""
        yield from filled(f"{variable}If locked: {words.locked}.")
    yield ".SH FILES"
    yield from _items(tables.FILES[:2])
    yield from _see_also("ssmgate(1)", "ssm-start-session(1)")


def _head(file: str) -> Iterator[str]:
    name, _, section = file.rpartition(".")
    yield '.\\" Generated by `make reference`.'
    yield f".TH {text(name.upper())} {section} {DATE} ssmgate"
    yield from _section("NAME", f"{text(name)} \\- {text(NAMES[file])}")


def _section(title: str, line: str) -> Iterator[str]:
    yield f".SH {title}"
    yield line


def _item(name: str, words: str) -> Iterator[str]:
    yield ".TP"
    yield f".B {text(name)}"
    yield from filled(words)


def _items(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, words in rows:
        yield from _item(name, words)


def _example(lines: str) -> Iterator[str]:
    yield ".nf"
    yield from map(text, lines.rstrip().splitlines())
    yield ".fi"


def _shared() -> Iterator[str]:
    yield ".SH ENVIRONMENT"
    yield from _items(tables.ENVIRONMENT)
    yield ".SH FILES"
    yield from _items(tables.FILES)


def _see_also(*pages: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    for number, page in enumerate(pages, 1):
        name, _, section = page.partition("(")
        comma = "," if number < len(pages) else ""
        yield f".BR {text(name)} ({section}{comma}"


def generated() -> dict[str, str]:
    """Return the text of each man page by its name."""
    pages = {
        "ssmgate.1": ssmgate(),
        "ssm-start-session.1": ssm_start_session(),
        "ssmgate-config.5": ssmgate_config(),
    }
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in pages.items()}


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for name, page in generated().items():
        (PAGES / name).write_text(page)
