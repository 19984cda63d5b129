"""Turn a transformers wav2vec 2.0 encoder into a fairseq checkpoint, to go on pretraining it on other audio.

    python pretrain/export_fairseq.py encoders/base32k --out continued/base32k
    python pretrain/export_fairseq.py facebook/wav2vec2-base --out continued/base --sample-rate 32000
    python pretrain/run.py --config-dir continued/base --config-name continue task.data=data/manifests

The way back of convert.py, with the same proof. Writes checkpoint.pt, continue.yaml (a complete pretraining config that
starts from it) and parity.json. An encoder without quantizer and projections gets new ones. --sample-rate resamples the
first convolution, or scales the windows of a log-mel, and measures how far that moves the features.
"""

from collections.abc import Sequence
from pathlib import Path

from rfcx_ssl.program import Answer, Parser, add_threads, run_program
from rfcx_ssl.threads import use_threads


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse the command line, export, prove, report."""
    parser = Parser(__doc__)
    parser.add_argument("encoder", help="encoder directory, or a model on the hub")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder")
    parser.add_argument("--sample-rate", type=int, metavar="HZ", help="rate to go on at (default: the encoder's)")
    parser.add_argument(
        "--audio", type=Path, nargs="+", default=[], help="files for the proof (default: noise, sweeps)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    add_threads(parser)
    args = parser.parse_args(argv)
    from transformers.utils.logging import disable_progress_bar  # takes seconds: not for --help

    from rfcx_ssl.pretraining.export_fairseq import CONFIG, export_fairseq

    use_threads(args.threads)
    disable_progress_bar()
    report = export_fairseq(
        args.encoder, args.out, sample_rate_hz=args.sample_rate, audio=args.audio, overwrite=args.overwrite
    )
    print(
        f"parity: last hidden state {report['max_abs_difference_last_hidden_state']:.1e} (below {report['tolerance']:g})"
    )
    if report["random_weights"]:
        names = sorted({name.split(".")[0] for name in report["random_weights"]})
        print(f"new, with random weights: {', '.join(names)}")
    if change := report["rate_change"]:
        low_khz = min(change["old_hz"], change["new_hz"]) / 2000
        print(
            f"{change['old_hz']} -> {change['new_hz']} Hz: {change['front_end']}. The features move by "
            f"{change['shared_band']:.1%} on sound below {low_khz:g} kHz, by {change['full_band']:.1%} on sound that "
            "reaches above it"
        )
    print(
        f"go on with: python pretrain/run.py --config-dir {args.out} --config-name {Path(CONFIG).stem} task.data=DIR"
    )
    return {"out": args.out, **report}


if __name__ == "__main__":
    run_program(main)
