"""Read a manifest folder back and name every line that is wrong.

    python manifests/validate.py DIR [--headers-only]

Checks that every file exists, decodes to its end and has the stated number of samples and rate, that no recording,
group or audio is in both train and valid, that segments.parquet agrees, and that fairseq can fill a batch from each
side. Prints one line per problem (file:line: field='value': rule) and exits with 2 if there is any.
"""

from contextlib import ExitStack
from pathlib import Path

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.validate import load_summary, validate_folder
from rfcx_ssl.program import Answer, Parser, add_workers, run_program
from rfcx_ssl.progress import progress_bar
from rfcx_ssl.threads import choose_workers
from rfcx_ssl.workers import open_workers


def main() -> Answer:
    """Validate one folder."""
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="what manifests/build.py --out wrote")
    parser.add_argument("--headers-only", action="store_true", help="do not decode the audio")
    add_workers(parser)
    parser.add_argument("--dask", metavar="tcp://HOST:PORT", help="work on this Dask cluster instead")
    args = parser.parse_args()
    summary = load_summary(args.folder)
    with ExitStack() as stack:
        workers = stack.enter_context(open_workers(choose_workers(args.workers), args.dask))
        problems = validate_folder(
            args.folder,
            workers,
            decode=not args.headers_only,
            progress=stack.enter_context(progress_bar()),
        )
    for problem in problems:
        print(problem)
    if problems:
        raise ManifestError(f"{args.folder}: {len(problems)} problems", {"problems": problems})
    print(f"{args.folder}: {summary['train_segments']} train and {summary['valid_segments']} valid segments are sound")
    return {"folder": args.folder, **summary}


if __name__ == "__main__":
    run_program(main)
