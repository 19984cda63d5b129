"""Cross-validate: train every fold (and seed) as its own launch, then pool the out-of-fold scores.

    python finetune/crossval.py --out runs/cv model=panns_cnn14 data=rfcx data.root=DIR max_steps=3000
    python finetune/crossval.py --out runs/cv model=panns_cnn14 data=rfcx data.root=DIR max_steps=3000 --seeds 0 1 2 --devices 0 1 2 3

--devices runs one training per GPU; for one training on several GPUs give --launcher "python finetune/launch.py
--config_file configs/accelerate/ddp.yaml". Stopped at any moment, the same command goes on: finished folds are kept,
the one at work resumes from its checkpoint. Writes OUT/seed_S/fold_F (run folders), OUT/oof.parquet,
OUT/oof_boxes.parquet, OUT/crossval.json and OUT/crossval.csv.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import RunError
from rfcx_ssl.program import Answer, Parser, run_program
from rfcx_ssl.training.arguments import gather_lists, numbers, words


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse, launch, pool."""
    parser = Parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the cross-validation")
    parser.add_argument("--folds", type=numbers, metavar="N ...", help="folds to run (default: all of data.num_folds)")
    parser.add_argument(
        "--seeds", type=numbers, default=[0], metavar="N ...", help="RNG seeds (default: 0); folds stay the same"
    )
    parser.add_argument("--launcher", help="words before train.py (default: this Python)")
    parser.add_argument("--devices", type=words, default=[], metavar="ID ...", help="GPUs: one run at a time on each")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples of the intervals")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings, as for finetune/train.py")
    arguments = sys.argv[1:] if argv is None else argv
    args = parser.parse_intermixed_args(gather_lists(arguments, ("--folds", "--seeds", "--devices")))
    from rfcx_ssl.training.crossval import plan, pool, summary_text  # takes seconds: not for --help
    from rfcx_ssl.training.launch import Launcher, default_launcher
    from rfcx_ssl.training.train import TrainSettings

    # Mistakes in the settings show here, once, and not in every run.
    settings = load_settings(TrainSettings, "finetune", "train", [*args.overrides, f"output_dir={args.out}"])
    launches = plan(args.out, args.overrides, args.folds or range(settings.data.num_folds), args.seeds)
    args.out.mkdir(parents=True, exist_ok=True)
    program = Path(__file__).with_name("train.py")
    failed = Launcher(program, args.launcher or default_launcher(), args.devices, args.out / "logs").run_all(launches)
    if failed:
        raise RunError(
            f"failed: {', '.join(str(launch.output_dir) for launch in failed)}; the same command tries again"
        )
    summary = pool(launches, args.out, resamples=args.resamples)
    print(summary_text(summary))
    counts = f"{summary['recordings']} recordings, {summary['boxes']} boxes, {len(launches)} runs"
    print(f"{counts}: {args.out / 'crossval.json'}", file=sys.stderr)
    return {"out": args.out, **summary}


if __name__ == "__main__":
    run_program(main)
