"""Sweep settings: one run per combination, one summary table.

    python finetune/sweep.py --out runs/lr model=panns_cnn14 data.root=DIR max_steps=3000 optim.head_lr=1e-3,3e-3 loss=bce,focal
    python finetune/sweep.py --out runs/mine --list runs.txt model=panns_cnn14 data.root=DIR max_steps=3000   # one run per line

Several values are written as for Hydra's --multirun: a,b or range(0,3). Stopped at any moment, the same command goes on.
Writes OUT/KEY=VALUE,... (run folders) and OUT/sweep.csv, the best run first.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import RunError
from rfcx_ssl.program import Answer, Parser, run_program
from rfcx_ssl.training.arguments import gather_lists, words


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse, launch, summarize."""
    parser = Parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the sweep")
    parser.add_argument("--list", type=Path, help="file with the overrides of one run per line")
    parser.add_argument("--launcher", help="words before train.py (default: this Python)")
    parser.add_argument("--devices", type=words, default=[], metavar="ID ...", help="GPUs: one run at a time on each")
    parser.add_argument("--sort-by", help="column of the table (default: what chose the best weights)")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings, as for finetune/train.py")
    args = parser.parse_intermixed_args(gather_lists(sys.argv[1:] if argv is None else argv, ("--devices",)))
    from rfcx_ssl.training.launch import Launcher, default_launcher  # takes seconds: not for --help
    from rfcx_ssl.training.sweep import plan_grid, plan_list, summarize
    from rfcx_ssl.training.train import TrainSettings

    if args.list is None:
        launches = plan_grid(args.out, args.overrides)
    else:
        launches = plan_list(args.out, args.overrides, args.list)
    for launch in launches:  # every mistake shows before the first run starts
        load_settings(TrainSettings, "finetune", "train", launch.arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    program = Path(__file__).with_name("train.py")
    failed = Launcher(program, args.launcher or default_launcher(), args.devices, args.out / "logs").run_all(launches)
    print(summarize(launches, args.out, args.sort_by))
    if failed:
        raise RunError(f"{len(failed)} of {len(launches)} runs failed; the same command tries them again")
    return {"out": args.out, "table": args.out / "sweep.csv", "runs": [launch.output_dir for launch in launches]}


if __name__ == "__main__":
    run_program(main)
