"""Completion of commands and options in bash, zsh and fish, made of the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

SHELLS = ("bash", "zsh", "fish")

BASH = """\
_hozon() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="{commands}"; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _hozon hozon
"""
ZSH = """\
#compdef hozon
_hozon() {{
  if (( CURRENT == 2 )); then
    local -a commands=({commands})
    _describe command commands
    return
  fi
  case "$words[2]" in
{cases}
  esac
  _files
}}
compdef _hozon hozon
"""


def completion(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script that a shell sources to complete the commands of a parser."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](_commands(parser))


Commands = Mapping[str, tuple[str, list[str]]]


def _commands(parser: argparse.ArgumentParser) -> Commands:
    """For each command what it does, and its options."""
    found: dict[str, tuple[str, list[str]]] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse shows its parts in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                found[name] = (told.get(name, ""), list(_options(command)))
    return found


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in command._actions:  # noqa: SLF001
        yield from (option for option in action.option_strings if option.startswith("--"))


def _bash(commands: Commands) -> str:
    cases = "\n".join(
        f'    {name}) words="{" ".join(options)}" ;;' for name, (_, options) in commands.items()
    )
    return BASH.format(cases=cases, commands=" ".join(commands))


def _zsh(commands: Commands) -> str:
    cases = "\n".join(
        f"    {name}) compadd -- {' '.join(options)} ;;" for name, (_, options) in commands.items()
    )
    named = " ".join(f"'{name}:{_plain(told)}'" for name, (told, _) in commands.items())
    return ZSH.format(cases=cases, commands=named)


def _fish(commands: Commands) -> str:
    lines = []
    for name, (told, options) in commands.items():
        lines.append(f"complete -c hozon -n __fish_use_subcommand -a {name} -d '{_plain(told)}'")
        lines += [
            f"complete -c hozon -n '__fish_seen_subcommand_from {name}' -l {option[2:]}"
            for option in options
        ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Without what a quoted text of a shell cannot hold."""
    return text.replace("'", "").replace(":", " ")
