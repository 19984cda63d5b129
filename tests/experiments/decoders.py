"""Which decoder? Thresholds with hysteresis against change points, by event F1 and PSDS on the synthetic truth.

  python tests/experiments/decoders.py data/demo/rfcx runs/decoders runs/demo/all_pretrained [RUN ...]

Every run hears the test recordings once; its frame scores are kept in OUT, and everything else is arithmetic on them. Parameters are
chosen on the recordings of every other site and judged on those of the rest, and the other way round. Event F1 is of single calls with
start and end, macro over species and of all calls pooled; PSDS is that of sed_scores_eval, for boxes on scores that change at their
edges. The collars are those of `rfcx-ssl evaluate`. Writes decoders.csv: run, fold, arm, parameters where one set serves all species,
event F1 (macro, pooled), PSDS; and prints the means over folds and their spread over runs.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy.ndimage import median_filter

from rfcx_ssl.data import load_truth
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decode import make_decoder
from rfcx_ssl.evaluation.reference import complete_reference
from rfcx_ssl.evaluation.runs import read_run
from rfcx_ssl.evaluation.systems import hear_all
from rfcx_ssl.files import write_csv
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.metrics.events import EventMetricSettings, event_metrics, merge_calls

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
HYSTERESIS = {
    "share": (0.5, 0.75, 1.0),  # low_threshold over threshold
    "median_s": (0.0, 0.5),
    "merge_gap_s": (0.0, 0.2, 0.4),
    "min_duration_s": (0.1, 0.4),
}
CHANGE_POINT = {
    "step_filter_s": (0.32, 0.64, 0.96),
    "merge_absolute": (0.15, 0.3, 1.0),
    "merge_relative": (1.5, 2.0, 3.0),
    "min_duration_s": (0.1, 0.4),
}
BOXES = {key: values for key, values in CHANGE_POINT.items() if key != "min_duration_s"}
MEDIANS = {"median_s": (0.0, 0.5, 0.8, 1.1)}  # of frame scores that PSDS thresholds
COLUMNS = ("run", "fold", "arm", "parameters", "event_f1", "event_f1_pooled", "psds")
FEWEST_CALLS = 5  # of a species that has parameters of its own
EVERYTHING = 1e-6  # a threshold that every box reaches


class Half:
    """Half of the test recordings: frames, calls, and how they are judged."""

    def __init__(self, rows, reference, frames, durations_s, frame_s):
        self.frames, self.frame_s = [frames[row] for row in rows], frame_s
        self.durations_s = [durations_s[row] for row in rows]
        self.names = reference.space.species.names
        self.grid = FrameGrid(1_000_000, round(frame_s * 1_000_000))
        self.calls = [
            merge_calls([(c.start_s, c.end_s, c.species_id) for c in reference.calls[row]], durations_s[row])
            for row in rows
        ]
        self.num_calls = np.bincount([s for own in self.calls for _, _, s in own], minlength=len(self.names))

    def boxes(self, decisions):
        """Start and end in seconds, species and score of everything that decisions find, by recording."""
        found = []
        for frames, duration_s in zip(self.frames, self.durations_s, strict=True):
            decoder = make_decoder(decisions, self.grid)
            events = decoder.push(frames) + decoder.finish()
            ends = [(e.start * self.frame_s, min(e.end * self.frame_s, duration_s)) for e in events]
            found.append([(*span, e.species, e.score) for span, e in zip(ends, events, strict=True)])
        return found

    def tally(self, boxes):
        """Calls that were found (S,), and boxes (S,): each call by at most one box, both its ends within the collars."""
        options = EventMetricSettings()
        hits, total = np.zeros(len(self.names), int), np.zeros(len(self.names), int)
        for calls, own in zip(self.calls, boxes, strict=True):
            free = set(range(len(own)))
            for _, _, species, _ in own:
                total[species] += 1
            for start, end, species in calls:
                collar_s = max(options.offset_collar_s, options.offset_collar_rate * (end - start))
                for k in sorted(free):
                    near = abs(own[k][0] - start) <= options.onset_collar_s and abs(own[k][1] - end) <= collar_s
                    if own[k][2] == species and near:
                        free.remove(k)
                        hits[species] += 1
                        break
        return hits, total

    def f1(self, boxes):
        """F1 of each species (S,), NaN without calls; and of all calls pooled."""
        hits, total = self.tally(boxes)
        with np.errstate(invalid="ignore"):
            own = np.where(self.num_calls > 0, 2 * hits / (total + self.num_calls), np.nan)
        known = self.num_calls > 0
        return own, 2 * hits[known].sum() / (total[known].sum() + self.num_calls.sum())

    def table(self, boxes):
        """Boxes as frame scores: a box's score inside, 0 outside."""
        tables = [np.zeros_like(frames) for frames in self.frames]
        for scores, own in zip(tables, boxes, strict=True):
            for start, end, species, score in own:
                inside = scores[round(start / self.frame_s) : round(end / self.frame_s), species]
                np.maximum(inside, score, out=inside)
        return tables

    def judge(self, tables):
        """All event metrics of frame scores, their thresholds 0.01 apart in log odds."""
        coarse = [1 / (1 + np.exp(-np.round(logit(frames), 2))) for frames in tables]
        calls = [[(start, end, species) for start, end, species in own] for own in self.calls]
        return event_metrics(coarse, calls, self.durations_s, self.frame_s)

    def smooth(self, median_s):
        """Median-filtered frames of each recording; ``median_s`` is one for all species, or one each."""
        sizes = [2 * (round(own / self.frame_s) // 2) + 1 for own in np.broadcast_to(median_s, len(self.names))]
        columns = [(column, size) for column, size in enumerate(sizes) if size > 1]
        smooth = [frames.copy() for frames in self.frames]
        for frames, (column, size) in product(smooth, columns):
            frames[:, column] = median_filter(frames[:, column], size=size, mode="nearest")
        return smooth


def logit(values):
    inside = np.clip(values.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def settings_of(grid):
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def f1_candidates(half):
    """Every hysteresis and every change-point candidate: decoder, values, F1 of each species."""
    for values in settings_of(HYSTERESIS):
        rest = {key: value for key, value in values.items() if key != "share"}
        for threshold in THRESHOLDS:
            own = {**rest, "threshold": threshold, "low_threshold": threshold * values["share"]}
            yield "hysteresis", own, half.f1(half.boxes(decide(half.names, **own)))[0]
    for values in settings_of(CHANGE_POINT):
        boxes = half.boxes(decide(half.names, decoder="change_point", threshold=EVERYTHING, **values))
        for threshold in THRESHOLDS:
            kept = [[box for box in own if box[3] >= threshold] for own in boxes]
            yield "change_point", {**values, "threshold": threshold}, half.f1(kept)[0]


def psds_candidates(half):
    """Frame scores after every median filter, and boxes: what, values, PSDS of each species."""
    for what, grid in (("frames", MEDIANS), ("boxes", BOXES)):
        for values in settings_of(grid):
            yield what, values, half.judge(scores_of(half, what, values)).psds.per_class


def scores_of(half, what, values):
    """Frame scores that PSDS is computed from."""
    if what == "frames":
        return half.smooth(values.get("median_s", 0.0))
    return half.table(half.boxes(decide(half.names, decoder="change_point", threshold=EVERYTHING, **values)))


def arms(half, candidates):
    """Kind and values by the name of the arm, chosen on one half: one set for all species, or a list for each parameter."""
    found = {}
    for kind, values, scores in candidates:
        found.setdefault(kind, []).append((values, scores))
    chosen = {}
    for kind, own in found.items():
        scores = np.array([scores for _, scores in own])
        best = int(np.nanmean(scores, axis=1).argmax())
        rare = half.num_calls < FEWEST_CALLS
        each = [best if rare[s] else int(scores[:, s].argmax()) for s in range(len(half.names))]
        chosen[f"{kind}, defaults"] = kind, {}
        chosen[f"{kind}, chosen for all"] = kind, own[best][0]
        chosen[f"{kind}, chosen for each"] = kind, {key: [own[k][0][key] for k in each] for key in own[best][0]}
    return chosen


def judge_run(name, halves):
    """Rows of the table."""
    for fold, (tuning, judging) in enumerate((halves, halves[::-1])):
        for arm, (decoder, values) in arms(tuning, f1_candidates(tuning)).items():
            boxes = judging.boxes(decide(judging.names, decoder=decoder, **values))
            own, pooled = judging.f1(boxes)
            heard = [(scores > 0).astype(np.float32) for scores in judging.table(boxes)]
            macro = judging.judge(heard).event_f1.macro
            # the library pairs boxes and calls as well as it can be done, `tally` one call after the other
            np.testing.assert_allclose(macro, np.nanmean(own), atol=0.01)
            yield name, fold, arm, said(values), macro, pooled, np.nan
        for arm, (what, values) in arms(tuning, psds_candidates(tuning)).items():
            psds = judging.judge(scores_of(judging, what, values)).psds.macro
            yield name, fold, arm, said(values), np.nan, np.nan, psds


def said(values):
    """One set for all species, as a cell."""
    lists = any(isinstance(value, list) for value in values.values())
    return "" if lists else " ".join(f"{key}={value:g}" for key, value in values.items())


def summarize(rows):
    """Mean over runs, and the lowest and highest run, of each arm; a run's number is its mean over folds."""
    for arm in dict.fromkeys(row[2] for row in rows):
        for column, name in enumerate(COLUMNS[4:], start=4):
            runs = [
                np.mean([row[column] for row in rows if row[0] == run and row[2] == arm])
                for run in dict.fromkeys(row[0] for row in rows)
            ]
            if not np.isnan(runs).any():
                print(f"{arm:32} {name:16} {np.mean(runs):.3f} ({min(runs):.3f} to {max(runs):.3f})")


def frames_of(run, reference, out):
    """Frame probabilities (T, S) of each recording and the length of a frame; heard once, then read."""
    path = out / f"{run.name}.npz"
    if not path.exists():
        heard = hear_all({run.name: read_run(run)}, reference, "cpu", Console())[run.name]
        frames = {name: heard.frames[row] for row, name in enumerate(reference.recording_ids)}
        np.savez(path, frame_s=heard.grid.frame_s, durations_s=heard.durations_s, **frames)
    with np.load(path) as file:
        return [file[name] for name in reference.recording_ids], file["durations_s"].tolist(), float(file["frame_s"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forest", type=Path)
    parser.add_argument("out", type=Path, help="frame scores are kept here, and the table is written")
    parser.add_argument("runs", type=Path, nargs="+")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    reference = complete_reference(load_truth(args.forest), args.forest, "test recordings")
    places = sorted(set(reference.sites))
    rows = []
    for run in args.runs:
        heard = frames_of(run, reference, args.out)
        halves = [
            Half([row for row, site in enumerate(reference.sites) if places.index(site) % 2 == k], reference, *heard)
            for k in (0, 1)
        ]
        for row in judge_run(run.name, halves):
            rows.append(row)
            print(*row[:4], *(f"{score:.4f}" for score in row[4:]), flush=True)
    write_csv(args.out / "decoders.csv", COLUMNS, rows)
    summarize(rows)


if __name__ == "__main__":
    main()
