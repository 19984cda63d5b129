"""Look at a folder of recordings and label tables, and write what a first model of it needs.

  rfcx-ssl init my_recordings --complete tables
  rfcx-ssl init new_folder --dataset FOLDER_OR_HUB_ID

Audio and label tables (Raven, Audacity, CSV, BirdNET, Kaleidoscope; docs/labels.md) lie anywhere below DIR. Writes
DIR/species.csv, where there is none, and DIR/project.yaml with a reason for every setting, and says what to run next.
"""

import argparse
import shlex
import sys
from datetime import date
from pathlib import Path

from rfcx_ssl import __version__
from rfcx_ssl.annotations.layout import SPECIES_TABLE
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.files import write_text
from rfcx_ssl.program import Answer

PROJECT_FILE = "project.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl init``."""
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder with audio and label tables")
    parser.add_argument(
        "--complete",
        choices=("listed", "tables", "all"),
        default="listed",
        help="where every call is marked, so that the rest is absent: in recordings that are listed as such (default), "
        "that have a label table, or in all",
    )
    parser.add_argument(
        "--dataset", metavar="FOLDER_OR_HUB_ID", help="first write this datasets data set with events into DIR"
    )
    parser.add_argument("--split", default="train", help="split of --dataset (default train)")
    parser.add_argument("--force", action="store_true", help="write project.yaml anew where there is one")


def run(args: argparse.Namespace) -> Answer:
    """Look, write, say what comes next."""
    path = args.dir / PROJECT_FILE
    if path.exists() and not args.force:
        raise ConfigError(f"{path} is there already: edit it, or write it anew with --force")
    from rfcx_ssl.data.first_look import describe, look, project_text

    if args.dataset is not None:
        from rfcx_ssl.data.from_dataset import write_recordings
        from rfcx_ssl.manifest.hub_source import HubSource

        write_recordings(HubSource(path=args.dataset, split=args.split), args.dir)
    found = look(args.dir, args.complete)
    write_text(path, project_text(found, date=date.today().isoformat(), version=__version__))
    say = sys.stdout.write
    say("".join(f"{line}\n" for line in describe(found)))
    if not found.annotations.has_negatives:
        say("nothing is known to be absent: where every call was marked, say so with --complete tables (or all)\n")
    say(f"wrote {path}; species are in {args.dir / SPECIES_TABLE}. Next:\n")
    for command in next_commands(args.dir):
        say(f"  {command}\n")
    return {
        "project": path,
        "species": args.dir / SPECIES_TABLE,
        "found": describe(found),
        "next": next_commands(args.dir),
    }


def next_commands(folder: Path) -> list[str]:
    """What to run next, as one types it."""
    project, run, found = shlex.quote(str(folder / PROJECT_FILE)), f"runs/{folder.resolve().name}", "found"
    return [
        f"rfcx-ssl labels {project}",
        f"python finetune/train.py project={project} output_dir={shlex.quote(run)}",
        f"rfcx-ssl evaluate {shlex.quote(run)} --labels {project} --fold 0 --out {shlex.quote(f'{run}/evaluation')}",
        f"rfcx-ssl detect {shlex.quote(str(folder))} --model {shlex.quote(f'{run}/model')} --out {found} --format csv --format raven",
    ]
