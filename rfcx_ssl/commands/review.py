"""Choose what a person should listen to next, and turn the answers into labels that training reads.

  rfcx-ssl review found --out round1 --budget 100
  rfcx-ssl review --read round1 --annotator NAME --out round1.csv
  rfcx-ssl review found2 --out round2 --answered round1 --strategy threshold=0.5,random=0.5

The first writes clips of the recordings that `rfcx-ssl detect` heard (its folder is the argument), one long sound of all of
them, a table for Raven, one for Audacity and a README.txt for the person. The second reads whichever of the two tables was
edited. Then: python finetune/train.py data.extra_tables=[round1.csv] ... (docs/review.md).
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import ConfigError, did_you_mean
from rfcx_ssl.program import Answer, add_threads
from rfcx_ssl.review.settings import ReviewSettings, Strategy
from rfcx_ssl.threads import use_threads

SHOWN_CONTRADICTIONS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl review``."""
    parser.add_argument("detections", nargs="?", type=Path, help="folder that rfcx-ssl detect wrote")
    parser.add_argument("--out", required=True, type=Path, metavar="PATH", help="new folder; with --read the table")
    ask = parser.add_argument_group("asking")
    ask.add_argument("--budget", type=int, metavar="N", help="questions in all (default 100)")
    ask.add_argument("--strategy", metavar="KIND=SHARE,...", help="of top, threshold, random, diverse; others are 0")
    ask.add_argument("--threshold", type=float, help="what `threshold` asks around (default: that of the detection)")
    ask.add_argument("--seed", type=int, help="of what is random (default 0)")
    ask.add_argument(
        "--answered", nargs="+", type=Path, default=[], metavar="PATH", help="earlier rounds, label tables"
    )
    ask.add_argument("--audio", nargs="+", type=Path, default=[], metavar="PATH", help="the recordings, if they moved")
    ask.add_argument("--sites", type=Path, metavar="CSV", help="recording_id and site, where names do not say")
    ask.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    ask.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="any setting of configs/inference/review.yaml"
    )
    add_threads(parser)
    read = parser.add_argument_group("reading answers")
    read.add_argument("--read", type=Path, metavar="DIR", help="folder that this command wrote, with its table edited")
    read.add_argument("--annotator", metavar="NAME", help="who listened")
    read.add_argument("--weight", type=float, default=1.0, help="of these labels in training, in (0, 1] (default 1)")
    read.add_argument(
        "--table", type=Path, metavar="FILE", help="the edited table (default: the one that was changed)"
    )
    read.add_argument("--upto", type=int, metavar="N", help="only the first N clips were listened to")
    read.add_argument(
        "--others", nargs="+", type=Path, default=[], metavar="CSV", help="report contradictions to these"
    )


def run(args: argparse.Namespace) -> Answer:
    """Ask, or read answers, as the parsed arguments say."""
    if (args.detections is None) == (args.read is None):
        raise ConfigError("rfcx-ssl review: give the folder of a detection, or --read and the folder of a review")
    return _ask(args) if args.read is None else _read(args)


def parse_strategy(text: str) -> list[str]:
    """``top=0.5,random=0.5`` as overrides of the settings, every kind that is not named being 0.

    Raises:
        ConfigError: an unknown kind, one named twice, or a share that is no number.
    """
    shares = dict.fromkeys(Strategy().shares, "0")
    for pair in text.split(","):
        kind, _, share = pair.strip().partition("=")
        if kind not in shares:
            hint = did_you_mean(kind, shares) or f"; one of {', '.join(shares)}"
            raise ConfigError(f"--strategy {pair.strip()}: unknown kind{hint}")
        if shares[kind] != "0" or not share:
            raise ConfigError(f"--strategy {text}: need each KIND=SHARE once")
        shares[kind] = share
    return [f"strategy.{kind}={share}" for kind, share in shares.items()]


def _ask(args: argparse.Namespace) -> Answer:
    from rfcx_ssl.review.review import ReviewRequest, review  # torch comes late: --help answers at once

    given = {key: getattr(args, key) for key in ("budget", "threshold", "seed")}
    words = [f"{key}={value}" for key, value in given.items() if value is not None]
    words += parse_strategy(args.strategy) if args.strategy else []
    settings = load_settings(ReviewSettings, "inference", "review", [*args.set, *words])
    use_threads(args.threads)
    request = ReviewRequest(args.detections, args.out, args.answered, args.audio, args.sites, args.device)
    questions = review(request, settings, Console(stderr=True))
    return {"out": args.out, "questions": len(questions), "why": Counter(question.why for question in questions)}


def _read(args: argparse.Namespace) -> Answer:
    from rfcx_ssl.review.answers import contradictions, read_review

    if not args.annotator:
        raise ConfigError("--read needs --annotator NAME: who listened")
    answers = read_review(args.read, annotator=args.annotator, weight=args.weight, table=args.table, upto=args.upto)
    contradicting = contradictions(answers, args.others)
    answers.write(args.out)
    sys.stdout.write(answers.summary())
    if args.others:
        _report(contradicting)
    return {"out": args.out, "summary": answers.summary(), "contradictions": contradicting}


def _report(lines: Sequence[str]) -> None:
    sys.stdout.write(f"{len(lines)} answers contradict the other tables\n")
    sys.stdout.write("".join(f"  {line}\n" for line in lines[:SHOWN_CONTRADICTIONS]))
    if len(lines) > SHOWN_CONTRADICTIONS:
        sys.stdout.write(f"  and {len(lines) - SHOWN_CONTRADICTIONS} more\n")
