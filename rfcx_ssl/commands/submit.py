"""Write a submission for Kaggle's RFCX competition, or another one with a sample_submission.csv like its.

  rfcx-ssl submit --models RUN/model --data ROOT --out submission.csv
  rfcx-ssl submit --models runs/cnn/model runs/w2v-f0/model --data ROOT --out submission.csv --set combine=geometric
  rfcx-ssl submit --models runs/cnn/model runs/w2v-f0/model --data ROOT --out submission.csv --combine-ranks

The table has the header of ROOT/sample_submission.csv and each of its recordings once, in its order. What was heard is kept in
OUT.detections/ as it comes: the same command goes on where it was stopped, and other rules for the scores (recording_score,
prevalence, include, exclude, tuned, --combine-ranks with models heard before) hear nothing again.
"""

import argparse
from pathlib import Path

from rich.console import Console

from rfcx_ssl.config import load_settings
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.program import Answer, add_hearing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl submit``."""
    parser.add_argument(
        "--models", required=True, nargs="+", action="extend", metavar="DIR_OR_HUB_ID",
        help="RUN/model, or models on the hub (USER/NAME@REVISION); several are an ensemble",
    )  # fmt: skip
    parser.add_argument(
        "--data", required=True, type=Path, metavar="ROOT", help="folder of sample_submission.csv and test/"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="CSV", help="the submission")
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder for what was heard (default OUT.detections)")
    parser.add_argument(
        "--combine-ranks", action="store_true",
        help="hear each model for itself and average, per species, the ranks that it gives to the recordings",
    )  # fmt: skip
    parser.add_argument(
        "--fill", type=float, metavar="VALUE",
        help="write this score for recordings that are missing or cannot be read (default: that is an error)",
    )  # fmt: skip
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="TABLE",
        help="CSV or Parquet of recording and site, datetime, for occurrence",
    )
    parser.add_argument("--redo", action="store_true", help="hear recordings again whose files have changed")
    add_hearing(parser)
    parser.add_argument("--dask", metavar="ADDRESS", help="hear on the Dask cluster of this scheduler (tcp://...)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="any setting of configs/inference/detect.yaml"
    )


def run(args: argparse.Namespace) -> Answer:
    """Submit as the parsed arguments say."""
    if args.fill is not None and not 0 <= args.fill <= 1:
        raise ConfigError(f"--fill {args.fill:g}: must be in [0, 1]")

    from rfcx_ssl.detection.submit import SubmitRequest, submit  # torch comes late: --help answers at once

    request = SubmitRequest(
        data=args.data,
        out=args.out,
        work=args.work or Path(f"{args.out}.detections"),
        models=tuple(args.models),
        settings=load_settings(DetectSettings, "inference", "detect", args.set),
        by_rank=args.combine_ranks,
        fill=args.fill,
        places=args.recordings,
        device=args.device,
        readers=args.readers,
        threads=args.threads,
        workers=args.workers,
        dask=args.dask,
        redo=args.redo,
    )
    return submit(request, Console(stderr=True))
