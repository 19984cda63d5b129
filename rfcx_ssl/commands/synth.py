"""``rfcx-ssl synth``: write a synthetic rainforest in RFCX's layout."""

import argparse
from pathlib import Path

from rich.console import Console

from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.program import Answer, add_workers
from rfcx_ssl.progress import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl synth``."""
    parser.add_argument("out", type=Path, nargs="?", help="new folder for train/, test/ and the tables")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="any setting of configs/synth")
    parser.add_argument("--preset", default="demo", help="tiny, demo or full (default: demo)")
    parser.add_argument("--seed", type=int, help="the same seed gives the same bytes (default: the preset's)")
    add_workers(parser)
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw one spectrogram per song type")


def run(args: argparse.Namespace) -> Answer:
    """Generate the forest that the parsed arguments describe, draw its calls, or both."""
    from rfcx_ssl.synth.settings import SynthSettings  # late, with SciPy: --help answers at once

    out, overrides = args.out, args.overrides
    if out is not None and "=" in out.name:  # no folder was named: the first word is a setting
        out, overrides = None, [str(out), *overrides]
    if out is None and args.picture is None:
        raise ConfigError("synth needs OUT, the folder to make, or --picture FILE.png")
    seed = [] if args.seed is None else [f"seed={args.seed}"]
    settings = load_settings(SynthSettings, "synth", args.preset, [*overrides, *seed])
    if args.picture is not None:
        from rfcx_ssl.pictures.song_types import contact_sheet

        contact_sheet(args.picture, settings)
    if out is not None:
        from rfcx_ssl.synth.forest import generate

        generate(out, settings, args.workers)
        say(
            Console(),
            f"wrote {out}: {settings.train_recordings} training and {settings.test_recordings} test recordings",
        )
    return {"out": out, "picture": args.picture, "settings": settings}
