"""Before an exported ONNX file is put in place: does it say what torch says, and from which length of window on?"""

from pathlib import Path

import torch

from rfcx_ssl.errors import AudioError, CheckpointError, require_extra
from rfcx_ssl.inference.onnx_scorer import OnnxScorer
from rfcx_ssl.inference.scorer import Scorer, WindowScores
from rfcx_ssl.models.export_onnx import add_metadata

TOLERANCE = 1e-5  # of probabilities, and of embeddings relative to their largest value
ROWS = 2


def check_onnx(path: Path, reference: Scorer) -> None:
    """Compare the scores of ``path`` with those of ``reference`` on noise of several lengths, down to one sample.

    A network may do something else with very short windows (there is nothing to mirror at their edges), which a graph
    cannot follow: the shortest length from which on all are equal goes into the metadata as ``shortest_samples``.

    Raises:
        CheckpointError: windows of the model's own length do not get equal scores.
    """
    onnx = require_extra("onnx", "onnx")
    add_metadata(path, onnx, {"shortest_samples": 1})
    scorer = OnnxScorer(path, str(path), device="cpu")
    window, _ = reference.windows.on_grid(reference.grid)
    shortest = window + 1
    for num_samples in [window] if scorer.facts.fixed_samples else lengths(window, reference.grid.hop_samples):
        if not same_scores(scorer, reference, num_samples):
            break
        shortest = num_samples
    if shortest > window:
        raise CheckpointError(f"the ONNX graph of {reference.name} does not give torch's scores, so it was not kept")
    add_metadata(path, onnx, {"shortest_samples": shortest})


def lengths(window: int, hop: int) -> list[int]:
    """Lengths of windows from the longest to one sample: whole frames and parts of them, halved again and again."""
    found, size = {window, window - 1}, window
    while size > 1:
        size //= 2
        found |= {size, size + 1, max(size // hop * hop, 1)}
    return sorted({length for length in found if 1 <= length <= window}, reverse=True)


def same_scores(scorer: OnnxScorer, reference: Scorer, num_samples: int) -> bool:
    """Whether both say the same of noise of this length; an error of either is a difference."""
    noise = 0.1 * torch.randn(ROWS, num_samples, generator=torch.Generator().manual_seed(num_samples))
    try:
        return _near(scorer(noise), reference(noise))
    except (AudioError, CheckpointError, RuntimeError):
        return False


def _near(ours: WindowScores, theirs: WindowScores) -> bool:
    scale = max(1.0, float(theirs.embedding.abs().max()))
    pairs = ((ours.frame, theirs.frame), (ours.clip, theirs.clip), (ours.embedding / scale, theirs.embedding / scale))
    return all(torch.allclose(a, b, rtol=0, atol=TOLERANCE) for a, b in pairs)
