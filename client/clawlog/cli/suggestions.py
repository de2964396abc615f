"""What a person may have meant: commands for words that are none, and completions in bash that bear titles.

Zsh and fish show beside a completion what it is; bash has no place for that, so there it stands in the list itself, and only in
the list: what is put on the command line is the id alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

_OTHER_WORDS = {
    "ls": "tasks",
    "list": "tasks",
    "ps": "tasks",
    "kill": "stop",
    "cancel": "stop",
    "ack": "acknowledge",
    "start": "up",
    "serve": "up",
    "log": "show",
    "logs": "show",
    "follow": "watch",
    "tail": "watch",
    "exec": "run",
    "check": "doctor",
    "health": "status",
}
"""Words of other programs, and what they are called here."""
_MOST = 2


def meant(word: str, names: Iterable[str]) -> list[str]:
    """Returns the names that a mistyped one may stand for, the likeliest first."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for it

    names = list(names)
    near = [each for each in (_OTHER_WORDS.get(word), *get_close_matches(word, names, n=_MOST)) if each in names]
    return list(dict.fromkeys(near or [each for each in names if each.startswith(word)]))[:_MOST]


class Group(click.Group):
    """A group that says which command may have been meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that was named.

        Raises:
            UsageError: There is none; the text names those that are nearest.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and (near := meant(name, self.list_commands(ctx))):
            ctx.fail(f"No such command {name!r}. Did you mean {' or '.join(near)}?")
        return super().resolve_command(ctx, args)


class TitledBash(BashComplete):
    """Completion in bash with what each candidate is, where there are several."""

    source_template: ClassVar[str] = r"""
%(complete_func)s() {
    local type value help lines=() line
    while IFS= read -r line; do
        type=${line%%%%,*} value=${line#*,} help=""
        if [[ $value == *$'\t'* ]]; then
            help=${value#*$'\t'} value=${value%%%%$'\t'*}
        fi
        case $type in
            dir) compopt -o dirnames; return 0 ;;
            file) compopt -o default; return 0 ;;
            plain) lines+=("$value${help:+  ($help)}") ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1")
    if (( ${#lines[@]} == 1 )) || [[ $COMP_TYPE == 37 || $COMP_TYPE == 42 ]]; then
        COMPREPLY=("${lines[@]%%%%  (*}")
    else
        COMPREPLY=("${lines[@]}")
    fi
    return 0
}

%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}

%(complete_func)s_setup;
"""

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Returns a line of the answer to the shell: kind, value, and after a tab what it is."""
        return f"{item.type},{item.value}\t{item.help}" if item.help else f"{item.type},{item.value}"


def complete_in_bash() -> None:
    """Makes bash's completion ours."""
    add_completion_class(TitledBash)
