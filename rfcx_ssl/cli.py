"""The console script ``rfcx-ssl``: one subcommand per verb, each imported only when it runs."""

import argparse
import importlib
from collections.abc import Sequence

from rfcx_ssl import __version__
from rfcx_ssl.errors import ConfigError, did_you_mean
from rfcx_ssl.program import Parser, run_program

COMMANDS = {
    "doctor": (
        "rfcx_ssl.commands.doctor",
        "check versions, GPU, libsndfile, fairseq and disk; say what is wrong and how to fix it",
    ),
    "synth": ("rfcx_ssl.commands.synth", "write the synthetic rainforest in RFCX's layout"),
    "download": ("rfcx_ssl.commands.download", "fetch the RFCX competition archive from Kaggle and verify it"),
    "preview-augment": (
        "rfcx_ssl.commands.preview_augment",
        "write WAVs and before/after pictures of the augmentations",
    ),
    "background-pool": ("rfcx_ssl.commands.background_pool", "write a pool of unlabelled audio to mix into crops"),
    "init": ("rfcx_ssl.commands.init", "look at own recordings and label tables; write a project file"),
    "labels": (
        "rfcx_ssl.commands.labels",
        "check label tables, folds and conflicts; draw one crop; export the corpus",
    ),
    "evaluate": (
        "rfcx_ssl.commands.evaluate",
        "judge models on labelled recordings: scores, floors, intervals, a report",
    ),
    "tune": (
        "rfcx_ssl.commands.tune",
        "choose thresholds, smoothing and calibration for every species of a model",
    ),
    "detect": ("rfcx_ssl.commands.detect", "find species in recordings: events as a table, with pictures"),
    "submit": (
        "rfcx_ssl.commands.submit",
        "write a submission for Kaggle: folds, ensembles and speeds, every recording once",
    ),
    "embed": (
        "rfcx_ssl.commands.embed",
        "turn recordings into vectors, per window or per event, for search and learning",
    ),
    "review": (
        "rfcx_ssl.commands.review",
        "choose what a person should listen to next; turn the answers into labels",
    ),
    "export": (
        "rfcx_ssl.commands.export",
        "save a model with its own code, as ONNX or TorchScript, to run without rfcx-ssl",
    ),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the subcommand, import its module, run it."""
    run_program(lambda: _dispatch(argv))


def _dispatch(argv: Sequence[str] | None) -> None:
    listing = "\n".join(f"  {name:<16} {summary}" for name, (_, summary) in COMMANDS.items())
    parser = Parser(f"Hear which birds and frogs live in a rainforest.\n\ncommands:\n{listing}", prog="rfcx-ssl")
    parser.add_argument("--version", action="version", version=f"rfcx-ssl {__version__}")
    parser.add_argument("command", metavar="COMMAND", nargs="?", help="one of the above; COMMAND --help says more")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    if chosen.command is None:
        raise ConfigError(f"rfcx-ssl: which command? One of {', '.join(COMMANDS)} (--help says more)")
    if chosen.command not in COMMANDS:
        hint = did_you_mean(chosen.command, COMMANDS) or f"; one of {', '.join(COMMANDS)}"
        raise ConfigError(f"rfcx-ssl {chosen.command}: no such command{hint}")
    module = importlib.import_module(COMMANDS[chosen.command][0])
    command = Parser(module.__doc__, prog=f"rfcx-ssl {chosen.command}")
    module.add_arguments(command)
    module.run(command.parse_intermixed_args(chosen.arguments))  # key=value may follow options


if __name__ == "__main__":
    main()
