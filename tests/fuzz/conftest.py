"""The doors: everything that comes from outside and is parsed. A name, what makes a sound file, what opens it.

A door opens a file (or a copy of it in its place) and takes all of it. It may raise an RfcxError and nothing else.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import soundfile
import torch

from rfcx_ssl.annotations import read_complete
from rfcx_ssl.annotations.label_map import default_label_map, read_label_map
from rfcx_ssl.annotations.read import read_extra
from rfcx_ssl.annotations.rows import read_table
from rfcx_ssl.audio import audio_info, read_audio
from rfcx_ssl.config import load_settings
from rfcx_ssl.data.recordings import read_recordings_table
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decisions_file import read_decisions, write_decisions
from rfcx_ssl.decoding.occurrence import read_occurrence
from rfcx_ssl.decoding.score_map import Knots, ScoreMap
from rfcx_ssl.detection.event_list import EventList
from rfcx_ssl.detection.journal import Journal, parts_of
from rfcx_ssl.detection.listing import Listing
from rfcx_ssl.detection.lists import read_list
from rfcx_ssl.detection.read import Stretch, read_block, read_first
from rfcx_ssl.detection.recording_table import open_recording_table
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.result import unheard
from rfcx_ssl.detection.rows import read_rows, write_rows
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.detection.submission import read_sample
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.folds import Folds
from rfcx_ssl.inference.embedder import open_embedder
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.labels.pseudo import PseudoLabels, scaled_to, write_pseudo_labels
from rfcx_ssl.manifest.excluded import read_recording_ids
from rfcx_ssl.manifest.metadata import read_metadata
from rfcx_ssl.manifest.places import read_places
from rfcx_ssl.manifest.roots import Found
from rfcx_ssl.manifest.state import open_state
from rfcx_ssl.manifest.validate import validate_folder
from rfcx_ssl.manifest.virtual import load_virtual, virtual_writer
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.pretraining.checkpoint import load_fairseq_checkpoint
from rfcx_ssl.project import data_words, read_project
from rfcx_ssl.review.plan import read_plan
from rfcx_ssl.review.review import read_detections_record
from rfcx_ssl.species import label_space, rfcx_species
from rfcx_ssl.species.read import read_species
from rfcx_ssl.workers import this_process

SPECIES = rfcx_species()
NAME = SPECIES.names[0]
LABELS = default_label_map(SPECIES)
RATE_HZ = 8_000


class Door(NamedTuple):
    """``seed`` makes a sound file at a path; ``open`` opens a file, and may use the empty folder it is given."""

    name: str
    file: str  # what it is called: names decide how some are read
    seed: Callable[[Path], object]
    open: Callable[[Path, Path], object]
    is_slow: bool = False  # a tenth of a second and more


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content, encoding="utf-8")


def labels(path: Path, _: Path) -> object:
    return read_extra(path, LABELS)


def audio(**options: object) -> Callable[[Path], object]:
    return lambda path: soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 9000), RATE_HZ, **options)


def hear(path: Path, _: Path) -> None:
    """As every program does: the header, what it says of time and place, blocks; then the whole."""
    read_metadata(path)
    stretch = Stretch(str(path), 0.0, None, (4000,), 5.0)
    header, *_ = read_first(stretch)
    if header.num_blocks(stretch) > 1:
        read_block(stretch, header, 1)
    if audio_info(path, partial=True).frames < 10**7:
        read_audio(path, sample_rate_hz=4000)


def in_place(name: str, read: Callable[[Path], object]) -> Callable[[Path, Path], object]:
    """Open a folder in which the file lies under its name."""

    def enter(path: Path, folder: Path) -> object:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
        return read(folder)

    return enter


def state_seed(path: Path) -> None:
    with open_state(path.parent / "made") as state:
        state.see(Found(f"a/{n:03d}.wav", f"/a/{n:03d}.wav", 1, 1) for n in range(50))
    shutil.copyfile(path.parent / "made/.state/state.sqlite", path)


def read_state(folder: Path) -> None:
    with open_state(folder) as state:
        assert state.count("SELECT COUNT(*) FROM recordings WHERE seen") in (0, 50)
        list(state.without_header("k"))


def listing_seed(path: Path) -> None:
    with Listing(path) as listing:
        listing.update(Recording(f"r{n}", f"/r{n}.wav", 0.0, None, 1, "1") for n in range(50))


def read_listing(path: Path, _: Path) -> None:
    with Listing(path) as listing:
        list(listing)
        list(listing.changed())


def manifest_folder(path: Path) -> None:
    summary = {
        "kind": "prepared", "sample_rate_hz": RATE_HZ, "train_segments": 1, "valid_segments": 0,
        "settings": {"segment_s": 2.0, "split": {"batch_multiple": 1}},
    }  # fmt: skip
    path.write_text(json.dumps(summary), encoding="utf-8")


def validate(folder: Path) -> None:
    (folder / "train.tsv").write_text(f"{folder}\na.flac\t8000\n", encoding="utf-8")
    validate_folder(folder, this_process(), decode=False)


def read_split(path: Path, folder: Path) -> None:
    manifest_folder(folder / "manifest.json")
    split = load_virtual(Path(shutil.copyfile(path, folder / path.name)))
    for index in range(min(len(split), 5)):
        split[index]


def parquet(**columns: list[object]) -> Callable[[Path], object]:
    return lambda path: pyarrow.parquet.write_table(pa.table(columns), path)


def virtual_seed(path: Path) -> None:
    with virtual_writer(path, sample_rate_hz=RATE_HZ, channel=None) as writer:
        rows = {"path": ["/a.wav", "/b.wav"], "start_samples": [0, 9], "num_samples": [9, 9], "source_rate_hz": [8, 8]}
        writer.write_table(pa.table([pa.array(v, f.type) for v, f in zip(rows.values(), writer.schema, strict=True)], schema=writer.schema))  # fmt: skip


def checkpoint_seed(path: Path) -> None:
    model = {"_name": "wav2vec2", "conv_feature_layers": "[(8, 4, 2)]", "encoder_layers": 2}
    torch.save({"model": {"a.weight": torch.ones(3)}, "cfg": {"model": model, "task": {"sample_rate": 8000}}}, path)


def tiny_model(folder: Path) -> Path:
    if not folder.exists():
        torch.manual_seed(0)
        mel = MelSettings(n_mels=8, f_max_hz=4000.0)
        settings = PannsSettings(
            sample_rate_hz=RATE_HZ, channels=(2,), time_pools=(2,), freq_pools=(2,), embedding_dim=4, mel=mel, window_s=1.0
        )  # fmt: skip
        build_model(settings, label_space(SPECIES)).save_pretrained(folder)
    return folder


def model_door(name: str) -> Door:
    """A model folder of which one file is hostile."""
    made: list[Path] = []

    def seed(path: Path) -> None:
        made[:] = [tiny_model(path.parent / "model")]
        shutil.copyfile(made[0] / name, path)

    def enter(path: Path, folder: Path) -> None:
        shutil.copytree(made[0], folder, dirs_exist_ok=True)
        shutil.copyfile(path, folder / name)
        load_model(str(folder))
        open_embedder(str(folder), device="cpu")

    return Door(f"model {name}", name, seed, enter, is_slow=True)


def overrides(path: Path, _: Path) -> None:
    try:
        words = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ConfigError("a command line is text") from None
    load_settings(DetectSettings, "inference", "detect", words)


def project(path: Path, _: Path) -> None:
    read_project(path)
    data_words(path)


def records(path: Path, _: Path) -> None:
    list(read_rows(path, SPECIES))


def events(path: Path, folder: Path) -> None:
    EventList(path, folder / "events.sqlite").close()


def places(path: Path, _: Path) -> None:
    with open_recording_table(path) as table:
        table.find("a/b", "/a/b.wav")


def plan(folder: Path) -> None:
    plan = Journal(folder, -1).read_plan()
    assert plan is None or parts_of(plan) is not None


def sound_rows(path: Path) -> None:
    write_rows([unheard(n, Recording(f"r{n}", f"/r{n}.wav"), "broken") for n in range(3)], path)


DETECTION = f"recording,start_s,end_s,species,score,low_hz,high_hz\nr,0.5,1.5,{NAME},0.9,100,200\n"
DOORS = (
    Door("plain labels", "a.csv", text(f"file,start_s,end_s,label,low_hz,high_hz\na.wav,0.5,1.5,{NAME},100,2000\n"), labels),
    Door("raven", "a.txt", text(f"Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies\n1\tSpectrogram 1\t1\t0.5\t1.5\t100\t2000\t{NAME}\n"), labels),
    Door("audacity", "a.txt", text(f"0.5\t1.5\t{NAME}\n\\\t100.0\t2000.0\n2.5\t3\t{NAME}\n"), labels),
    Door("kaleidoscope", "a.csv", text(f"INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,AUTO ID,MATCH RATIO,MANUAL ID\n/c,f,a.wav,0,0.5,1,{NAME},.9,{NAME}\n"), labels),
    Door("detections", "a.csv", text(DETECTION), labels),
    Door("detections as lines", "a.jsonl.txt", text(json.dumps({"recording": "r", "start_s": 0.5, "end_s": 1, "species": NAME, "score": 0.9}) + "\n"), labels),
    Door("labels in Parquet", "a.csv", parquet(file=["a.wav"], start_s=[0.5], end_s=[1.5], label=[NAME]), labels),
    Door("rfcx boxes", "a.csv", text("recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\nr,3,1,0.5,100,1.5,2000\n"), lambda path, _: read_table(path, state="present", species=SPECIES)),
    Door("label map", "a.csv", text(f"label,species,songtype_id,state\nkau,{NAME},1,present\n"), lambda path, _: read_label_map(path, SPECIES)),
    Door("species", "a.csv", text("name,code,scientific_name,songtype,f_min_hz,f_max_hz,prevalence\nA b,s0,X y,1,100,2000,0.1\n"), lambda path, _: read_species(path)),
    Door("folds", "a.csv", text("recording_id,fold,group\na,0,g\nb,1,h\nc,test,i\n"), lambda path, _: Folds.load(path)),
    Door("complete", "a.csv", text(f"file,start_s,end_s,species\na,0.5,3,{NAME}\nb,,,\n"), lambda path, _: read_complete(path, SPECIES)),
    Door("recordings", "recordings.csv", text("recording_id,site,datetime\na,s,2023-04-15T05:30:00\n"), in_place("recordings.csv", read_recordings_table)),
    Door("list", "a.csv", text("file,start_s,end_s\na.wav,0,3\n"), lambda path, _: list(read_list(str(path)))),
    Door("list in Parquet", "a.parquet", parquet(file=["a"], start_s=[0.5]), lambda path, _: list(read_list(str(path)))),
    Door("where and when", "a.csv", text("recording,site,latitude,longitude,datetime\na,s,1.5,-7,2023-04-15T05:30:00\n"), places),
    Door("occurrence", "a.csv", text(f"species,site,month,hour,occurs\n{NAME},s,1,5,1\n"), lambda path, _: read_occurrence(path, SPECIES)),
    Door("sites", "a.csv", text("recording_id,site,recorder\na,s,r\n"), lambda path, _: read_places(path)),
    Door("excluded", "a.csv", text("recording_id,fold\na,1\n"), lambda path, _: read_recording_ids(path, 1)),
    Door("events to embed", "a.csv", text(DETECTION), events),
    Door("submission", "sample_submission.csv", text("recording_id,s0,s1\na,0,0\n"), in_place("sample_submission.csv", read_sample)),
    Door("project", "a.yaml", text("data: annotations\ndata.root: .\ndata.crop_s: 3.0\ndata.extra_tables: [a, b]\n"), project),
    Door("key=value", "a.txt", text("threshold=0.5\nwindow_s=2\nblock_s=30\ninclude=[a,b]\n"), overrides, is_slow=True),
    Door("manifest TSV", "train.tsv", text("/root\na/0.flac\t8000\nb/1.flac\t9000\n"), read_split),
    Door("manifest Parquet", "train.parquet", virtual_seed, read_split),
    Door("manifest.json", "manifest.json", manifest_folder, in_place("manifest.json", validate)),
    Door("build state", "state.sqlite", state_seed, in_place(".state/state.sqlite", read_state)),
    Door("pseudo-labels", "a.parquet", lambda path: write_pseudo_labels(path, [("r", np.full((4, 2), 0.5, np.float32), 1.0)], output_names=("s0", "s1"), frame_s=0.1), lambda path, _: (PseudoLabels.load(path), scaled_to(path))),
    Door("decisions", "decisions.json", lambda path: write_decisions(path, decide(SPECIES.names[:2], threshold=[0.5, 0.4], calibration=ScoreMap([1.0, 2.0], [0.0, 1.0], {1: Knots([0.1, 0.9], [0.2, 0.8])}))), lambda path, _: read_decisions(path)),
    Door("fairseq checkpoint", "a.pt", checkpoint_seed, lambda path, _: load_fairseq_checkpoint(path)),
    model_door("config.json"),
    model_door("model.safetensors"),
    Door("journal plan", "plan.json", text(json.dumps({"format": "rfcx-ssl detection/2", "runs": [0], "total": 3})), in_place("journal/plan.json", plan)),
    Door("journal part", "a.parquet", sound_rows, records),
    Door("listing", "listing.sqlite", listing_seed, read_listing),
    Door("review", "review.csv", text(f"question,clip,at_s,clip_s,recording,file,clip_start_s,start_s,end_s,low_hz,high_hz,species,score,why\n1,a.wav,0,3,r,/r.wav,0,1,2,100,200,{NAME},0.5,sure\n"), in_place("review.csv", read_plan)),
    Door("detect.json", "detect.json", text(json.dumps({"models": ["m"], "sources": ["s"], "settings": {"threshold": 0.5}})), in_place("detect.json", read_detections_record)),
    *(Door(f"audio {name}", f"a.{name}", audio(format=name.upper(), **more), hear) for name, more in {"wav": {}, "flac": {}, "ogg": {}, "mp3": {}, "aiff": {}, "caf": {}, "w64": {}, "au": {}}.items()),
)  # fmt: skip


@pytest.fixture(scope="session")
def seeds(tmp_path_factory) -> dict[str, bytes]:
    """The bytes of a sound file of every door."""
    found = {}
    for door in DOORS:
        path = tmp_path_factory.mktemp("seed") / door.file
        door.seed(path)
        found[door.name] = path.read_bytes()
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "door" in metafunc.fixturenames:
        metafunc.parametrize("door", DOORS, ids=[door.name for door in DOORS])
