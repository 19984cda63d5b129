"""Was the pretraining worth it? Frozen encoders on labelled recordings, beside random weights and log-mel frames.

    python pretrain/probe.py encoders/base32k --data data/rfcx --out runs/probe

ENCODER is an encoder directory of pretrain/convert.py, a hub id, or a fairseq checkpoint (*.pt); several checkpoints of
one run show the probe over its updates. ROOT is what finetune/train.py reads as data.root; settings of the data follow
as data=NAME or data.key=value. Each encoder hears the labelled parts of the recordings once; small heads then learn from
the training recordings and are judged on fold 0. Writes probe.json, table.csv, report.html and pictures into FOLDER; the
same command again goes on from the features it has.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rfcx_ssl.program import Answer, Parser, add_threads, run_program
from rfcx_ssl.threads import use_threads


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse the command line, probe."""
    parser = Parser(__doc__)
    parser.add_argument("words", nargs="+", metavar="ENCODER", help="encoders, and data=NAME or data.key=value")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="labelled data set")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="results, and features/")
    parser.add_argument(
        "--labels-per-species",
        type=int,
        nargs="*",
        default=[1, 3],
        metavar="N",
        help="also learn from N recordings of each species (default 1 3; all labels are always used once)",
    )
    parser.add_argument("--device", default="cpu", help="hears with: cpu (default) or cuda")
    add_threads(parser)
    args = parser.parse_intermixed_args(argv)  # data=NAME may follow the options
    overrides = tuple(word for word in args.words if word.startswith(("data=", "data.")))
    encoders = tuple(word for word in args.words if word not in overrides)
    if not encoders:
        parser.error("name at least one ENCODER")
    from transformers.utils.logging import disable_progress_bar  # takes seconds: not for --help

    from rfcx_ssl.probing.probe import probe
    from rfcx_ssl.probing.settings import ProbeRequest

    use_threads(args.threads)
    disable_progress_bar()
    request = ProbeRequest(
        encoders=encoders,
        data=args.data,
        out=args.out,
        overrides=overrides,
        labels_per_species=tuple(dict.fromkeys(args.labels_per_species)),
        device=args.device,
        command=shlex.join(["python", *sys.argv]),
    )
    console = Console()
    probe(request, console if console.is_terminal else Console(width=150))
    return {"out": args.out, **json.loads((args.out / "probe.json").read_text(encoding="utf-8"))}


if __name__ == "__main__":
    run_program(main)
