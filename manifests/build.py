"""Turn folders of recordings into manifests that fairseq reads: stage 1 of the chain.

    python manifests/build.py AUDIO_DIR... --out DIR [--set key=value ...]

Writes resampled segments (DIR/audio), train.tsv and valid.tsv for fairseq-hydra-train, segments.parquet (what is known
about every segment), quarantine.csv (files left out, and why) and manifest.json (settings, counts, warnings). A second
run does only what is new; an interrupted run is continued by the same command. Settings: configs/manifest/build.yaml.
"""

from contextlib import ExitStack
from pathlib import Path

from rfcx_ssl.config import load_settings
from rfcx_ssl.manifest.build import Build, build_manifest, print_report
from rfcx_ssl.manifest.excluded import read_recording_ids
from rfcx_ssl.manifest.places import read_places
from rfcx_ssl.manifest.roots import parse_roots
from rfcx_ssl.manifest.settings import ManifestSettings
from rfcx_ssl.program import Answer, Parser, add_workers, run_program
from rfcx_ssl.progress import progress_bar
from rfcx_ssl.threads import choose_workers
from rfcx_ssl.workers import open_workers


def parser() -> Parser:
    """The command line."""
    result = Parser(__doc__)
    result.add_argument("roots", nargs="+", metavar="AUDIO_DIR", help="folder or file; LABEL=DIR names a root")
    result.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="manifest folder, new or to be continued"
    )
    result.add_argument("--virtual", action="store_true", help="copy nothing: rows point into the recordings")
    add_workers(result)
    result.add_argument(
        "--dask", metavar="tcp://HOST:PORT", help="work on this Dask cluster instead (shared disk needed)"
    )
    result.add_argument("--places", metavar="CSV", help="recording_id, site and/or recorder, to group the split by")
    result.add_argument("--exclude-recordings", metavar="FILE", help="ids to keep out: one per line, or CSV")
    result.add_argument("--exclude-fold", type=int, metavar="K", help="only those whose `fold` column is K")
    result.add_argument("--retry-quarantined", action="store_true", help="try unchanged quarantined files again")
    result.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    return result


def main() -> Answer:
    """Build, then say what was built."""
    args = parser().parse_args()
    settings = load_settings(ManifestSettings, "manifest", "build", args.set)
    excluded = read_recording_ids(args.exclude_recordings, args.exclude_fold) if args.exclude_recordings else set()
    roots = parse_roots(args.roots)
    with ExitStack() as stack:
        workers = stack.enter_context(open_workers(choose_workers(args.workers), args.dask))
        report = build_manifest(
            Build(
                roots=roots,
                out=args.out,
                settings=settings,
                virtual=args.virtual,
                excluded=excluded,
                places=read_places(args.places) if args.places else {},
                workers=workers,
                retry=args.retry_quarantined,
                progress=stack.enter_context(progress_bar()),
            )
        )
    print_report(report, args.out)
    return {"out": args.out, "report": report}


if __name__ == "__main__":
    run_program(main)
