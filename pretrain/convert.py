"""Turn a fairseq wav2vec 2.0 checkpoint into a transformers encoder directory, and prove that both compute the same.

    python pretrain/convert.py runs/pretrain/wav2vec2_base_32k/checkpoint_best.pt --out encoders/base32k

The conversion reads the checkpoint safely and without fairseq. The proof then runs the same audio through fairseq and
transformers; the largest differences are printed and stored in parity.json. From 1e-4 upwards nothing is written and
the exit code is 2. Writes config.json (with rfcx_ssl.sample_rate_hz), model.safetensors, preprocessor_config.json.
"""

from collections.abc import Sequence
from pathlib import Path

from rfcx_ssl.program import Answer, Parser, add_threads, run_program
from rfcx_ssl.threads import use_threads


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse the command line, convert, prove, report."""
    parser = Parser(__doc__)
    parser.add_argument("checkpoint", type=Path, help="checkpoint written by fairseq-hydra-train")
    parser.add_argument("--out", type=Path, required=True, help="new encoder directory")
    parser.add_argument(
        "--audio", type=Path, nargs="+", default=[], help="files for the proof (default: noise, sweeps)"
    )
    parser.add_argument("--heads", action="store_true", help="keep quantizer and projections (Wav2Vec2ForPreTraining)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier encoder directory")
    add_threads(parser)
    args = parser.parse_args(argv)
    from transformers.utils.logging import disable_progress_bar  # takes seconds: not for --help

    from rfcx_ssl.pretraining.export import export_encoder

    use_threads(args.threads)
    disable_progress_bar()
    report = export_encoder(args.checkpoint, args.out, audio=args.audio, heads=args.heads, overwrite=args.overwrite)
    for case in report["cases"]:
        print(f"{case['audio']}: {case['frames']} frames, largest difference {case['hidden_difference']:.1e}")
    print(
        f"parity: last hidden state {report['max_abs_difference_last_hidden_state']:.1e}, "
        f"features {report['max_abs_difference_extractor_features']:.1e} (must be below {report['tolerance']:g})"
    )
    if reach_s := report["extractor_reach_s"]:
        print(f"features of a frame depend on the audio within {reach_s:.2f} s of it, and on nothing else")
    print(f"wrote {args.out} ({report['num_updates']} updates, {report['sample_rate_hz']} Hz)")
    return {"out": args.out, **report}


if __name__ == "__main__":
    run_program(main)
