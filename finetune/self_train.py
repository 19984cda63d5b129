"""Self-training in rounds: label with the models of the round before, train all folds on the labels, compare; from one YAML.

    python finetune/self_train.py rounds --out runs/rounds --train data.root=RFCX
    python finetune/self_train.py rounds --out runs/rounds --train data.root=RFCX teachers=[runs/cv] seeds=[0,1,2] min_gain=0.005

The first word is a file of configs/self_train/, or the path of a YAML file of your own; key=value sets one of its keys, and --train adds a
word for every training (as for finetune/train.py). Writes OUT/round_R (labels, run folders), OUT/control, OUT/rounds.csv, OUT/rounds.md and
OUT/rounds.png. Stopped or killed at any moment, the same command goes on; nothing is trained or heard twice.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rfcx_ssl.program import Answer, Parser, add_hearing, run_program
from rfcx_ssl.selftraining.rounds_settings import open_rounds
from rfcx_ssl.training.arguments import gather_lists, words


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse, and do the rounds."""
    parser = Parser(__doc__)
    parser.add_argument("config", metavar="CONFIG", help="name in configs/self_train/, or the path of a YAML file")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the rounds")
    parser.add_argument(
        "--train",
        action="append",
        default=[],
        metavar="key=value",
        help="one more setting of every training; repeatable",
    )
    parser.add_argument("--launcher", help="words before train.py (default: this Python)")
    parser.add_argument(
        "--devices", type=words, default=[], metavar="ID ...", help="GPUs: one training at a time on each"
    )
    add_hearing(parser)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings of CONFIG")
    arguments = sys.argv[1:] if argv is None else argv
    args = parser.parse_intermixed_args(gather_lists(arguments, ("--devices",)))
    settings = open_rounds(args.config, args.overrides, args.train)
    from rfcx_ssl.selftraining.hear import Work  # torch comes late: --help answers at once
    from rfcx_ssl.selftraining.rounds import RoundsRequest, self_train
    from rfcx_ssl.training.launch import Launcher, default_launcher

    program = Path(__file__).with_name("train.py")
    launcher = Launcher(program, args.launcher or default_launcher(), args.devices, args.out / "logs")
    work = Work(args.device, args.workers, args.readers, args.threads)
    console = Console()
    return self_train(
        RoundsRequest(settings, args.out, launcher, work), console if console.is_terminal else Console(width=160)
    )


if __name__ == "__main__":
    run_program(main)
