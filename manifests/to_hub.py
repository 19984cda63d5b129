"""Publish a prepared manifest folder as a Hugging Face data set (audio folder with metadata).

    python manifests/to_hub.py DIR --export FOLDER                       # look at it first
    python manifests/to_hub.py DIR --export FOLDER --repo-id USER/NAME   # and upload it

FOLDER then loads with datasets.load_dataset(FOLDER). The upload needs a token (hf auth login); the data set is private
unless --public is given. Only segments that are in train or valid are exported, and no path of this machine.
"""

from pathlib import Path

from rfcx_ssl.manifest.hub_export import export_folder, push_folder
from rfcx_ssl.program import Answer, Parser, run_program


def main() -> Answer:
    """Export, then upload where asked."""
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="what manifests/build.py --out wrote")
    parser.add_argument("--export", type=Path, required=True, metavar="FOLDER", help="new folder for the data set")
    parser.add_argument("--repo-id", metavar="USER/NAME", help="data set on the hub to upload to")
    parser.add_argument("--public", action="store_true", help="let everyone see it")
    args = parser.parse_args()
    counts = export_folder(args.folder, args.export)
    print(f"{args.export}: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + " segments")
    url = push_folder(args.export, args.repo_id, private=not args.public) if args.repo_id else None
    if url:
        print(url)
    return {"out": args.export, "segments": counts, "url": url}


if __name__ == "__main__":
    run_program(main)
