"""`ssmgate init`: print shell code that makes `aws ssm start-session` run ssmgate."""

from __future__ import annotations

import os
import re

import click

from ssmgate.commands.common import Problem, Verb, data_directory, installed
from ssmgate.commands.printer import echo, echo_exactly
from ssmgate.commands.ssh_config import for_shell
from ssmgate.doctor import shim
from ssmgate.gate import exits
from ssmgate.gate.config.load import load
from ssmgate.gate.decision.printable import is_printable

_SHELLS = ("bash", "zsh", "fish")

# @…@ are replaced by quoted words. The code must be idempotent, print nothing, and work under
# `set -eu`.
_PATH = """\
case ":${PATH-}" in
    :@SHIMS@:*) ;;
    *)
        __ssmgate_path=":${PATH-}:"
        while
            case $__ssmgate_path in
                *:@SHIMS@:*) true ;;
                *) false ;;
            esac
        do
            __ssmgate_path=${__ssmgate_path%%:@SHIMS@:*}:${__ssmgate_path#*:@SHIMS@:}
        done
        __ssmgate_path=${__ssmgate_path#:}
        __ssmgate_path=${__ssmgate_path%:}
        export PATH=@SHIMS@"${__ssmgate_path:+:$__ssmgate_path}"
        unset __ssmgate_path
        ;;
esac
"""
_FUNCTION = """\
function aws { @SHIMS@/aws "$@"; }
export @MARK@=$$
"""
_BASH = """\
__ssmgate_program=@PROGRAM@
case $- in
    *i*)
        if type complete >/dev/null 2>&1; then
            . @COMPLETIONS@/ssmgate.bash
            __ssmgate_take_aws
        fi
        ;;
esac
"""
_ZSH = """\
__ssmgate_program=@PROGRAM@
if [[ -o interactive ]]; then
    autoload -Uz @COMPLETIONS@/_ssmgate add-zsh-hook
    __ssmgate_take_aws() {
        (( ${+functions[compdef]} )) || return 0
        compdef _ssmgate ssmgate ssm-start-session
        [[ ${_comps[aws]-} == _ssmgate ]] && return 0
        typeset -g __ssmgate_aws_before=${_comps[aws]-}
        compdef _ssmgate aws
    }
    __ssmgate_first_prompt() {
        add-zsh-hook -d precmd __ssmgate_first_prompt
        __ssmgate_take_aws
    }
    __ssmgate_take_aws
    # What is set up further down the same file counts too.
    add-zsh-hook precmd __ssmgate_first_prompt
fi
"""
_FISH_PATH = """\
if test "$PATH[1]" != @SHIMS@
    while set -l __ssmgate_at (contains -i -- @SHIMS@ $PATH)
        set -e PATH[$__ssmgate_at]
    end
    set -gx PATH @SHIMS@ $PATH
end
"""
_FISH_FUNCTION = """\
function aws
    @SHIMS@/aws $argv
end
set -gx @MARK@ $fish_pid
"""
_FISH = """\
set -g __ssmgate_program @PROGRAM@
if status is-interactive
    source @COMPLETIONS@/ssmgate.fish
    __ssmgate_take_aws
end
"""


@click.command("init", cls=Verb, short_help="Print shell code that makes aws run ssmgate.")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.option("--function", is_flag=True, help="Define a shell function instead of changing PATH.")
@click.option("--check", is_flag=True, help="Check whether this shell runs ssmgate as aws.")
@click.pass_context
def init(ctx: click.Context, shell: str, function: bool, check: bool) -> None:
    """Print shell code that makes `aws ssm start-session` run ssmgate, and sets up completion.

    \b
      eval "$(ssmgate init bash)"      the last line of ~/.bashrc
      eval "$(ssmgate init zsh)"       the last line of ~/.zshrc
      ssmgate init fish | source       the last line of ~/.config/fish/config.fish

    The code puts ssmgate's `aws` first on PATH, so that programs started from the shell use it too.
    It checks `aws ssm start-session` and passes every other command to the real AWS CLI. With
    --function only this shell uses it. The code prints nothing, writes no file, and can be
    evaluated more than once and in shells that are not interactive. It can also be stored in a
    file, which the shell sources without starting ssmgate: see docs/how-to/shell.md.

    --check prints which `aws` runs. Exit status: 0 if it is ssmgate's, 3 if not.
    """
    shims = data_directory("shims", "bin")
    if check:
        ctx.exit(_check(shell, shims))
    echo_exactly(_shell_code(shell, function, shims))


def _shell_code(shell: str, function: bool, shims: str) -> str:
    if shell == "fish":
        text = (_FISH_FUNCTION if function else _FISH_PATH) + _FISH
    else:
        text = (_FUNCTION if function else _PATH) + (_BASH if shell == "bash" else _ZSH)
    if ":" in shims and not function:
        raise Problem(
            f"{shims!r} cannot be added to PATH, as it contains a colon",
            "use --function, or another directory",
        )
    words = {
        "SHIMS": shims,
        "PROGRAM": installed("ssmgate"),
        "COMPLETIONS": data_directory("completions", "completions"),
    }
    for path in words.values():
        if not is_printable(path):
            raise Problem(f"{path!r} cannot be printed", "install ssmgate into another directory")
    quoted = {name: for_shell(path) for name, path in words.items()} | {"MARK": shim.MARK}
    return re.sub(r"@([A-Z]+)@", lambda match: quoted[match[1]], text)


def _check(shell: str, shims: str) -> int:
    """Print whether `aws` runs ssmgate in the calling shell. Returns the exit status.

    Aliases and other functions of the shell are not visible to a program.
    """
    configured = load(os.environ).aws_path
    try:
        found = shim.find_shim(os.environ, shims, configured)
    except OSError:
        raise Problem(f"there is no {os.path.join(shims, 'aws')}", "reinstall ssmgate") from None
    if not found.in_force:
        echo(f"not active: aws is {found.first or 'not on PATH'}")
        for line in shim.warn_of_v1(found, found.first, "'aws' runs it"):
            echo(line)
        evaluate = f'eval "$(ssmgate init {shell})"'
        if shell == "fish":
            evaluate = "ssmgate init fish | source"
        echo(f"to change that: {evaluate}")
        return exits.DENIED
    if found.function:
        echo(f"active: aws is a function of this shell, which runs {found.ours}")
    else:
        echo(f"active: aws is {found.first}")
    echo(f"the real aws: {found.real or 'there is none on PATH'}")
    for line in shim.warn_of_v1(found, found.real, "commands that start no session run it"):
        echo(line)
    echo("an alias or another function named aws would come first: 'type aws' shows it")
    return exits.OK
