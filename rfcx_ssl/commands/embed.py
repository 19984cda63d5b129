"""Turn recordings into vectors: one per window, or one per event.

  rfcx-ssl embed recording.flac --model runs/demo/all_pretrained/model --out vectors
  rfcx-ssl embed card --model encoders/base32k --out vectors --layer 6 --format npz

--model is a trained model (the vector is the mean of what its head sees), or the directory of a pretrained encoder of the
wav2vec family (the mean of its last layer). Writes embeddings.parquet (recording, start_s, end_s, vector), or
embeddings.npz, or a database of perch-hoplite, and embed.json. Files that cannot be read are listed in errors.csv, and the
exit code is then 3.
"""

import argparse
from pathlib import Path

from rich.console import Console

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.program import Answer, add_device, add_threads, finite, positive
from rfcx_ssl.threads import use_threads

FORMATS = ("parquet", "npz", "hoplite")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl embed``."""
    parser.add_argument("sources", nargs="+", metavar="FILES", help="audio files, folders, patterns, URLs")
    parser.add_argument("--model", required=True, metavar="DIR_OR_HUB_ID", help="a trained model, or a bare encoder")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder")
    parser.add_argument(
        "--format",
        action="append",
        choices=FORMATS,
        help="repeat for several (default parquet; hoplite: perch-hoplite)",
    )
    parser.add_argument(
        "--events",
        type=Path,
        metavar="CSV",
        help="recording, start_s, end_s: a vector per event instead of per window",
    )
    parser.add_argument("--layer", type=int, metavar="N", help="of a wav2vec-family encoder; 0 is before the first")
    parser.add_argument("--window-s", type=finite, metavar="S", help="default: as validated; of a bare encoder 5")
    parser.add_argument("--overlap", type=finite, metavar="SHARE", help="default: as validated; of a bare encoder 0")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="N", help="windows at once (default 8)")
    add_device(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> Answer:
    """Embed as the parsed arguments say."""
    from rfcx_ssl.detection.embed import EmbedRequest, embed  # torch comes late: --help answers at once
    from rfcx_ssl.inference.embedder import open_embedder
    from rfcx_ssl.inference.settings import WindowSettings

    use_threads(args.threads)
    try:
        windows = WindowSettings(window_s=args.window_s, overlap=args.overlap)
    except ValueError as error:
        raise ConfigError(f"rfcx-ssl embed: {error}") from None
    request = EmbedRequest(
        sources=args.sources,
        model=args.model,
        out=args.out,
        formats=args.format or ("parquet",),
        events=args.events,
        batch_size=args.batch_size,
    )
    embedder = open_embedder(args.model, layer=args.layer, windows=windows, device=args.device)
    return {"out": args.out, **embed(request, embedder, Console(stderr=True))}
