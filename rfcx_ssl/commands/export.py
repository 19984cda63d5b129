"""Save a trained model so that it runs where rfcx-ssl is not installed.

  rfcx-ssl export runs/demo/all_pretrained/model --out shared/frogs
  rfcx-ssl export runs/demo/all_pretrained/model --out shared/onnx --format onnx

--format hf (the default) writes weights and code: transformers.AutoModel.from_pretrained("shared/frogs",
trust_remote_code=True) loads them. --format onnx writes model.onnx, which rfcx-ssl detect --set backend=onnx also uses;
--format torchscript writes model.pt for C++. What an ONNX or TorchScript file says of noise is compared with what the
model says before it is put in place. Repeat --format for several of them in one folder.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.files import atomic_folder
from rfcx_ssl.program import Answer

if TYPE_CHECKING:
    from rfcx_ssl.models.modeling import RainforestSedModel

FORMATS = ("hf", "onnx", "torchscript")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl export``."""
    parser.add_argument("model", metavar="DIR_OR_HUB_ID", help="RUN/model, or a model on the hub (id or id@revision)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder")
    parser.add_argument(
        "--format", action="append", choices=FORMATS, help="repeat for several (default hf; onnx: rfcx-ssl[onnx])"
    )


def run(args: argparse.Namespace) -> Answer:
    """Export as the parsed arguments say."""
    from rfcx_ssl.inference.load import load_model  # torch comes late: --help answers at once

    if args.out.exists():
        raise ConfigError(f"--out {args.out} exists; choose a new folder")
    model = load_model(args.model)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(args.out) as temporary:
        for name in dict.fromkeys(args.format or ("hf",)):
            _export(model, args.model, name, temporary)
    return {"out": args.out, "files": sorted(path.name for path in args.out.iterdir())}


def _export(model: "RainforestSedModel", name: str, kind: str, folder: Path) -> None:
    from rfcx_ssl.inference.onnx_check import check_onnx
    from rfcx_ssl.inference.scorer import TorchScorer
    from rfcx_ssl.models.export_code import save_with_code
    from rfcx_ssl.models.export_onnx import export_onnx
    from rfcx_ssl.models.export_torchscript import export_torchscript

    scorer = TorchScorer(model, name)
    num_samples, _ = scorer.windows.on_grid(scorer.grid)
    if kind == "hf":
        save_with_code(model, folder)
    elif kind == "onnx":
        export_onnx(model, folder / "model.onnx", num_samples)
        check_onnx(folder / "model.onnx", scorer)
    else:
        export_torchscript(model, folder / "model.pt", num_samples)
