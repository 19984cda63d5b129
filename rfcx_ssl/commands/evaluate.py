"""Judge trained models on recordings that are completely or partly labelled.

  rfcx-ssl evaluate runs/demo/all_pretrained --labels data/rfcx --out found
  rfcx-ssl evaluate new=RUN/model old=USER/NAME --labels ROOT --config rfcx --resamples 200 --out found

Models are run folders, model directories or models on the hub, each heard through the windows it was validated with.
ROOT is a data set with truth.csv, or any labelled data set that training reads (key=value are settings of
configs/finetune/data): its test part where it has one, else all its recordings, or with --fold a validation side.
Only what somebody said is judged. Prints a table and writes evaluation.csv, species.csv, precision_recall.csv, report.md,
report.html and pictures into DIR (docs/evaluation.md).
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from rfcx_ssl.errors import ConfigError, did_you_mean
from rfcx_ssl.program import Answer, add_device, add_prevalence, add_threads, finite
from rfcx_ssl.threads import use_threads

if TYPE_CHECKING:
    from rfcx_ssl.evaluation.evaluate import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl evaluate``."""
    parser.add_argument(
        "words", nargs="+", metavar="[NAME=]MODEL | key=value", help="models, and settings of the labels"
    )
    parser.add_argument("--labels", type=Path, required=True, metavar="ROOT", help="data set, or project file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--config", help="rfcx, synth or annotations: how to read the labels (default: by what is there)"
    )
    parser.add_argument("--fold", type=int, metavar="N", help="judge the validation side of this fold")
    parser.add_argument(
        "--threshold",
        type=finite,
        help="score that counts as a detection (default: the model's own decisions, else 0.5)",
    )
    parser.add_argument(
        "--resample",
        choices=("recording", "site"),
        default="recording",
        help="what intervals draw (default recording)",
    )
    parser.add_argument("--resamples", type=int, default=1000, help="how often intervals draw (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws (default 0)")
    add_prevalence(parser)
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> Answer:
    """Judge as the parsed arguments say."""
    models, overrides = split_words(args.words)
    from rfcx_ssl.evaluation.evaluate import JudgingOptions  # torch comes late: --help answers at once
    from rfcx_ssl.report.evaluation import EvaluateRequest, run_evaluation

    use_threads(args.threads)
    request = EvaluateRequest(
        models=models,
        labels=args.labels,
        out=args.out,
        options=JudgingOptions(args.threshold, args.resample, args.resamples, args.seed, args.prevalence),
        config=args.config,
        overrides=overrides,
        fold=args.fold,
        device=args.device,
        command=shlex.join(["rfcx-ssl", *sys.argv[1:]]),
    )
    console = Console()
    evaluation = run_evaluation(request, console if console.is_terminal else Console(width=130))
    return answer(args.out, evaluation)


def answer(out: Path, evaluation: "Evaluation") -> Answer:
    """What was judged, for programs."""
    scores = [{"model": verdict.model, "group": verdict.group, **verdict.values} for verdict in evaluation.verdicts]
    return {"out": out, "scores": scores, "notes": evaluation.notes}


def split_words(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Models by name, and settings of the labels: a word whose part before ``=`` is a setting is one.

    A model without a name has that of its folder, or of the run folder that it lies in.

    Raises:
        ConfigError: a name for two models, or a word that is neither.
    """
    from rfcx_ssl.data.settings import DataSettings

    settings, models, overrides = [field.name for field in fields(DataSettings)], {}, []
    for word in words:
        key, equals, source = word.partition("=")
        if equals and key.split(".")[0] in settings:
            overrides.append(word)
            continue
        if not equals or "/" in key:  # a path may hold an equals sign
            name, source = default_name(word), word
        elif Path(source).exists() or "/" in source:
            name = key
        else:
            hint = did_you_mean(key, settings)
            raise ConfigError(f"{word!r}: neither a setting of configs/finetune/data nor NAME=MODEL{hint}")
        if not name or name in models:
            raise ConfigError(f"{word!r}: need NAME=MODEL with a name of its own")
        models[name] = source
    return models, overrides


def default_name(source: str) -> str:
    """``runs/demo/cnn`` and ``runs/demo/cnn/model`` are ``cnn``."""
    path = Path(source)
    return path.parent.name if path.name == "model" and path.parent.name else path.name
