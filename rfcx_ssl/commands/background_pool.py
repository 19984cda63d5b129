"""Write a pool of background audio for ``augment.background``: short pieces of unlabelled recordings in one long row.

Example: rfcx-ssl background-pool data/background AUDIO_DIR... --seconds 3600
Then: augment=strong augment.background.p=0.5 augment.background.pool=data/background
"""

import argparse
from pathlib import Path

from rfcx_ssl.augment.pool import write_pool
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.program import Answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("out", type=Path, help="new folder for samples.npy and pool.json")
    parser.add_argument("audio", type=Path, nargs="+", help="audio files, or folders that are searched for them")
    parser.add_argument("--sample-rate", type=int, default=32_000, metavar="HZ", help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the pool (default: %(default)s)")
    parser.add_argument("--piece", type=float, default=10.0, metavar="SECONDS", help="length of one piece of a file")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> Answer:
    """Write the pool that the parsed arguments describe."""
    if args.sample_rate < 1 or args.seconds <= 0 or args.piece <= 0:
        raise ConfigError("need --sample-rate >= 1, --seconds > 0 and --piece > 0")
    write_pool(args.out, args.audio, args.sample_rate, args.seconds, args.piece, args.seed)
    return {"out": args.out}
