"""Compare trained models on test recordings whose every call is known.

  python finetune/compare.py --data data/demo --out runs/demo/comparison \
      pretrained=runs/demo/w2v random=runs/demo/w2v-random panns=runs/demo/panns \
      --pretrained pretrained --random-init random --gates

Reads the audio files below ROOT/test and ROOT/truth.csv (docs/metrics.md says what is in it); each RUN_DIR is a run folder
(its model/ is used) or a model directory, heard through the windows it was validated with.
Prints a table beside two floors and writes comparison.csv, species.csv, gates.json, report.html and its pictures into DIR.
With --gates the exit code is 3 when a gate does not hold.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rfcx_ssl.errors import ConfigError, run_program
from rfcx_ssl.report.compare import CompareRequest, compare, require_gates


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, compare, check the gates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN_DIR", help="a name for the table and a run folder")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="data set with test/ and truth.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--pretrained", metavar="NAME", help="run that started from a pretrained encoder")
    parser.add_argument("--random-init", metavar="NAME", help="the same run from random weights")
    parser.add_argument("--gates", action="store_true", help="exit with 3 when a gate does not hold")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default 0)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or auto")
    args = parser.parse_args(argv)
    if args.gates and not (args.pretrained and args.random_init):
        raise ConfigError("--gates needs --pretrained NAME and --random-init NAME: the second gate compares them")
    request = CompareRequest(
        data=args.data,
        out=args.out,
        runs=parse_runs(args.runs),
        pretrained=args.pretrained,
        random_init=args.random_init,
        resamples=args.resamples,
        seed=args.seed,
        device=args.device,
        command=shlex.join(["python", *sys.argv]),
    )
    console = Console()
    result = compare(request, console if console.is_terminal else Console(width=130))
    if args.gates:
        require_gates(result.gates)


def parse_runs(pairs: Sequence[str]) -> dict[str, Path]:
    """``NAME=RUN_DIR`` pairs, names unique."""
    runs: dict[str, Path] = {}
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not (name and equals and folder) or name in runs:
            raise ConfigError(f"{pair!r}: need NAME=RUN_DIR with a name of its own")
        runs[name] = Path(folder)
    return runs


if __name__ == "__main__":
    run_program(main)
