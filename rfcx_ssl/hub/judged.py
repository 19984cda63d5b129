"""What a card says of an evaluation that lies beside the run: a table of scores and floors, and numbers for the metadata."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from huggingface_hub import EvalResult

from rfcx_ssl.evaluation.record import JudgedModel
from rfcx_ssl.hub.card import Choices, table
from rfcx_ssl.hub.private import portable
from rfcx_ssl.report.evaluation_tables import SCORES, Score

HUB_TYPES = {  # column of evaluation.csv -> the type that the hub calls it
    "lwlrap": "lwlrap",
    "lwlrap_scaled": "lwlrap",
    "map": "mean_average_precision",
    "auc": "roc_auc",
    "box_map": "mean_average_precision",
    "box_auc": "roc_auc",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "event_f1": "f1",
    "psds": "psds",
}


def judged_text(judged: JudgedModel, roots: Iterable[Path]) -> Iterator[str]:
    """What was judged, and the scores that are defined beside what is reached without listening; ``roots`` as of ``portable``."""
    yield portable(" ".join(judged.notes), roots)
    rows, values = [], judged.values
    for score in SCORES:
        if score.column in values:
            ends = [values.get(f"{score.column}_{end}") for end in ("low", "high")]
            interval = "" if None in ends else " to ".join(f"{end:.3f}" for end in ends)
            rows.append([score.label, f"{values[score.column]:.3f}", interval, *_floors(score, judged)])
    yield table(["", "score", "95 % interval", "without listening: chance", "class prior, or always everything"], rows)
    yield "By `rfcx-ssl evaluate`, of these weights, with the thresholds that come with them."


def judged_results(judged: JudgedModel, choices: Choices) -> Iterator[EvalResult]:
    """Scores for the metadata, each with its floors in its name."""
    for score in SCORES:
        if score.column in HUB_TYPES and score.column in judged.values:
            floors = zip(("chance", "prior, always"), _floors(score, judged), strict=True)
            known = ", ".join(f"{name} {floor}" for name, floor in floors if floor)
            yield EvalResult(
                task_type="audio-classification",
                task_name="Sound event detection",
                dataset_type=choices.datasets[0] if choices.datasets else judged.data,
                dataset_name=judged.data,
                dataset_split=f"evaluation ({judged.folder.name})",
                metric_type=HUB_TYPES[score.column],
                metric_value=judged.values[score.column],
                metric_name=score.label + (f" ({known})" if known else ""),
            )


def _floors(score: Score, judged: JudgedModel) -> list[str]:
    values = [judged.values.get(column or "") for column in (score.chance, score.blind)]
    return ["" if value is None else f"{value:.3f}" for value in values]
