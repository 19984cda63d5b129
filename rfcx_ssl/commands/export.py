"""Save a trained model so that it runs where rfcx-ssl is not installed.

  rfcx-ssl export runs/demo/all_pretrained/model --out shared/frogs
  rfcx-ssl export runs/demo/all_pretrained/model --out shared/onnx --format onnx

--format hf (the default) writes what finetune/push.py would push (docs/hub.md), weights and code included:
transformers.AutoModel.from_pretrained("shared/frogs", trust_remote_code=True) loads them. --format onnx writes model.onnx, which rfcx-ssl detect --set backend=onnx also uses;
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
    from rfcx_ssl.hub.facts import ModelFacts

FORMATS = ("hf", "onnx", "torchscript")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of ``rfcx-ssl export``."""
    parser.add_argument(
        "model", metavar="DIR_OR_HUB_ID", help="run folder, RUN/model, or a model on the hub (id or id@revision)"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder")
    parser.add_argument(
        "--format", action="append", choices=FORMATS, help="repeat for several (default hf; onnx: rfcx-ssl[onnx])"
    )


def run(args: argparse.Namespace) -> Answer:
    """Export as the parsed arguments say."""
    from rfcx_ssl.hub.facts import find_model_facts  # torch comes late: --help answers at once

    if args.out.exists():
        raise ConfigError(f"--out {args.out} exists; choose a new folder")
    facts, formats = find_model_facts(args.model), set(args.format or ("hf",))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(args.out) as temporary:
        _export(facts, args.out.name, formats, temporary)
    return {"out": args.out, "files": sorted(path.name for path in args.out.iterdir())}


def _export(facts: "ModelFacts", name: str, formats: set[str], folder: Path) -> None:
    from rfcx_ssl.hub.card import Choices
    from rfcx_ssl.hub.folder import write_model_folder, write_onnx
    from rfcx_ssl.inference.load import load_model
    from rfcx_ssl.inference.scorer import TorchScorer
    from rfcx_ssl.models.export_torchscript import export_torchscript

    if "hf" in formats:
        write_model_folder(facts, folder, Choices(name), onnx="onnx" in formats)
        formats = formats - {"hf", "onnx"}
    if not formats:
        return
    scorer = TorchScorer(load_model(str(facts.folder)), str(facts.folder))
    if "onnx" in formats:
        write_onnx(scorer, folder)
    if "torchscript" in formats:
        export_torchscript(scorer.model, folder / "model.pt", scorer.windows.on_grid(scorer.grid)[0])
