"""Write a converted encoder as a directory that ``AutoModel.from_pretrained`` loads, with its proof beside it."""

import json
import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.files import atomic_folder
from rfcx_ssl.models.export_code import PREFIX, write_code
from rfcx_ssl.models.wav2vec2_mel import AUTO_CLASSES, Wav2Vec2MelConfig
from rfcx_ssl.pretraining.checkpoint import load_fairseq_checkpoint
from rfcx_ssl.pretraining.convert import feature_extractor, to_transformers
from rfcx_ssl.pretraining.parity import prove_parity
from rfcx_ssl.pretraining.record import pretraining_record

PARITY_FILE, RECORD_FILE, METRICS_FILE = "parity.json", "pretraining.json", "pretraining_metrics.csv"
WRITTEN = (
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    PARITY_FILE,
    RECORD_FILE,
    METRICS_FILE,
    f"{PREFIX}*.py",
)


def export_encoder(
    path: Path,
    out: Path,
    *,
    audio: Sequence[Path] = (),
    heads: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Convert a fairseq checkpoint into the directory ``out`` and prove it; nothing is left there on failure.

    Args:
        path: a fairseq wav2vec 2.0 checkpoint.
        out: new directory: config.json, model.safetensors, preprocessor_config.json, parity.json; for an encoder that
            transformers does not know, the code that runs it; where the checkpoint lies in a run folder of pretrain/run.py,
            the run's record and metrics.
        audio: files for the proof; noise and sweeps where none are given.
        heads: keep the quantizer and projections (``Wav2Vec2ForPreTraining``).
        overwrite: replace an encoder directory that an earlier conversion wrote.

    Returns:
        The content of parity.json.

    Raises:
        CheckpointError: the checkpoint cannot be converted, ``out`` is taken, or the two libraries disagree.
    """
    refuse_taken(out, overwrite, WRITTEN)
    checkpoint = load_fairseq_checkpoint(path)
    model = to_transformers(checkpoint, heads=heads)
    report = prove_parity(checkpoint, model, audio)
    if not report["passed"]:
        worst = max(report["cases"], key=lambda case: max(case["hidden_difference"], case["feature_difference"]))
        raise CheckpointError(
            f"{path}: fairseq and transformers differ by {worst['hidden_difference']:.2e} (hidden) and "
            f"{worst['feature_difference']:.2e} (features) on {worst['audio']}; must be below {report['tolerance']:g}"
        )
    with atomic_folder(out) as temporary:
        model.save_pretrained(temporary)
        if isinstance(model.config, Wav2Vec2MelConfig):
            write_code(temporary, AUTO_CLASSES)
        feature_extractor(checkpoint).save_pretrained(temporary)
        (temporary / PARITY_FILE).write_text(json.dumps(report, indent=2) + "\n")
        if record := pretraining_record(path.parent):
            (temporary / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n")
        if (metrics := path.parent / "metrics.csv").is_file():
            shutil.copyfile(metrics, temporary / METRICS_FILE)
    return report


def refuse_taken(out: Path, overwrite: bool, written: Sequence[str]) -> None:
    """``out`` must be new; with ``overwrite`` it may hold files like ``written``, and nothing else is ever deleted.

    Raises:
        CheckpointError: ``out`` exists, or holds something else.
    """
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        return
    if not overwrite:
        raise CheckpointError(f"--out {out} exists; choose another, or --overwrite what an earlier run wrote")
    found = [item.name for item in out.iterdir()] if out.is_dir() else [out.name]
    foreign = [name for name in found if not any(fnmatch(name, pattern) for pattern in written)]
    if foreign:
        raise CheckpointError(f"--overwrite {out}: holds {sorted(foreign)[0]!r}, which no earlier run wrote")
