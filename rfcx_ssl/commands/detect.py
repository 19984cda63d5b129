"""Find species in recordings of any length.

  rfcx-ssl detect recording.flac --model runs/demo/all_pretrained/model --out found --picture
  rfcx-ssl detect /media/card1 /media/card2 --model USER/NAME --out found --format csv --format raven

Writes events.csv (recording, start_s, end_s, species, score, f_min, f_max), scores.csv (one score per recording and
species), detect.json, and where asked events.parquet, raven/, audacity/ and pictures/. Files that cannot be read are
listed in errors.csv, and the exit code is then 3.
"""

import argparse
from pathlib import Path

from rich.console import Console

from rfcx_ssl.config import load_settings
from rfcx_ssl.detection.settings import FORMATS, DetectSettings
from rfcx_ssl.program import add_threads
from rfcx_ssl.threads import use_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl detect``."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILES", help="audio files, or folders of them")
    parser.add_argument("--model", required=True, metavar="DIR_OR_HUB_ID", help="RUN/model, or a model on the hub")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    parser.add_argument("--threshold", type=float, help="peak probability an event must reach (default 0.5)")
    parser.add_argument(
        "--format", action="append", choices=FORMATS, help="event table to write; repeat for several (default csv)"
    )
    parser.add_argument("--picture", action="store_true", help="a picture per recording: spectrogram, boxes, scores")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    add_threads(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="any setting of configs/inference/detect.yaml"
    )


def run(args: argparse.Namespace) -> None:
    """Detect as the parsed arguments say."""
    from rfcx_ssl.detection.detect import DetectRequest, detect  # torch comes late: --help answers at once
    from rfcx_ssl.pictures.events import save_event_picture

    threshold = [] if args.threshold is None else [f"threshold={args.threshold}"]
    settings = load_settings(DetectSettings, "inference", "detect", [*args.set, *threshold])
    use_threads(args.threads)
    request = DetectRequest(
        sources=args.files,
        model=args.model,
        out=args.out,
        formats=args.format or ("csv",),
        draw=save_event_picture if args.picture else None,
        device=args.device,
    )
    detect(request, settings, Console(stderr=True))
