"""Compare trained models on test recordings whose every call is known.

  python finetune/compare.py --data data/demo/rfcx --out runs/demo --gate best prior 0.1 --gate mel cnn 0.03 \
      mel=runs/demo/all_pretrained cnn=runs/demo/all_panns

Reads the audio files below ROOT/test and ROOT/truth.csv (docs/metrics.md says what is in it); each RUN_DIR is a run folder
(its model/ is used) or a model directory, heard through the windows it was validated with.
Prints a table beside two floors and writes comparison.csv, species.csv, gates.json, report.html and its pictures into DIR.
--gate BETTER WORSE MARGIN promises that run BETTER is that much above run WORSE in LWLRAP; BETTER may be `best`, WORSE may
be `prior` (then with the prior's knowledge in both). The exit code is 3 when a promise does not hold.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.program import Answer, Parser, add_prevalence, add_threads, run_program
from rfcx_ssl.threads import use_threads


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse, compare, check the gates."""
    parser = Parser(__doc__)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN_DIR", help="a name for the table and a run folder")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="data set with test/ and truth.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--gate",
        nargs=3,
        action="append",
        default=[],
        metavar=("BETTER", "WORSE", "MARGIN"),
        help="see above; repeatable",
    )
    add_prevalence(parser)
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default 0)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or auto")
    add_threads(parser)
    args = parser.parse_args(argv)
    runs = parse_runs(args.runs)
    from rfcx_ssl.report.compare import CompareRequest, compare, require_gates  # torch comes late
    from rfcx_ssl.report.gates import Promise

    use_threads(args.threads)
    request = CompareRequest(
        data=args.data,
        out=args.out,
        runs=runs,
        prevalence=args.prevalence,
        promises=tuple(Promise(better, worse, parse_margin(margin)) for better, worse, margin in args.gate),
        resamples=args.resamples,
        seed=args.seed,
        device=args.device,
        command=shlex.join(["python", *sys.argv]),
    )
    console = Console()
    result = compare(request, console if console.is_terminal else Console(width=130))
    require_gates(result.gates)
    return {"out": args.out, "scores": result.rows, "gates": result.gates}


def parse_runs(pairs: Sequence[str]) -> dict[str, Path]:
    """``NAME=RUN_DIR`` pairs, names unique."""
    runs: dict[str, Path] = {}
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not (name and equals and folder) or name in runs:
            raise ConfigError(f"{pair!r}: need NAME=RUN_DIR with a name of its own")
        runs[name] = Path(folder)
    return runs


def parse_margin(text: str) -> float:
    """The number of a --gate."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--gate: {text!r} is no number") from None


if __name__ == "__main__":
    run_program(main)
