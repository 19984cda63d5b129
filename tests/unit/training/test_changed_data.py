"""A run goes on only with the labels it started with: whatever shapes them is hashed, file by file."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.data import load_corpus
from rfcx_ssl.data.settings import PseudoSettings
from rfcx_ssl.errors import RunError
from rfcx_ssl.labels.pseudo import write_pseudo_labels
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.train import TrainSettings, data_facts

HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"
RAVEN = "Selection\tBegin File\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies\n"


def write_pseudo(path, value):
    scores = np.full((200, 1), value, np.float32)
    write_pseudo_labels(path, [("rec11", scores, 1.0)], output_names=["s1"], frame_s=0.02)


@pytest.fixture
def root(forest, tmp_path):
    """The forest with every kind of label source beside its two tables."""
    root = tmp_path / "data"
    (root / "more" / "team").mkdir(parents=True)
    (root / "train").symlink_to(forest / "train")
    for name in ("train_tp.csv", "train_fp.csv", "recordings.csv"):
        shutil.copy(forest / name, root / name)
    (root / "more" / "hand.csv").write_text(HEADER + "rec09,4,1,1.0,1000,2.0,2000\n")
    (root / "more" / "raven.txt").write_text(RAVEN + "1\trec10.flac\t1.0\t2.0\t1000\t2000\tfrog\n")
    (root / "map.csv").write_text("label,species_id\nfrog,6\n")
    (root / "complete.txt").write_text("rec08\n")
    write_pseudo(root / "soft.parquet", 0.25)
    return root


@pytest.fixture
def start(toy, settings_of, root, tmp_path):
    """Function that starts or resumes the run on what the files say now."""

    def open_run(**changes):
        values = {
            "root": root, "group_by": "site", "extra_tables": (root / "more",), "label_map": root / "map.csv",
            "complete_file": root / "complete.txt", "pseudo": PseudoSettings(files=(root / "soft.parquet",)), **changes,
        }  # fmt: skip
        settings = settings_of(**values)
        folder = RunFolder(tmp_path / "run")
        folder.create()
        facts = {"data": data_facts(settings, load_corpus(settings).within_budget(0), 0)}
        folder.open(toy.toy_settings(f"output_dir={folder.path}", "max_steps=5"), facts)

    return open_run


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def swap_folds(path: Path) -> None:
    lines = path.read_text().splitlines()
    first, second = (next(i for i, line in enumerate(lines) if line.startswith(f"rec{n}")) for n in ("00", "01"))
    name, other = lines[first].split(",", 1)[0], lines[second].split(",", 1)[0]
    lines[first], lines[second] = lines[first].replace(name, other), lines[second].replace(other, name)
    path.write_text("\n".join(lines) + "\n")


CHANGES = {
    "train_tp.csv": lambda root: replace(root / "train_tp.csv", "1000", "1001"),
    "train_fp.csv": lambda root: replace(root / "train_fp.csv", "1000", "1001"),
    "recordings.csv": lambda root: replace(root / "recordings.csv", "site0", "site9"),
    "more/hand.csv": lambda root: replace(root / "more" / "hand.csv", "2.0", "2.1"),
    "more/raven.txt": lambda root: replace(root / "more" / "raven.txt", "2.0", "2.1"),
    "map.csv": lambda root: replace(root / "map.csv", "frog,6", "frog,7"),
    "complete.txt": lambda root: replace(root / "complete.txt", "rec08", "rec09"),
    "soft.parquet": lambda root: write_pseudo(root / "soft.parquet", 0.75),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_label_file_is_refused_by_name(start, root, name):
    start()
    start()  # nothing changed
    CHANGES[name](root)
    with pytest.raises(RunError, match=rf"the data changed since this run started \(.*{name} changed"):
        start()


def test_changed_folds_are_refused(start, root):
    folds = {"group_by": "recording", "folds_file": root / "folds.csv"}
    start(**folds)
    swap_folds(root / "folds.csv")
    with pytest.raises(RunError, match=r"folds.csv changed"):
        start(**folds)


@pytest.mark.parametrize("other", [{"labels_per_species": 2}, {"label_seed": 1}, {"labels_per_species": None}])
def test_another_label_budget_is_refused_even_where_the_settings_do_not_tell(start, other):
    small = {"group_by": "recording", "labels_per_species": 1}
    start(**small)
    start(**small)
    with pytest.raises(RunError, match=r"the data changed since this run started \(.*labels.csv"):
        start(**small | other)


def test_a_table_that_joins_or_leaves_a_folder_is_refused(start, root):
    start()
    (root / "more" / "new.csv").write_text(HEADER + "rec09,5,1,1.0,1000,2.0,2000\n")
    with pytest.raises(RunError, match=r"more/new.csv is new"):
        start()
    (root / "more" / "new.csv").rename(root / "more" / "hand.csv")
    with pytest.raises(RunError, match=r"more/hand.csv changed"):
        start()
    (root / "more" / "hand.csv").unlink()
    with pytest.raises(RunError, match=r"more/hand.csv is gone"):
        start()


def test_a_table_of_the_same_name_in_another_folder_is_another_table(start, root):
    for folder in ("a", "b"):
        (root / folder).mkdir()
        (root / folder / "calls.csv").write_text(HEADER + f"rec09,{'ab'.index(folder)},1,1.0,1000,2.0,2000\n")
    tables = (root / "a" / "calls.csv", root / "b" / "calls.csv")
    start(extra_tables=tables)
    replace(tables[0], "2000\n", "2001\n")
    with pytest.raises(RunError, match=r"a/calls.csv changed"):
        start(extra_tables=tables)


def test_another_label_budget_is_refused_by_the_setting(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    needed = ("model=panns_demo", "data=rfcx", "max_steps=1", f"output_dir={folder.path}", "data.root=here")
    for chosen in ("labels_per_species=1", "labels_per_species=2", "label_fraction=0.5"):
        settings = load_settings(TrainSettings, "finetune", "train", [*needed, f"data.{chosen}"])
        if chosen == "labels_per_species=1":
            folder.open(settings, {"data": {}})
            continue
        with pytest.raises(RunError, match=r"other settings \(.*data.labels_per_species: 1 -> (2|None)"):
            folder.open(settings, {"data": {}})


def test_moved_data_are_refused_by_the_setting(tmp_path):
    # The same files at another place would do, but run.json would then tell of files that are not there.
    folder = RunFolder(tmp_path / "run")
    folder.create()
    needed = ("model=panns_demo", "data=rfcx", "max_steps=1", f"output_dir={folder.path}")
    for root in ("here", "here", "there"):
        settings = load_settings(TrainSettings, "finetune", "train", [*needed, f"data.root={root}"])
        if root == "here":
            folder.open(settings, {"data": {}})
    with pytest.raises(RunError, match=r"other settings \(data.root: 'here' -> 'there'\)"):
        folder.open(settings, {"data": {}})
