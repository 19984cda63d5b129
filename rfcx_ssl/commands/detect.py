"""Find species in recordings.

  rfcx-ssl detect recording.flac --model runs/demo/all_pretrained/model --out found --picture
  rfcx-ssl detect /media/card1 /media/card2 --model USER/NAME --out found --format csv --format raven
  rfcx-ssl detect 'card/**/*.flac' --model USER/NAME --out found --save windows --save clips --workers 2

Writes events.csv (recording, start_s, end_s, species, score, ...), scores.csv (one score per recording and species),
index.html (a summary), detect.json, and what --format, --save and --picture ask for. What was heard is kept as it comes: the same command goes on
where it was stopped, hears what is new, and does nothing to what is finished. Several of them on one folder share the work
(accelerate launch, Slurm, --workers, --dask). Files that cannot be read are listed in errors.csv, and the exit code is then 3.
"""

import argparse
from pathlib import Path

from rich.console import Console

from rfcx_ssl.config import load_settings
from rfcx_ssl.detection.settings import CLIPS, FORMATS, SAVES, DetectSettings, journaled
from rfcx_ssl.program import Answer, add_hearing, finite

SHORT = {"backend": "torch|onnx", "batch_size": "N|auto", "decoder": "hysteresis|change_point", "prevalence": "SOURCE"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl detect``."""
    parser.add_argument(
        "sources", nargs="*", metavar="SOURCE", help="audio files, folders, patterns, URLs; - is audio from a pipe"
    )
    parser.add_argument(
        "--list", action="append", default=[], dest="lists", metavar="FILE",
        help="CSV or Parquet of file, start_s, end_s, or one path per line; - is the pipe",
    )  # fmt: skip
    parser.add_argument(
        "--model", required=True, action="append", dest="models", metavar="DIR_OR_HUB_ID",
        help="RUN/model, or a model on the hub (USER/NAME@REVISION); repeat for an ensemble",
    )  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    parser.add_argument("--redo", action="store_true", help="hear again what was heard with another model or settings")
    parser.add_argument(
        "--threshold", type=finite, help="score that events of every species must reach (default: as tuned, else 0.5)"
    )
    parser.add_argument(
        "--format", action="append", choices=FORMATS, help="event table to write; repeat for several (default csv)"
    )
    parser.add_argument(
        "--save", action="append", default=[], choices=SAVES, help="what to write beside events and scores; repeat"
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="TABLE",
        help="CSV or Parquet of recording and site, latitude, longitude, datetime",
    )
    parser.add_argument("--picture", action="store_true", help="a picture per recording: spectrogram, boxes, scores")
    for key, values in SHORT.items():
        parser.add_argument(f"--{key.replace('_', '-')}", metavar=values, help=f"short for --set {key}=")
    add_hearing(parser)
    parser.add_argument("--dask", metavar="ADDRESS", help="hear on the Dask cluster of this scheduler (tcp://...)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="any setting of configs/inference/detect.yaml"
    )


def run(args: argparse.Namespace) -> Answer:
    """Detect as the parsed arguments say."""
    from rfcx_ssl.detection.assemble import Tables  # torch comes late: --help answers at once
    from rfcx_ssl.detection.detect import detect
    from rfcx_ssl.detection.request import DetectRequest
    from rfcx_ssl.detection.work import Job
    from rfcx_ssl.pictures.events import save_event_picture
    from rfcx_ssl.report.detections import write_summary

    short = [f"{key}={value}" for key in ("threshold", *SHORT) if (value := getattr(args, key)) is not None]
    settings = load_settings(DetectSettings, "inference", "detect", [*args.set, *short])
    job = Job(
        out=args.out.resolve(),
        models=tuple(args.models),
        settings=settings,
        keep=journaled(args.save),
        places=args.recordings,
        clips=CLIPS in args.save,
        device=args.device,
        readers=args.readers,
        threads=args.threads,
        pictures=args.picture,
        draw=save_event_picture,
    )
    request = DetectRequest(
        job=job,
        sources=args.sources,
        lists=args.lists,
        tables=Tables(tuple(args.format or ("csv",)), frozenset(args.save), settings, args.recordings),
        workers=args.workers,
        dask=args.dask,
        redo=args.redo,
        summarize=write_summary,
    )
    return {"out": args.out, **detect(request, Console(stderr=True))}
