"""Is this pretraining healthy? The bands that wav2vec 2.0 runs keep to, and alarms for the ways they fail.

The contrastive loss starts at chance, log2(negatives + 1) bits, stays there for a while and then visibly breaks away.
Loss, accuracy and code perplexity mean something only together: with few codes in use most negatives equal the
positive, they are masked, and both loss and accuracy look better than they are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rfcx_ssl.pretraining.log import LogRecord

_WINDOW = 5  # log lines that must agree before an alarm
_MARGIN_BITS = 0.1  # this close to chance counts as at chance


@dataclass(frozen=True, slots=True)
class HealthBands:
    """What the settings of one run imply.

    Attributes:
        chance_bits: contrastive loss of a model that knows nothing.
        num_groups: codebooks; the lowest perplexity there is (one code each).
        num_codes: all codes together; the highest perplexity.
        patience_updates: by then a healthy run has left chance.
    """

    chance_bits: float
    num_groups: int
    num_codes: int
    patience_updates: int


@dataclass(frozen=True, slots=True)
class Health:
    """Verdict on the latest log lines: ``state`` is ``starting``, ``learning``, ``warning`` or ``failed``."""

    state: str
    message: str


def health_bands(config: Mapping[str, Any]) -> HealthBands:
    """Bands from a composed pretraining config (the keys of configs/pretrain)."""
    model = config["model"]
    negatives = sum(int(model.get(f"{kind}_negatives") or 0) for kind in ("num", "cross_sample", "codebook"))
    groups = int(model["latent_groups"])
    warmup = int(config["lr_scheduler"].get("warmup_updates") or 0)
    patience = min(max(3 * warmup, 300), 20_000)  # a base model breaks away within the first 20 000 updates
    return HealthBands(math.log2(negatives + 1), groups, groups * int(model["latent_vars"]), patience)


def judge(records: Sequence[LogRecord], bands: HealthBands) -> Health:
    """Judge a run by its latest training lines (merged and in order, see ``merge_records``)."""
    recent = [record for record in records if record.split == "train"][-_WINDOW:]
    if not recent:
        return Health("starting", "no log line yet")
    last = recent[-1]
    loss = _mean(recent, "loss_0")
    perplexity = _mean(recent, "code_perplexity")
    if not math.isfinite(last.values["loss_0"]):
        return Health("failed", f"loss is {last.values['loss_0']} at update {last.num_updates}: lower optimization.lr")
    if len(recent) < _WINDOW:
        return Health("starting", f"loss {loss:.2f} bits, chance is {bands.chance_bits:.2f}")
    if perplexity < 1.3 * bands.num_groups:
        return Health(
            "failed",
            f"codes collapsed: perplexity {perplexity:.1f}, one code per group is {bands.num_groups}; the loss "
            f"({loss:.2f}) is an illusion. Raise criterion.loss_weights[0] (diversity) and start again",
        )
    if loss > bands.chance_bits + 1.0:
        return Health(
            "warning", f"loss {loss:.2f} bits is above chance ({bands.chance_bits:.2f}): lower optimization.lr"
        )
    if loss > bands.chance_bits - _MARGIN_BITS:
        return _at_chance(recent, loss, perplexity, bands)
    if perplexity < 4 * bands.num_groups:
        return Health(
            "warning",
            f"few codes in use: perplexity {perplexity:.1f} of {bands.num_codes}; loss {loss:.2f} and accuracy look "
            "better than they are. If it keeps falling, raise criterion.loss_weights[0]",
        )
    return Health("learning", f"loss {loss:.2f} bits (chance {bands.chance_bits:.2f}), perplexity {perplexity:.0f}")


def _at_chance(recent: Sequence[LogRecord], loss: float, perplexity: float, bands: HealthBands) -> Health:
    """At chance: patience at first; then a warning that tells the uniform-codes trap from plain slowness."""
    updates = recent[-1].num_updates
    plateau = f"loss {loss:.2f} bits is at chance ({bands.chance_bits:.2f})"
    if updates < bands.patience_updates:
        return Health("starting", f"{plateau}; normal until about update {bands.patience_updates}")
    if perplexity > 0.75 * bands.num_codes:
        return Health(
            "warning",
            f"{plateau} and codes are used evenly at random (perplexity {perplexity:.0f} of {bands.num_codes}): lower "
            "criterion.loss_weights[0]; a small model wants 0.01 to 0.03",
        )
    return Health(
        "warning",
        f"{plateau} after {updates} updates, gradient norm {_mean(recent, 'gnorm'):.2f}: raise optimization.lr, or "
        "more audio per update (dataset.max_tokens, optimization.update_freq)",
    )


def _mean(records: Sequence[LogRecord], key: str) -> float:
    """Mean of a logged value over the lines that have it; NaN where none has."""
    values = [record.values[key] for record in records if key in record.values]
    return sum(values) / len(values) if values else math.nan
