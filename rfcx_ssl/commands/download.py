"""``rfcx-ssl download``: fetch the RFCX competition archive from Kaggle and verify it.

Kaggle asks for an account that accepted the competition's rules and for a token: KAGGLE_API_TOKEN, or KAGGLE_USERNAME
and KAGGLE_KEY, or ~/.kaggle/kaggle.json. An archive that is already there is checked with --verify. Checked are the
tables (columns, rows), the number of recordings, that every recording of the tables exists, and of every FLAC the rate,
the channels and the checksum in its header.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.archive import ArchiveLayout, fetch_archive, verify_archive
from rfcx_ssl.program import Answer, add_workers
from rfcx_ssl.progress import progress_bar
from rfcx_ssl.threads import choose_workers
from rfcx_ssl.workers import open_workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl download``."""
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT", help="folder to download into")
    parser.add_argument("--verify", type=Path, metavar="ROOT", help="only verify an unpacked archive")
    parser.add_argument("--no-checksums", action="store_true", help="read headers only: a minute instead of several")
    parser.add_argument("--any-size", action="store_true", help="accept other counts and rates (synthetic forests)")
    add_workers(parser)


def run(args: argparse.Namespace) -> Answer:
    """Download (or not), verify, say so."""
    if (args.out is None) == (args.verify is None):
        raise ManifestError("download needs OUT, the folder to download into, or --verify ROOT")
    root = args.verify or fetch_archive(args.out)
    if not root.is_dir():
        raise ManifestError(f"{root}: no such folder")
    with ExitStack() as stack:
        problems = verify_archive(
            root,
            stack.enter_context(open_workers(choose_workers(args.workers))),
            layout=None if args.any_size else ArchiveLayout(),
            checksums=not args.no_checksums,
            progress=stack.enter_context(progress_bar()),
        )
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    if problems:
        raise ManifestError(f"{root}: {len(problems)} problems; download it again", {"problems": problems})
    sys.stdout.write(f"{root}: complete. Use it as data.root={root}\n")
    return {"root": root}
