"""Pretrain wav2vec 2.0 with the real fairseq-hydra-train, and see how it is doing.

    python pretrain/run.py --config-name wav2vec2_base_32k task.data=data/manifests
    python pretrain/run.py --config-name wav2vec2_demo_32k task.data=data/manifests optimization.max_update=300

Overrides are written key=value as for fairseq-hydra-train itself. Everything lands in checkpoint.save_dir:
checkpoint_last.pt, checkpoint_best.pt, metrics.csv, health.json, curves.png, tensorboard/, run.json, console.log.
The same command again resumes there. Ctrl-C (or SIGTERM) saves and exits; a second one kills.
"""

import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rfcx_ssl.config import config_root
from rfcx_ssl.program import Answer, Parser, add_threads, run_program

if TYPE_CHECKING:
    from rfcx_ssl.pretraining.run import Progress


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse the command line, train, say where the result is."""
    parser = Parser(__doc__)
    parser.add_argument("--config-name", required=True, help="file in --config-dir, without .yaml")
    parser.add_argument(
        "--config-dir", type=Path, default=config_root() / "pretrain", help="default: configs/pretrain"
    )
    parser.add_argument(
        "--auto-stop", action="store_true", help="stop, with exit code 2, when the codes collapse or the loss is NaN"
    )
    add_threads(parser)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="any setting of the config")
    args = parser.parse_intermixed_args(argv)
    from rfcx_ssl.pretraining.run import PretrainRequest, run_pretraining  # torch comes late: --help answers at once

    request = PretrainRequest(
        config_dir=args.config_dir,
        config_name=args.config_name,
        overrides=tuple(args.overrides),
        user_dir=Path(__file__).parent / "fairseq_plugin",
        auto_stop=args.auto_stop,
        threads=args.threads,
    )
    save_dir = run_pretraining(request, _Display())
    print(f"wrote {save_dir}: checkpoint_last.pt, metrics.csv, curves.png")
    return {"out": save_dir, "health": json.loads((save_dir / "health.json").read_text(encoding="utf-8"))}


class _Display:
    """One line per log line; on a terminal the line is redrawn in place unless the verdict changes."""

    def __init__(self) -> None:
        self.state = ""
        self.in_place = sys.stdout.isatty()

    def __call__(self, progress: "Progress") -> None:
        eta = "?" if math.isnan(progress.eta_s) else time.strftime("%H:%M:%S", time.gmtime(progress.eta_s % 86400))
        days = f"{int(progress.eta_s // 86400)}d " if progress.eta_s >= 86400 else ""
        share = progress.num_updates / max(progress.max_update, 1)
        line = (
            f"{progress.num_updates}/{progress.max_update} ({share:.0%}), {progress.updates_per_s:.2f} updates/s, "
            f"{days}{eta} left | {progress.health.state}: {progress.health.message}"
        )
        end = "\n" if not self.in_place or progress.health.state != self.state else ""
        self.state = progress.health.state
        print(f"\r\033[K{line}" if self.in_place else line, end=end, flush=True)


if __name__ == "__main__":
    run_program(main)
