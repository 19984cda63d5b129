"""Print what a shell needs to complete commands, options and files of rfcx-ssl.

  rfcx-ssl completion bash

Write it where your shell looks: ~/.local/share/bash-completion/completions/rfcx-ssl, or _rfcx-ssl in a folder of zsh's fpath.
It is a list of words: after an update of rfcx-ssl, write it again.
"""

import argparse
import importlib
import sys

import shtab

from rfcx_ssl.commands.catalogue import COMMANDS, module_of
from rfcx_ssl.program import Answer, Parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl completion``."""
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell to complete in")


def run(args: argparse.Namespace) -> Answer:
    """Print the script."""
    script = shtab.complete(_whole_parser(), shell=args.shell)
    sys.stdout.write(script)
    return {"shell": args.shell, "script": script}


def _whole_parser() -> argparse.ArgumentParser:
    """All commands below one parser; what is not one of a few words is completed with files."""
    whole = argparse.ArgumentParser("rfcx-ssl")
    whole.add_argument("--version", action="store_true", help="show the version")
    commands = whole.add_subparsers(parser_class=Parser)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        importlib.import_module(module_of(name)).add_arguments(command)
        for action in command._actions:
            if action.choices is None and action.nargs != 0:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return whole
