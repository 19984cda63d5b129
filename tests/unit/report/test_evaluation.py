"""An evaluation from end to end on three short recordings: every file is there, says the same, and its columns are explained."""

import csv
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console

from rfcx_ssl.evaluation.evaluate import JudgingOptions
from rfcx_ssl.evaluation.record import find_judged
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.report.evaluation import EvaluateRequest, run_evaluation
from rfcx_ssl.species import label_space, rfcx_species

DOCS = Path(__file__).parents[3] / "docs" / "evaluation.md"


def save_model(folder, seed):
    torch.manual_seed(seed)
    settings = PannsSettings(
        channels=(4,), time_pools=(2,), freq_pools=(2,), embedding_dim=8, mel=MelSettings(n_mels=16), window_s=1.0
    )
    build_model(settings, label_space(rfcx_species())).save_pretrained(folder)
    return str(folder)


def read(path):
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_everything_is_written_agrees_and_is_explained(forest, tmp_path):
    models = {name: save_model(tmp_path / name, seed) for seed, name in enumerate(("one", "two"))}
    request = EvaluateRequest(models, forest, tmp_path / "out", JudgingOptions(resamples=20))
    found, out = run_evaluation(request, Console(quiet=True)), request.out
    rows = read(out / "evaluation.csv")
    everything = {row["model"]: row for row in rows if row["group_by"] == "all"}
    assert list(everything) == ["one", "two"] and "snr_db" in {row["group_by"] for row in rows}
    value = found.overall["two"].values["lwlrap"]
    assert float(everything["two"]["lwlrap"]) == pytest.approx(value, rel=1e-5)
    (judged,) = find_judged(tmp_path, Path(models["two"]))
    assert judged.folder == out and judged.values["lwlrap"] == pytest.approx(value, rel=1e-5)
    assert judged.notes[0].startswith("3 recordings") and judged.notes[-1].startswith(
        "This model: no run folder tells"
    )
    assert everything["one"]["box_auc"] == "" and int(everything["one"]["parameters"]) > 100
    species = read(out / "species.csv")
    assert len(species) == 48 and [row["present"] for row in species[:4]] == ["1", "0", "0", "2"]
    curves = read(out / "precision_recall.csv")
    assert len(curves) == 2 * 3 and max(float(point["recall"]) for point in curves) == 1.0
    markdown, page = ((out / f"report.{suffix}").read_text(encoding="utf-8") for suffix in ("md", "html"))
    for text in (markdown, page):
        assert f"{value:.3f}" in text and "3 recordings (test recordings)" in text
    for picture in re.findall(r"!\[.+\]\((.+?)\)", markdown):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    assert not re.search(r"(src|href)=['\"]?https?:", page), "the page must not fetch anything"
    assert page.count("data:image/png;base64,") == 3
    explained = set(re.findall(r"`(\w+)`", DOCS.read_text(encoding="utf-8")))
    columns = {re.sub(r"_(low|high)$", "", name) for name in (*rows[0], *species[0], *curves[0])}
    assert {re.sub(r"^box_", "", name) for name in columns} - {
        re.sub(r"^box_", "", name) for name in explained
    } == set()
