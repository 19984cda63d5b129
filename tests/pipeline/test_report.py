"""One page of two runs on a small forest with hostile names: its structure, what it says, and how a browser takes it."""

import base64
import importlib.util
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rfcx_ssl import cli
from rfcx_ssl.commands import report
from rfcx_ssl.program import Parser
from rfcx_ssl.species import SpeciesTable, label_space

spec = importlib.util.spec_from_file_location("browser", Path(__file__).parent / "programs" / "browser.py")
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)

RATE_HZ, LENGTH_S = 8_000, 3.0
SPECIES = ("<script>alert(1)</script>", "a \"quoted\" 'bird' & co", "]]> <img src=x onerror=alert(1)>", "Never heard")
NAMES = [f"r{place} <b>&'\"]]>" for place in range(8)]
EMPTY = {"meta", "link", "img", "br", "line"}


def make_forest(root):
    """Eight recordings, two calls in each, at two sites, with a clock in seven of them; complete truth."""
    rng = np.random.default_rng(0)
    (root / "test").mkdir(parents=True)
    truth, table = (
        ["recording_id,split,species_id,songtype_id,t_min,f_min,t_max,f_max"],
        ["recording_id,split,site,datetime"],
    )
    for place, name in enumerate(NAMES):
        samples = 0.01 * rng.standard_normal(round(LENGTH_S * RATE_HZ))
        quoted = '"' + name.replace('"', '""') + '"'
        for species in (place % 3, (place + 1) % 3):
            start_s, middle_hz = 0.3 + 0.7 * species, 800 * (species + 1)
            times_s = np.arange(RATE_HZ // 2) / RATE_HZ
            samples[round(start_s * RATE_HZ) :][: len(times_s)] += 0.2 * np.sin(2 * np.pi * middle_hz * times_s)
            truth.append(f"{quoted},test,{species},1,{start_s},{middle_hz - 100},{start_s + 0.5},{middle_hz + 100}")
        soundfile.write(root / "test" / f"{name}.flac", samples, RATE_HZ)
        table.append(f"{quoted},test,site <{place % 2}>,{f'2024-03-0{place}T0{place}:30:00' if place else ''}")
    for name, lines in (("truth.csv", truth), ("recordings.csv", table)):
        (root / name).write_text("\n".join(lines) + "\n")
    names = "".join(f'"{name}"\n'.replace('"quoted"', '""quoted""') for name in SPECIES)
    (root / "species.csv").write_text("name\n" + names)
    return root


def make_run(folder, root, model, encoder=None):
    """What training would have left."""
    model.save_pretrained(folder / "model")
    config = {"data": {"root": str(root)}, "fold": 0, "model": {"kind": "panns", "encoder": encoder and str(encoder)}}
    (folder / "run.json").write_text(json.dumps({"config": config}))
    steps = [{"kind": "train", "step": step, "loss": 1 / step} for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, steps)) + "\n")
    return str(folder)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, tiny_model):
    """The forest, two runs, an encoder with its record, a folder of detections."""
    root = tmp_path_factory.mktemp("report")
    forest = make_forest(root / "forest")
    space = label_space(SpeciesTable.of_names(SPECIES))
    encoder = root / "encoder"
    encoder.mkdir()
    (encoder / "pretraining_metrics.csv").write_text(
        "split,num_updates,loss_0,accuracy\ntrain,1,3.5,0.1\ntrain,2,2.5,\nvalid,2,2.75,0.3\n"
    )
    (encoder / "pretraining.json").write_text('{"verdict": {"chance_bits": 3.46}}')
    runs = [
        make_run(root / name, forest, tiny_model(RATE_HZ, seed=seed, space=space), encoder if seed else None)
        for seed, name in enumerate(("one", "two"))
    ]
    cli.main(["detect", str(forest / "test"), "--model", f"{runs[0]}/model", "--out", str(root / "found"),
              "--save", "clips", "--threshold", "0.3", "--device", "cpu"])  # fmt: skip
    return SimpleNamespace(root=root, forest=forest, runs=runs)


def write(shelf, name, *words):
    """The page as text."""
    parser = Parser(None)
    report.add_arguments(parser)
    path = shelf.root / name
    report.run(parser.parse_args([*words, "--out", str(path), "--device", "cpu", "--resamples", "20"]))
    return path


@pytest.fixture(scope="module")
def page(shelf):
    return write(shelf, "report.html", *shelf.runs, "--detections", str(shelf.root / "found"))


