"""The summary's numbers are those of a slow count over the results; what it shows is escaped and fetches nothing."""

import json
import re
from collections import Counter
from datetime import datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Event
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.clips import ClipSettings, clips_of
from rfcx_ssl.detection.recording_table import open_recording_table
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers import open_tables, open_writers
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.report.detection_counts import count_detections
from rfcx_ssl.report.detections import write_summary

SPECIES = ("Rana <b>", "=Bufo & 'co'", "鳥")


def make_results(count=40, seed=0):
    rng = np.random.default_rng(seed)
    results = []
    for place in range(count):
        name = f"s{place % 3}/rec {place} <i>"
        start = datetime(2023, 1, 1, 20) + timedelta(hours=7.3 * place) if place % 5 else None
        events = []
        for start_s in sorted(np.round(rng.uniform(0, 3000, rng.integers(0, 6)), 3).tolist()):
            species = int(rng.integers(0, 2))
            box = Event(species, 1, start_s, start_s + 1.5, *UNKNOWN_BAND_HZ, True, 1.0)
            events.append(Detection(name, SPECIES[species], round(float(rng.uniform(0.3, 1)), 4), box))
        broken = place == 7
        results.append(
            Result(
                place, name, f"/card/{name}.wav", 0.0, 0.0 if broken else 3600.0, 48_000, start and start.isoformat(),
                "<script>broken</script>" if broken else None, (), None if broken else np.ones(3, np.float32),
                [] if broken else events,
            )
        )  # fmt: skip
    return results


@pytest.fixture
def out(tmp_path):
    return tmp_path


def write(out, results, formats=("csv",), saves=(), table=None, **record):
    writers = open_writers(formats, out, SPECIES, 1.0, table=table)
    more = open_tables(out, SPECIES, formats=formats, window_s=5.0, frame_s=0.01, saves=saves, table=table)
    for writer in [*writers, *more]:
        with writer:
            for result in results:
                writer.add(result)
    (out / "detect.json").write_text(json.dumps({"model": "runs/<model>", "settings": {"threshold": 0.5}, **record}))


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_counts_are_those_of_a_loop(out, kind):
    results = make_results()
    write(out, results, (kind,))
    counts = count_detections(out)
    heard = [r for r in results if r.clip is not None]
    assert (counts.recordings, counts.heard_s) == (len(heard), 3600.0 * len(heard))
    assert (counts.num_errors, counts.errors) == (1, [(results[7].path, "<script>broken</script>")])
    hours, days = Counter(), Counter()
    for r in heard:
        for second in range(3600) if r.recorded_at else ():
            moment = datetime.fromisoformat(r.recorded_at) + timedelta(seconds=second)
            hours[moment.hour] += 1
            days[moment.date().isoformat()] += 1
    assert {h: round(s) for h, s in counts.hours_s.items() if s} == pytest.approx(hours, abs=2)
    assert {d: round(s) for d, s in counts.days_s.items()} == pytest.approx(days, abs=2)
    for name in SPECIES[:2]:
        events = [(r, e) for r in heard for e in r.events if e.species == name]
        moments = [
            datetime.fromisoformat(r.recorded_at) + timedelta(seconds=e.box.start_s)
            for r, e in events
            if r.recorded_at
        ]
        count = counts.species[name]
        assert (count.events, count.recordings) == (len(events), len({r.recording for r, _ in events}))
        assert count.hours == Counter(moment.hour for moment in moments)
        assert count.days == Counter(moment.date().isoformat() for moment in moments)
        best = {}
        for r, e in events:
            best[r.recording] = max(best.get(r.recording, (0,)), (e.score, r.recording, e.box.start_s))
        assert [tuple(e)[:3] for e in count.to_hear] == sorted(best.values(), reverse=True)[:5]
        assert count.best == max(e.score for _, e in events)


class Page(HTMLParser):
    """Tags that are open, and the attributes of all."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


def test_the_page(out):
    results = make_results()
    (out / "where.csv").write_text(
        "recording,site\n" + "".join(f"{r.recording},{r.recording[:2]} & co\n" for r in results)
    )
    with open_recording_table(out / "where.csv") as table:
        write(out, results, saves=("clips",), table=table, warnings=["<u>careful</u>"] * 30)
    assert (out / "clips.csv").read_text().count("\n") == 1
    text = write_summary(out, "rfcx-ssl detect <card>").read_text()
    page = Page(text)
    assert page.open == []
    for raw in ("<script", "<i>", "<u>", "Rana <b>", "<model>", "<card>"):
        assert raw not in text
    events = sum(len(r.events) for r in results)
    assert f"{events} detections of 2 species in 39 recordings, 39.0 hours." in text
    assert "1 recordings could not be read whole" in text and "Of 8 recordings the clock is not known" in text
    assert "10 more warnings are in detect.json" in text and "s0 &amp; co" in text
    assert text.count("settings.threshold") == 1
    pictures = [attributes for tag, attributes in page.seen if tag == "svg"]
    assert len(pictures) == 4 and all(
        attributes["aria-label"] and attributes["role"] == "img" for attributes in pictures
    )
    assert "prefers-color-scheme:dark" in text and "width=device-width" in text
    assert not re.search(r"(src|href)='?(https?:|//)", text)
    assert "<audio" not in text and f"<b>{max(e.score for r in results for e in r.events):.3f}</b>" in text


def test_players_where_there_are_clips(out):
    (result,) = (r for r in make_results() if r.recording.startswith("s1/rec 1 "))
    for clip in clips_of(result, ClipSettings()):
        path = out / clip.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    write(out, [result], saves=("clips",))
    page = Page(write_summary(out).read_text())
    sources = [attributes["src"] for tag, attributes in page.seen if tag == "audio"]
    assert len(sources) == len({e.species for e in result.events}), "one for each species, the best of the recording"
    assert all((out / unquote(source)).is_file() and ":" not in source for source in sources)


def test_without_clocks_and_without_detections(out):
    quiet = [r for r in make_results() if r.recorded_at is None][:2]
    write(out, quiet)
    text = write_summary(out).read_text()
    assert "is not known: neither their names and headers" in text and "<svg" not in text
    write(out, [])
    text = write_summary(out).read_text()
    assert "0 detections of 0 species in 0 recordings" in text and "Nothing reached its threshold." in text
    assert Page(text).open == []


def test_years_share_bars(out):
    results = [r for r in make_results(3) if r.recorded_at]
    far = [
        results[0],
        Result(9, "late", "/late.wav", 0.0, 60.0, 1, "2026-01-01T23:59:30", None, (), np.ones(3, np.float32), []),
    ]
    write(out, far)
    text = write_summary(out).read_text()
    assert "a bar is 19 days" in text and text.count("<rect") < 500


def test_what_is_no_finished_folder(out):
    with pytest.raises(ConfigError, match=r"is no folder that rfcx-ssl detect finished: detect\.json"):
        write_summary(out)
    (out / "detect.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"has none of events\.parquet, events\.csv, events\.jsonl"):
        write_summary(out)
