"""``rfcx-ssl preview-augment``: write WAV files and before/after pictures of the augmentations, to hear and see them.

The folder OUT gets one picture per transform, a picture of the whole chain, and clip0/, clip1/, ... with WAV files.
Example: rfcx-ssl preview-augment out pink_noise.snr_min_db=0 --data data/rfcx --config strong
"""

import argparse
from pathlib import Path

from rfcx_ssl.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl preview-augment``."""
    parser.add_argument("out", type=Path, help="new folder for the WAV files and pictures")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, such as pink_noise.p=1")
    parser.add_argument("--data", type=Path, required=True, help="folder in RFCX's layout: train/, train_tp.csv")
    parser.add_argument("--config", default="standard", help="none, standard, strong or demo (default: %(default)s)")
    parser.add_argument("--count", type=int, default=4, help="crops to show (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a crop (default: %(default)s)")
    parser.add_argument("--sample-rate", type=int, default=32_000, metavar="HZ")
    parser.add_argument("--hop", type=int, default=640, metavar="SAMPLES", help="of one label frame")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> None:
    """Draw crops, augment them, write what came out."""
    from rfcx_ssl.augment.chain import AugmentSettings
    from rfcx_ssl.config import load_settings
    from rfcx_ssl.frames import FrameGrid
    from rfcx_ssl.pictures.preview import labelled_crops, write_preview
    from rfcx_ssl.species import rfcx_label_space
    from rfcx_ssl.threads import use_threads

    if args.count < 1 or args.seconds <= 0 or args.sample_rate < 1 or args.hop < 1:
        raise ConfigError("need --count >= 1, --seconds > 0, --sample-rate >= 1 and --hop >= 1")
    config = load_settings(AugmentSettings, "finetune/augment", args.config, args.overrides)
    use_threads()
    grid, space = FrameGrid(args.sample_rate, args.hop), rfcx_label_space()
    examples = labelled_crops(args.data, grid, space, count=args.count, crop_s=args.seconds, seed=args.seed)
    shown = write_preview(args.out, examples, config, grid, space, args.seed)
    print(f"{args.out}: {', '.join(shown)}; pictures beside the folders of WAV files")  # noqa: T201
