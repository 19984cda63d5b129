"""The verbs of ``rfcx-ssl``: what each is for, where it lives, its command line."""

import importlib

from rfcx_ssl.program import Parser

GROUPS = {
    "start": {
        "doctor": "check versions, GPU, libsndfile, fairseq and disk; say what is wrong and how to fix it",
        "synth": "write the synthetic rainforest in RFCX's layout",
        "download": "fetch the RFCX competition archive from Kaggle and verify it",
        "init": "look at own recordings and label tables; write a project file",
        "completion": "print what a shell needs to complete the words of rfcx-ssl",
    },
    "labels and training data": {
        "labels": "check label tables, folds and conflicts; draw one crop; export the corpus",
        "review": "choose what a person should listen to next; turn the answers into labels",
        "app": "look at recordings in a browser: events, thresholds, answers that become labels",
        "preview-augment": "write WAVs and before/after pictures of the augmentations",
        "background-pool": "write a pool of unlabelled audio to mix into crops",
    },
    "models": {
        "evaluate": "judge models on labelled recordings: scores, floors, intervals, a report",
        "report": "write all that is known of models as one page: scores, curves, recordings to look at and hear",
        "tune": "choose thresholds, smoothing and calibration for every species of a model",
        "export": "save a model with its own code, as ONNX or TorchScript, to run without rfcx-ssl",
    },
    "recordings": {
        "detect": "find species in recordings: events as a table, with pictures",
        "submit": "write a submission for Kaggle: folds, ensembles and speeds, every recording once",
        "embed": "turn recordings into vectors, per window or per event, for search and learning",
    },
}
COMMANDS = {name: summary for commands in GROUPS.values() for name, summary in commands.items()}


def command_parser(name: str) -> Parser:
    """The command line of one command; its module is imported, torch is not."""
    module = importlib.import_module(module_of(name))
    parser = Parser(module.__doc__, prog=f"rfcx-ssl {name}")
    module.add_arguments(parser)
    return parser


def module_of(name: str) -> str:
    """Where a command lives."""
    return f"rfcx_ssl.commands.{name.replace('-', '_')}"