class Structure(HTMLParser):
    """Tags and attributes in order, text by heading; fails where tags do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.seen if name == tag]


def test_the_page_is_sound_and_fetches_nothing(page):
    text = page.read_text(encoding="utf-8")
    found = Structure(text)
    assert found.open == []
    assert all(image["alt"].strip() and image["src"].startswith("data:image/") for image in found.all("img"))
    assert all(
        one.get("aria-hidden") or (one["role"] == "img" and one["aria-label"].strip()) for one in found.all("svg")
    )
    assert all(one["aria-label"].strip() and one["src"].startswith("data:audio/") for one in found.all("audio"))
    addresses = [
        value for _, attrs in found.seen for key, value in attrs.items() if key in ("src", "href", "srcset", "data")
    ]
    assert all(re.match(r"data:|#", address) for address in addresses)
    ids = [attrs["id"] for _, attrs in found.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for attrs in found.all("a")} <= set(ids)
    levels = [int(tag[1]) for tag, _ in found.seen if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    assert len(found.all("script")) == 1 and not [
        key for _, attrs in found.seen for key in attrs if key.startswith("on")
    ]
    for rule in ("prefers-color-scheme:dark", "@media print", "Content-Security-Policy"):
        assert rule in text


def test_hostile_names_stay_text(page):
    found = Structure(page.read_text(encoding="utf-8"))
    for name in (*SPECIES, "site <1>"):
        assert name in found.text, "in sight, as it is"
    shown = [text for text in NAMES if f"{text}" in found.text]
    assert len(shown) >= 6, "three best and three worst recordings"
    assert all(not attrs or tag != "b" for tag, attrs in found.seen) and "alert(1)>" not in page.read_text().replace(
        "&gt;", ""
    )


def test_what_the_page_says(page):
    found = Structure(page.read_text(encoding="utf-8"))
    labels = [attrs["aria-label"] for attrs in found.all("svg") if "aria-label" in attrs]
    assert "contrastive loss (bits) over updates: training from 3.5 to 2.5; validation from 2.75 to 2.75" in labels
    assert "training loss over optimizer steps: one from 1 to 0.333; two from 1 to 0.333" in labels
    assert any(label.startswith("t-SNE map of 16 points by species") or "UMAP" in label for label in labels)
    assert any(label.startswith("Marked calls per recording by hour of the day") for label in labels)
    assert (
        "No record of a pretraining for one:" in found.text and "Of 1 recordings the clock is not known" in found.text
    )
    assert "1 of 4 species cannot be judged" in found.text
    assert re.search(r"\d+ detections of \d species in 8 recordings", found.text)


def test_players_hold_the_sound(page):
    kind, _, data = Structure(page.read_text(encoding="utf-8")).all("audio")[0]["src"].partition(";base64,")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert (kind, rate) == ("data:audio/mpeg", RATE_HZ)
    assert len(samples) / rate == pytest.approx(LENGTH_S, abs=0.1)
    assert np.abs(samples).max() == pytest.approx(0.9, abs=0.1)


def test_a_small_page_says_what_it_leaves_out(shelf):
    path = write(shelf, "small.html", shelf.runs[0], "--max-mb", "0.25", "--recordings", "5")
    found = Structure(path.read_text(encoding="utf-8"))
    assert path.stat().st_size <= 250_000
    assert "are left out, for the page would exceed --max-mb 0.25" in found.text
    assert "5 of 8 recordings, drawn at random" in found.text
    assert "There is one model alone" in found.text


def test_partial_labels_show_what_was_ruled_out(shelf):
    """Recordings in which one species was marked and another ruled out: no events, no ranking, boxes of both kinds."""
    root = shelf.root / "partial"
    (root / "train").mkdir(parents=True)
    (root / "species.csv").write_bytes((shelf.forest / "species.csv").read_bytes())
    for place, name in enumerate(NAMES):
        (root / "train" / f"p{place}.flac").write_bytes((shelf.forest / "test" / f"{name}.flac").read_bytes())
    for table, shift in (("tp", 0), ("fp", 1)):
        rows = [f"p{place},{(place + shift) % 3},1,{0.3 + shift},700,{0.9 + shift},1700\n" for place in range(8)]
        (root / f"train_{table}.csv").write_text(
            "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n" + "".join(rows)
        )
    path = write(shelf, "partial.html", shelf.runs[0], "--labels", str(root), "--pictures", "1", "--no-audio")
    found = Structure(path.read_text(encoding="utf-8"))
    kinds = {attrs.get("class") for attrs in found.all("span")}
    assert {"box present", "box absent"} <= kinds and not found.all("audio")
    assert "boxes: ROC-AUC over species" in found.text and "No ranking of whole recordings" in found.text
    assert (
        "Cells are boxes that were marked as present or absent" in found.text
        and "Players are left out (--no-audio)." in found.text
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(page, width, tmp_path):
    program = browser.find_browser()
    if program is None:
        pytest.skip("no Chromium is installed")
    with browser.open_page(program, tmp_path) as tab:
        assert tab.load(page.as_uri(), width, dark=width == 390) == []
        assert [url for url in tab.requests() if not url.startswith(("data:", page.as_uri()))] == []
        assert tab.ask("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
        assert tab.ask("[...document.images].every(image => image.naturalWidth > 0)")
        assert tab.ask("matchMedia('(prefers-color-scheme: dark)').matches") == (width == 390)
        first = "document.querySelector('.scatter button')"
        tab.ask(f"{first}.focus()")
        tab.press("Enter")
        assert tab.ask(f"{first}.getAttribute('aria-pressed')") == "true"
        assert 0 < tab.ask("document.querySelectorAll('.scatter .dim').length") < 16
        tab.ask("document.activeElement.blur(); scrollTo(0, 0)")
        tab.ask("dispatchEvent(new Event('beforeprint'))")
        assert tab.ask("[...document.querySelectorAll('details')].every(one => one.open || one.className == 'screen')")
