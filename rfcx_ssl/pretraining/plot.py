"""The picture of a pretraining run: loss against chance, accuracy, code perplexity, gradient norm."""

from collections.abc import Sequence
from pathlib import Path

from rfcx_ssl.files import atomic_path
from rfcx_ssl.pretraining.health import HealthBands
from rfcx_ssl.pretraining.log import LogRecord

_PANELS = {
    "loss_0": "contrastive loss (bits)",
    "accuracy": "accuracy",
    "code_perplexity": "code perplexity",
    "gnorm": "gradient norm",
}


def plot_run(path: Path, records: Sequence[LogRecord], bands: HealthBands) -> None:
    """Draw the records (merged and in order) as a PNG of four panels, atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    levels = {
        "loss_0": (bands.chance_bits, "chance"),
        "accuracy": (2.0**-bands.chance_bits, "chance"),
        "code_perplexity": (bands.num_groups, "collapse"),
    }
    for axes, (key, title) in zip(figure.subplots(2, 2).flat, _PANELS.items(), strict=True):
        for split, style in (("train", "-"), ("valid", "o")):
            points = [(r.num_updates, r.values[key]) for r in records if r.split == split and key in r.values]
            if points:
                axes.plot(*zip(*points, strict=True), style, label=split, linewidth=1.2, markersize=4)
        if key in levels:
            level, name = levels[key]
            axes.axhline(level, color="0.5", linestyle="--", linewidth=1, label=name)
        axes.set_title(title)
        axes.set_xlabel("update")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
