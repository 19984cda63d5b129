"""The console script ``rfcx-ssl``: one subcommand per verb, each imported only when it runs."""

import argparse
import importlib
from collections.abc import Sequence

from rfcx_ssl import __version__
from rfcx_ssl.errors import run_program

COMMANDS = {
    "doctor": ("rfcx_ssl.doctor", "check versions, GPU, libsndfile, fairseq and disk; say what is wrong and how to fix it"),
    "synth": ("rfcx_ssl.synth.command", "write the synthetic rainforest in RFCX's layout"),
    "download": ("rfcx_ssl.manifest.download_command", "fetch the RFCX competition archive from Kaggle and verify it"),
    "preview-augment": ("rfcx_ssl.augment.command", "write WAVs and before/after pictures of the augmentations"),
    "detect": ("rfcx_ssl.inference.command", "find species in recordings: events as a table, with pictures"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the subcommand, import its module, run it."""
    run_program(lambda: _dispatch(argv))


def _dispatch(argv: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(prog="rfcx-ssl", description="Hear which birds and frogs live in a rainforest.")
    parser.add_argument("--version", action="version", version=f"rfcx-ssl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, summary) in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    chosen, rest = parser.parse_known_args(argv)
    module_name, summary = COMMANDS[chosen.command]
    module = importlib.import_module(module_name)
    sub = argparse.ArgumentParser(prog=f"rfcx-ssl {chosen.command}", description=module.__doc__ or summary)
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    module.add_arguments(sub)
    module.run(sub.parse_args(rest))


if __name__ == "__main__":
    main()
