"""Look at recordings in a browser: spectrogram, what a model hears, and answers that become labels.

  rfcx-ssl app --model runs/cnn/model --folder card --detections found --annotator NAME
  rfcx-ssl app --model runs/cnn/model --folder card --review round1 --annotator NAME --out round1_answers

Pick a recording of the named folders, or drop one; move thresholds, play events, and accept, reject or relabel them by keys. Answers
are kept one by one in OUT/answers.jsonl, and OUT/answers.csv is the table that training reads:
python finetune/train.py data.extra_tables=[answers/answers.csv] ... (docs/app.md).
"""

import argparse
from pathlib import Path

from rfcx_ssl.program import Answer, add_device, add_threads, positive
from rfcx_ssl.threads import use_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl app``."""
    parser.add_argument("--model", required=True, metavar="DIR_OR_HUB_ID", help="RUN/model, or a model on the hub")
    parser.add_argument(
        "--folder", action="append", default=[], type=Path, dest="folders", metavar="DIR",
        help="recordings that the page may read, to any depth; repeat for several (default: only what is uploaded)",
    )  # fmt: skip
    parser.add_argument(
        "--detections",
        type=Path,
        metavar="DIR",
        help="folder that rfcx-ssl detect wrote: its settings, its busiest recordings first",
    )
    parser.add_argument("--review", type=Path, metavar="DIR", help="folder that rfcx-ssl review wrote: its questions")
    parser.add_argument(
        "--out", type=Path, default=Path("answers"), metavar="DIR", help="folder of answers (default answers)"
    )
    parser.add_argument("--annotator", default="", metavar="NAME", help="who listens, until the page says otherwise")
    parser.add_argument("--weight", type=float, default=1.0, help="of the answers in training, in (0, 1] (default 1)")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine alone)")
    parser.add_argument("--port", type=positive, default=7860, metavar="N", help="port to serve on (default 7860)")
    parser.add_argument("--upload-mb", type=positive, default=200, metavar="N", help="largest upload (default 200)")
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> Answer:
    """Serve the page as the parsed arguments say."""
    from rfcx_ssl.app.serve import AppRequest, serve_request  # torch comes late: --help answers at once

    use_threads(args.threads)
    names = (
        "model",
        "folders",
        "detections",
        "review",
        "out",
        "annotator",
        "weight",
        "device",
        "host",
        "port",
        "upload_mb",
    )
    return serve_request(AppRequest(**{name: getattr(args, name) for name in names}))
