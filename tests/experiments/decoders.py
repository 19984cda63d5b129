"""Which decoder? Thresholds with hysteresis against change points, by event F1 and PSDS on the synthetic truth.

python tests/experiments/decoders.py data/demo/rfcx runs/decoders runs/demo/all_pretrained [RUN ...]
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

from rfcx_ssl.data import load_truth
from rfcx_ssl.evaluation.reference import complete_reference
from rfcx_ssl.evaluation.runs import read_run
from rfcx_ssl.evaluation.systems import hear_all


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forest", type=Path)
    parser.add_argument("out", type=Path, help="frame scores are kept here, and tables written")
    parser.add_argument("runs", type=Path, nargs="+")
    args = parser.parse_args()
    reference = complete_reference(load_truth(args.forest), args.forest, "test recordings")
    args.out.mkdir(parents=True, exist_ok=True)
    for run in args.runs:
        frames_of(run, reference, args.out)


def frames_of(run, reference, out):
    """Frame probabilities (T, S) of each recording and the length of a frame; heard once, then read."""
    path = out / f"{run.name}.npz"
    if not path.exists():
        heard = hear_all({run.name: read_run(run)}, reference, "cpu", Console())[run.name]
        frames = {name: heard.frames[row] for row, name in enumerate(reference.recording_ids)}
        np.savez(path, frame_s=heard.grid.frame_s, durations_s=heard.durations_s, **frames)
    with np.load(path) as file:
        return [file[name] for name in reference.recording_ids], file["durations_s"].tolist(), float(file["frame_s"])


if __name__ == "__main__":
    main()
