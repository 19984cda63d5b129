"""The console script ``rfcx-ssl``: one subcommand per verb, each imported only when it runs."""

import argparse
import importlib
from collections.abc import Sequence

from rfcx_ssl import __version__
from rfcx_ssl.commands.catalogue import COMMANDS, GROUPS, command_parser, module_of
from rfcx_ssl.errors import ConfigError, did_you_mean
from rfcx_ssl.program import Answer, Parser, run_program

EXAMPLES = """examples:
  rfcx-ssl doctor                                    is this machine ready?
  rfcx-ssl init my_recordings --complete tables      what a first model of own recordings needs
  rfcx-ssl detect card1 --model RUN/model --out found --format raven
  rfcx-ssl detect --help                             everything about one command

Pretraining and training are programs of their own: manifests/build.py, pretrain/run.py, finetune/train.py and others
beside them. With --json every command and program prints one JSON object for scripts."""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the subcommand, import its module, run it."""
    run_program(lambda: _dispatch(argv), argv)


def help_text() -> str:
    """All commands by what they are for."""
    width = max(map(len, COMMANDS)) + 2
    groups = (
        f"{title}:\n" + "\n".join(f"  {name:<{width}}{summary}" for name, summary in commands.items())
        for title, commands in GROUPS.items()
    )
    return "\n\n".join(["Hear which birds and frogs live in a rainforest.", *groups])


def _dispatch(argv: Sequence[str] | None) -> Answer | None:
    parser = Parser(help_text(), prog="rfcx-ssl")
    parser.epilog = EXAMPLES
    parser.add_argument("--version", action="version", version=f"rfcx-ssl {__version__}")
    parser.add_argument("command", metavar="COMMAND", nargs="?", help="one of the above; COMMAND --help says more")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    if chosen.command is None:
        raise ConfigError(f"rfcx-ssl: which command? One of {', '.join(COMMANDS)} (--help says more)")
    if chosen.command not in COMMANDS:
        hint = did_you_mean(chosen.command, COMMANDS) or f"; one of {', '.join(COMMANDS)}"
        raise ConfigError(f"rfcx-ssl {chosen.command}: no such command{hint}")
    command = command_parser(chosen.command)
    answer: Answer | None = importlib.import_module(module_of(chosen.command)).run(
        command.parse_intermixed_args(chosen.arguments)  # key=value may follow options
    )
    return answer


if __name__ == "__main__":
    main()
