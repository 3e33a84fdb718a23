"""Runs ``network-health completion``: generates a shell's completion script from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from network_health.cli.parser import Parser, arguments, examples

Commands = dict[str, Parser]
#: What bash completes for the name of a value: files or folders.
_FILES = {"FILE": "files=-f", "WORKSPACE": "files=-d"}

_BASH = """\
# Completion of network-health, for bash and (through bashcompinit) zsh.
if [ -n "${{ZSH_VERSION-}}" ]; then autoload -U +X bashcompinit && bashcompinit; fi
_network_health() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local command="${{COMP_WORDS[1]-}}" choices="" files="" reply
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
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="bash|zsh|fish", help="the shell")
    parser.set_defaults(run=partial(_run, subparsers))


def _run(subparsers: argparse._SubParsersAction[Parser], options: argparse.Namespace) -> int:
    summaries = {str(action.dest): action.help or "" for action in subparsers._choices_actions}
    commands = dict(subparsers.choices)
    script = fish_script(commands, summaries) if options.shell == "fish" else bash_script(commands)
    print(script, end="")
    return 0


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
            completions = _FILES.get(str(action.metavar))
            choices = " ".join(_choices(action))
            yield f"        {patterns}) " + (completions or f'choices="{choices}"') + " ;;"


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
        choices = f" -a {_quoted(words)}" if words else ""
        yield f"{start} -l {action.option_strings[0].removeprefix('--')}{takes}{choices}{about}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
