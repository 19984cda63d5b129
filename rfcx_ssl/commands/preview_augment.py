"""``rfcx-ssl preview-augment``: write WAV files and before/after pictures of the augmentations, to hear and see them.

The crops and their labels are those that training draws from the data set. The folder OUT gets one picture per
transform, a picture of the whole chain, and crop0/, crop1/, ... with WAV files. Settings of the data begin with data.
Example: rfcx-ssl preview-augment out pink_noise.snr_min_db=0 data.crop_s=3 --data data/rfcx --config strong
"""

import argparse
from pathlib import Path

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.program import Answer

DATA_PREFIX = "data."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl preview-augment``."""
    parser.add_argument("out", type=Path, help="new folder for the WAV files and pictures")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings, such as pink_noise.p=1 or data.absent_share=0"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder in RFCX's layout: train/, train_tp.csv")
    parser.add_argument("--data-config", default="rfcx", help="rfcx or synth: settings of the data (default: rfcx)")
    parser.add_argument("--config", default="standard", help="none, standard, strong or demo (default: %(default)s)")
    parser.add_argument("--count", type=int, default=4, help="crops to show (default: %(default)s)")
    parser.add_argument("--hop", type=int, default=640, metavar="SAMPLES", help="of one label frame")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> Answer:
    """Draw crops, augment them, write what came out."""
    from rfcx_ssl.augment.chain import AugmentSettings
    from rfcx_ssl.config import load_settings
    from rfcx_ssl.data import CropDataset, load_corpus
    from rfcx_ssl.data.settings import load_data_settings
    from rfcx_ssl.frames import FrameGrid
    from rfcx_ssl.pictures.preview import write_preview
    from rfcx_ssl.threads import use_threads

    if args.count < 1 or args.hop < 1:
        raise ConfigError("need --count >= 1 and --hop >= 1")
    of_data = [key.removeprefix(DATA_PREFIX) for key in args.overrides if key.startswith(DATA_PREFIX)]
    of_augment = [key for key in args.overrides if not key.startswith(DATA_PREFIX)]
    config = load_settings(AugmentSettings, "finetune/augment", args.config, of_augment)
    use_threads()
    corpus = load_corpus(load_data_settings(args.data, args.data_config, of_data))
    grid = FrameGrid(corpus.settings.sample_rate_hz, args.hop)
    dataset = CropDataset(corpus, None, grid, length=args.count, seed=args.seed)
    shown = write_preview(args.out, dataset, args.count, config, args.seed)
    print(f"{args.out}: {', '.join(shown)}; pictures beside the folders of WAV files")  # noqa: T201
    return {"out": args.out, "shown": shown}
