"""Label what nobody judged with the models of a cross-validation: soft frame labels to train the next models on.

    python finetune/pseudo_label.py runs/cv/seed_0/fold_0 runs/cv/seed_0/fold_1 --audio RFCX/train --out labels/round1
    python finetune/pseudo_label.py runs/cv/seed_0/fold_0 --audio RFCX/train --out labels/round1 --set power=1.5 --set teacher=random

A recording with labels is heard only by the models that did not learn from them, the others by all (or by one, drawn at random).
Writes OUT/labels, for data.pseudo.files=[OUT/labels] of finetune/train.py, OUT/report.csv and OUT/report.md (what each species gains,
and how well that agrees with the labels) and OUT/pseudo_label.json. Stopped at any moment, the same command goes on; what was heard
is not heard again when other transforms are set. Files that cannot be read make the exit code 3.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rfcx_ssl.config import load_settings
from rfcx_ssl.program import Answer, Parser, add_hearing, run_program
from rfcx_ssl.selftraining.settings import PseudoLabelSettings


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse, hear, write."""
    parser = Parser(__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders of one data set")
    parser.add_argument(
        "--audio", nargs="+", required=True, metavar="DIR", help="recordings: folders, files, patterns"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the labels")
    parser.add_argument("--redo", action="store_true", help="hear again what was heard with another model or settings")
    add_hearing(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="any setting of configs/inference/pseudo_label.yaml"
    )  # fmt: skip
    args = parser.parse_args(argv)
    settings = load_settings(PseudoLabelSettings, "inference", "pseudo_label", args.set)
    from rfcx_ssl.selftraining.hear import Work  # torch comes late: --help answers at once
    from rfcx_ssl.selftraining.label import LabelRequest, label_recordings

    work = Work(args.device, args.workers, args.readers, args.threads, args.redo)
    console = Console()
    labelled = label_recordings(
        LabelRequest(args.runs, args.audio, args.out, settings, work),
        console if console.is_terminal else Console(width=160),
    )
    return {"out": args.out, **labelled.record}


if __name__ == "__main__":
    run_program(main)
