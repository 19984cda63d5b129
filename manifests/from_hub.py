"""Prepare the recordings of a Hugging Face data set with an audio column, streamed, without torchcodec.

    python manifests/from_hub.py NAME_OR_PATH --out DIR [--split train] [--set key=value ...]

NAME_OR_PATH is a hub id (USER/NAME), a folder that datasets.load_dataset reads (audiofolder, Parquet), or what
save_to_disk wrote. The result is what manifests/build.py writes; a second run continues, and skips what is done.
"""

from contextlib import ExitStack
from pathlib import Path

from rfcx_ssl.config import load_settings
from rfcx_ssl.manifest.build import Build, print_report
from rfcx_ssl.manifest.excluded import read_recording_ids
from rfcx_ssl.manifest.hub_source import HubSource, build_from_hub
from rfcx_ssl.manifest.settings import ManifestSettings
from rfcx_ssl.program import Answer, Parser, add_workers, run_program
from rfcx_ssl.progress import progress_bar
from rfcx_ssl.threads import choose_workers
from rfcx_ssl.workers import open_workers


def main() -> Answer:
    """Stream, prepare, say what was built."""
    parser = Parser(__doc__)
    parser.add_argument("path", metavar="NAME_OR_PATH", help="hub id or local folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="manifest folder")
    parser.add_argument("--config", metavar="NAME", help="configuration of the data set, where it has several")
    parser.add_argument("--split", default="train", help="split of the data set (default: train)")
    parser.add_argument("--column", help="audio column, where there are several")
    parser.add_argument("--site-column", metavar="NAME", help="column that names the site, to group the split by")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N rows")
    add_workers(parser)
    parser.add_argument("--exclude-recordings", metavar="FILE", help="ids to keep out: one per line, or CSV")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    args = parser.parse_args()
    with ExitStack() as stack:
        build = Build(
            roots=(),
            out=args.out,
            settings=load_settings(ManifestSettings, "manifest", "build", args.set),
            excluded=read_recording_ids(args.exclude_recordings) if args.exclude_recordings else set(),
            workers=stack.enter_context(open_workers(choose_workers(args.workers))),
            progress=stack.enter_context(progress_bar()),
        )
        source = HubSource(
            path=args.path,
            name=args.config,
            split=args.split,
            column=args.column,
            site_column=args.site_column,
            limit=args.limit,
        )
        report = build_from_hub(build, source)
    print_report(report, args.out)
    return {"out": args.out, "report": report}


if __name__ == "__main__":
    run_program(main)
