"""Choose thresholds, smoothing (or change points) and calibration for every species of a trained model.

  rfcx-ssl tune RUN --labels ROOT --out tuned
  rfcx-ssl tune RUN --labels ROOT --decoder change_point --out tuned
  rfcx-ssl tune RUN --oof --criterion precision=0.9 --out tuned

With --labels, models hear the recordings of ROOT (as rfcx-ssl evaluate takes it, with key=value for its settings); use
recordings they did not learn from. With --oof, run folders are tuned by the scores that training kept of their validation
sides; the folds of one cross-validation are pooled and share their decisions. Writes decisions.json into the folder of each
model, where detect and evaluate find it, and tune.csv, reliability.csv, report.md, report.html and a picture into DIR
(docs/tuning.md).
"""

import argparse
import shlex
import sys
from pathlib import Path

from rich.console import Console

from rfcx_ssl.commands.evaluate import split_words
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.program import Answer, add_device, add_threads
from rfcx_ssl.threads import use_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl tune``."""
    parser.add_argument(
        "words", nargs="+", metavar="[NAME=]MODEL | key=value", help="models, and settings of the labels"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--labels", type=Path, metavar="ROOT", help="data set, or project file")
    source.add_argument("--oof", action="store_true", help="the validation sides of the models' own runs")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the report")
    parser.add_argument(
        "--criterion",
        default="f1",
        metavar="RULE",
        help="f1 (default), f0.5, f2 ..., precision=X (at least X), or false-alarms=N (at most N an hour)",
    )
    parser.add_argument(
        "--judge",
        choices=("auto", "calls", "boxes", "recordings"),
        default="auto",
        help="judge by single calls with times, boxes or whole recordings (default: what most species have enough of)",
    )
    parser.add_argument(
        "--decoder",
        choices=("hysteresis", "change_point"),
        default="hysteresis",
        help="what makes events of scores, and which parameters are chosen: hysteresis (default), or change_point, by calls only",
    )
    parser.add_argument(
        "--min-positives",
        type=int,
        default=5,
        metavar="N",
        help="present and absent ones for an own decision (default 5)",
    )
    parser.add_argument("--dry-run", action="store_true", help="write decisions.json into DIR, not into the models")
    parser.add_argument(
        "--config", help="rfcx, synth or annotations: how to read the labels (default: by what is there)"
    )
    parser.add_argument("--fold", type=int, metavar="N", help="the validation side of this fold of the labels")
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> Answer:
    """Tune as the parsed arguments say."""
    models, overrides = split_words(args.words)
    if args.oof and (overrides or args.config or args.fold is not None):
        raise ConfigError("--oof: reads no labels; --config, --fold and key=value go with --labels")
    from rfcx_ssl.report.tuning import TuneRequest, run_tuning  # torch comes late: --help answers at once
    from rfcx_ssl.tuning.criterion import read_criterion
    from rfcx_ssl.tuning.tune import TuneOptions

    use_threads(args.threads)
    request = TuneRequest(
        models=models,
        out=args.out,
        options=TuneOptions(read_criterion(args.criterion), args.judge, args.min_positives, args.decoder),
        labels=args.labels,
        config=args.config,
        overrides=overrides,
        fold=args.fold,
        dry_run=args.dry_run,
        device=args.device,
        command=shlex.join(["rfcx-ssl", *sys.argv[1:]]),
    )
    console = Console()
    tuned = run_tuning(request, console if console.is_terminal else Console(width=200))
    return {"out": args.out, "models": tuned}
