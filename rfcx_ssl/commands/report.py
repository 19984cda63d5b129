"""Write everything that is known of some models as one page: to read, to look at, to listen to.

  rfcx-ssl report runs/demo/all_pretrained --labels data/rfcx --out report.html
  rfcx-ssl report new=RUN/model old=USER/NAME --labels ROOT --config rfcx --recordings 200 --out report.html

Judged are the recordings that the runs' own data set keeps for that: those of truth.csv, else its test part, else the
validation side of the runs' fold; or those of --labels, as in `rfcx-ssl evaluate`. The page holds the comparison, learning
curves, species, calibration, labels by time of day, a map of calls, and the best and worst recordings with players. It
needs no other file and no network (docs/report.md).
"""

import argparse
import shlex
import sys
from pathlib import Path

from rich.console import Console

from rfcx_ssl.commands.evaluate import answer, split_words
from rfcx_ssl.program import Answer, add_device, add_prevalence, add_threads, finite, positive
from rfcx_ssl.threads import use_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl report``."""
    parser.add_argument(
        "words", nargs="+", metavar="[NAME=]RUN | key=value", help="runs or models, and settings of the labels"
    )
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="default report.html")
    parser.add_argument("--labels", type=Path, metavar="ROOT", help="data set, or project file, to judge on")
    parser.add_argument("--config", help="with --labels: rfcx, synth or annotations (default: by what is there)")
    parser.add_argument("--fold", type=int, metavar="N", help="with --labels: judge the validation side of this fold")
    parser.add_argument("--detections", type=Path, metavar="DIR", help="also what rfcx-ssl detect wrote there")
    parser.add_argument(
        "--recordings",
        type=positive,
        default=500,
        metavar="N",
        help="hear at most so many, drawn at random (default 500)",
    )
    parser.add_argument(
        "--pictures",
        type=positive,
        default=3,
        metavar="N",
        help="best and worst recordings shown, of each (default 3)",
    )
    parser.add_argument("--no-audio", action="store_true", help="no players: a page to share without the sounds")
    parser.add_argument("--max-mb", type=finite, default=25.0, metavar="MB", help="largest page (default 25)")
    parser.add_argument("--resamples", type=int, default=1000, help="how often intervals draw (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default 0)")
    add_prevalence(parser)
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> Answer:
    """Report as the parsed arguments say."""
    models, overrides = split_words(args.words)
    from rfcx_ssl.evaluation.evaluate import JudgingOptions  # torch comes late: --help answers at once
    from rfcx_ssl.report.runs.report import ReportRequest, write_report

    use_threads(args.threads)
    request = ReportRequest(
        models=models,
        out=args.out,
        options=JudgingOptions(resamples=args.resamples, seed=args.seed, prevalence=args.prevalence),
        labels=args.labels,
        config=args.config,
        overrides=overrides,
        fold=args.fold,
        detections=args.detections,
        most_recordings=args.recordings,
        pictures=args.pictures,
        audio=not args.no_audio,
        most_mb=args.max_mb,
        device=args.device,
        command=shlex.join(["rfcx-ssl", *sys.argv[1:]]),
    )
    console = Console()
    return answer(args.out, write_report(request, console if console.is_terminal else Console(width=130)))
