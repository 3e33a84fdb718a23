"""Runs ``network-health completion``: generates a shell's completion script from the parser.

The scripts run ``network-health completion interfaces`` and ``completion directives`` for the names on this
host, one a line. Guarantees: other users choose such names, so one that a shell would have to quote is left
out: nothing in a name is expanded or run.
"""

from __future__ import annotations

import argparse
import shlex
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from network_health.cli.flags import unknown_arguments
from network_health.cli.parser import Parser, arguments, examples
from network_health.swarm import Workspace

Commands = dict[str, Parser]
#: What bash completes for the name of a value: files or folders.
_FILES = {"FILE": "files=-f", "WORKSPACE": "files=-d"}
#: The options that take a name on this host, and the kind of name.
_NAMES = {"--exclude-interfaces": "interfaces", "--interface": "interfaces", "--directive": "directives"}
_LISTS = ("--exclude-interfaces",)

_BASH = """\
# Completion of network-health, for bash and (through bashcompinit) zsh.
if [ -n "${{ZSH_VERSION-}}" ]; then autoload -U +X bashcompinit && bashcompinit; fi
_network_health() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local command="${{COMP_WORDS[1]-}}" choices="" files="" names="" listed="" reply
    if [ "$COMP_CWORD" -eq 1 ]; then
        choices="{commands} --help"
    else
        case "$command $before" in
{values}
        *)
            case "$command" in
{options}
            esac
            case "$word" in -*) files="" ;; esac ;;
        esac
    fi
    COMPREPLY=()
    while IFS= read -r reply; do COMPREPLY+=("$reply"); done < <(
        compgen -W "$choices" -- "$word"
        if [ -n "$files" ]; then compgen $files -- "$word"; fi
    )
    if [ -n "$names" ]; then
        while IFS= read -r reply; do
            case "$listed$reply" in "$word"*) COMPREPLY+=("$listed$reply") ;; esac
        done < <(network-health completion "$names" "${{COMP_WORDS[2]-}}" 2>/dev/null)
    fi
}}
complete -o filenames -F _network_health network-health
"""


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``completion``."""
    parser = subparsers.add_parser(
        "completion",
        help="print a completion script for bash, zsh or fish",
        usage="network-health completion bash|zsh|fish",
        description="Prints a script that lets a shell complete commands, options and values.",
        epilog=examples(
            "source <(network-health completion bash)      # in ~/.bashrc",
            "source <(network-health completion zsh)       # in ~/.zshrc, after compinit",
            "network-health completion fish > ~/.config/fish/completions/network-health.fish",
        ),
    )
    words = ("bash", "zsh", "fish", *_NAMES.values())
    parser.add_argument("shell", choices=words, metavar="bash|zsh|fish", help="the shell")
    parser.set_defaults(run=partial(_run, subparsers), unknown=[])


def _run(subparsers: argparse._SubParsersAction[Parser], options: argparse.Namespace) -> int:
    if options.shell in _NAMES.values():
        print("".join(f"{name}\n" for name in _names(options.shell, options.unknown)), end="")
        return 0
    if options.unknown:
        options.parser.error("; ".join(unknown_arguments(options.unknown, options.parser)))
    summaries = {str(action.dest): action.help or "" for action in subparsers._choices_actions}
    commands = dict(subparsers.choices)
    script = fish_script(commands, summaries) if options.shell == "fish" else bash_script(commands)
    print(script, end="")
    return 0


def _names(kind: str, words: Sequence[str]) -> list[str]:
    """The names of that kind; the first of ``words`` is the workspace of the directives, if it is one."""
    if kind == "interfaces":
        names = [name for _, name in socket.if_nameindex()]
    else:
        folder = next((Path(word) for word in words[:1] if word and not word.startswith("-")), None)
        names = (Workspace.at(folder) if folder else Workspace.default()).directive_names()
    return [name for name in names if shlex.quote(name) == name]


def bash_script(commands: Commands) -> str:
    """The script for bash, and for zsh, which emulates the completion of bash."""
    return _BASH.format(
        commands=" ".join(commands),
        values="\n".join(line for name in commands for line in _bash_values(name, commands[name])),
        options="\n".join(_bash_options(name, commands[name]) for name in commands),
    )


def _bash_values(name: str, parser: Parser) -> Iterator[str]:
    for _, action in arguments(parser):
        if action.nargs != 0 and action.option_strings:
            patterns = " | ".join(f'"{name} {option}"' for option in action.option_strings)
            yield f"        {patterns}) {_bash_value(action)} ;;"


def _bash_value(action: argparse.Action) -> str:
    """The shell's variables for what completes the value of an option."""
    option = action.option_strings[0]
    if option in _NAMES:
        listed = ' listed="${word%"${word##*,}"}"' if option in _LISTS else ""
        return f"names={_NAMES[option]}{listed}"
    choices = " ".join(_choices(action))
    return _FILES.get(str(action.metavar)) or f'choices="{choices}"'


def _bash_options(name: str, parser: Parser) -> str:
    words, files = ["--help"], ""
    for _, action in arguments(parser):
        words += action.option_strings or _choices(action)
        if not action.option_strings and action.metavar in _FILES:
            files = f" {_FILES[action.metavar]}"
    return f'            {name}) choices="{" ".join(words)}"{files} ;;'


def _choices(action: argparse.Action) -> list[str]:
    """The fixed values of an argument: both of ``on|off``, the second of ``N|off``."""
    return [word for word in str(action.metavar or "").split("|") if word.islower()]


def fish_script(commands: Commands, summaries: dict[str, str]) -> str:
    """The script for fish."""
    names = " ".join(commands)
    lines = ["# Completion of network-health, for fish.", "complete -c network-health -f"]
    for name, parser in commands.items():
        is_first = f"not __fish_seen_subcommand_from {names}"
        lines.append(
            f"complete -c network-health -n {_quoted(is_first)} -a {name} -d {_quoted(summaries[name])}"
        )
        lines += _fish_arguments(name, parser)
    return "\n".join(lines) + "\n"


def _fish_arguments(name: str, parser: Parser) -> Iterator[str]:
    start = f"complete -c network-health -n {_quoted(f'__fish_seen_subcommand_from {name}')}"
    for _, action in arguments(parser):
        words = " ".join(_choices(action))
        about = f" -d {_quoted((action.help or '').replace('%%', '%'))}"
        if not action.option_strings:
            if action.metavar == "FILE":
                yield f"{start} -F{about}"
            elif words or action.metavar == "WORKSPACE":
                yield f"{start} -a {_quoted(words or '(__fish_complete_directories)')}{about}"
            continue
        takes = "" if action.nargs == 0 else " -r -F" if action.metavar == "FILE" else " -x"
        words = words or _fish_names(action.option_strings[0])
        choices = f" -a {_quoted(words)}" if words else ""
        yield f"{start} -l {action.option_strings[0].removeprefix('--')}{takes}{choices}{about}"


def _fish_names(option: str) -> str:
    if option not in _NAMES:
        return ""
    names = f"network-health completion {_NAMES[option]}"
    if option in _LISTS:
        return f'(__fish_complete_list , "{names}")'
    return f"({names} (commandline -opc)[3] 2>/dev/null)"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
