"""Save a trained model so that it runs where rfcx-ssl is not installed: with its own code, or as ONNX.

  rfcx-ssl export runs/demo/all_pretrained/model --out shared/frogs
  rfcx-ssl export USER/NAME --out shared/frogs --onnx

The folder loads with transformers.AutoModel.from_pretrained("shared/frogs", trust_remote_code=True). --onnx adds
model.onnx: any number of clips of one window, frame and clip logits out.
"""

import argparse
from pathlib import Path

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.files import atomic_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl export``."""
    parser.add_argument("model", metavar="DIR_OR_HUB_ID", help="RUN/model, or a model on the hub")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder")
    parser.add_argument("--onnx", action="store_true", help="write model.onnx, too (extra rfcx-ssl[onnx])")


def run(args: argparse.Namespace) -> None:
    """Export as the parsed arguments say."""
    from rfcx_ssl.inference.load import load_model  # torch comes late: --help answers at once
    from rfcx_ssl.models.export_code import save_with_code
    from rfcx_ssl.models.export_onnx import export_onnx

    if args.out.exists():
        raise ConfigError(f"--out {args.out} exists; choose a new folder")
    model = load_model(args.model)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(args.out) as temporary:
        save_with_code(model, temporary)
        if args.onnx:
            export_onnx(model, temporary / "model.onnx")
