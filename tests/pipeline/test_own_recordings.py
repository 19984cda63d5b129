"""docs/own-recordings.md, command by command: from a folder of WAVs and Raven tables to a model, scores and Raven tables."""

import csv
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest

from rfcx_ssl import cli
from rfcx_ssl.annotations.exchange import RAVEN_TIMES
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.program import run_program
from rfcx_ssl.species import read_species

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "own-recordings.md"
SHORT = ("max_steps=40", "num_pictures=1", "trackers=[]", "evaluation.max_recordings=6")
NAMES = {
    "Gould's finch", "Häher sp. 2", "unknown tick 7", "Wren, Pacific", "Zosterops (call)", "Ōtaki frog", "蛙",
}  # fmt: skip
pytestmark = pytest.mark.slow


def commands():
    """Words of every command that the page shows."""
    shell = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [shlex.split(line) for block in shell for line in block.replace("\\\n", " ").splitlines() if line]


def run(words):
    """A command in this process; training is short."""
    if words[0] == "rfcx-ssl":
        cli.main(words[1:])
        return
    path = ROOT / words[1]
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        steps = ["max_steps=2"] if "start.extend=true" in words else []
        patch.setattr(sys, "argv", [str(path), *words[2:], *SHORT, *steps])
        run_program(module.main)  # an error would be a SystemExit


@pytest.fixture
def folder(own_recordings, tmp_path, monkeypatch):
    own_recordings(tmp_path / "my_recordings")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_leads_from_recordings_to_a_model_that_knows_their_names(folder, capsys):
    """Every command of the page in its order, the last (a model with a pretrained encoder) aside."""
    *shown, stronger = commands()
    assert any(word.startswith("model.encoder=") for word in stronger)
    for words in shown:
        if "start.extend=true" in words:
            with (folder / "my_recordings/species.csv").open("a", encoding="utf-8") as table:
                table.write("Strix sp. nov.,,,1,300,900,\n")
        run(words)
    assert set(read_species(folder / "my_recordings/species.csv").names) == NAMES | {"Strix sp. nov."}
    assert set(load_model("runs/first/model").space.species_names) == NAMES
    assert set(load_model("runs/second/model").space.species_names) == NAMES | {"Strix sp. nov."}
    assert len(list((folder / "crops").glob("*.png"))) == 6

    tables = [pd.read_csv(path, sep="\t") for path in sorted((folder / "found/raven").rglob("*.txt"))]
    labels = {label for table in tables for label in table["Species"]}
    assert len(tables) == 28 and labels <= NAMES and len(labels) >= 5, "Raven's labels are the user's names"
    assert set(RAVEN_TIMES) <= set(tables[0].columns)

    with (folder / "runs/first/evaluation/evaluation.csv").open(encoding="utf-8") as lines:
        whole = next(row for row in csv.DictReader(lines))
    assert float(whole["lwlrap"]) > float(whole["lwlrap_random_floor"]) + 0.1, "easy calls, little training"
    with (folder / "to_listen/review.csv").open(encoding="utf-8") as lines:
        asked = list(csv.DictReader(lines))
    assert len(asked) == 100 and {row["species"] for row in asked} <= NAMES

    answers = ("--read", "to_listen", "--table", "to_listen/review.selections.txt", "--annotator", "N")
    run(["rfcx-ssl", "review", *answers, "--out", "answers.csv"])  # somebody who agreed with everything
    said = pd.read_csv("answers.csv")
    assert len(said) == 100 and set(said["state"]) == {"present"}
    capsys.readouterr()
    run(["rfcx-ssl", "labels", "my_recordings/project.yaml", "extra_tables=[answers.csv]"])
    boxes = 76 + (said["weak"] == "no").sum()
    assert f"{boxes} present and" in capsys.readouterr().out, (
        "said of a clip is said of the recording, nested folders or not"
    )
