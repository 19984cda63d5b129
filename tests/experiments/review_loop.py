"""The correcting loop on the synthetic forest, an oracle being the person: chosen questions against random ones.

  python tests/experiments/review_loop.py data/demo/rfcx runs/review --encoder runs/demo/encoder

Starts from one labelled recording of each call (data.labels_per_species=1). Each round hears a random part of the training
recordings without labels, asks --budget questions, and trains again from the encoder on all labels so far; every model is judged on
the test recordings' complete truth. Arms differ in --strategy alone. Questions, answers and training go through the commands that
a user would type; what is there already is not done again, so that an experiment that was stopped goes on. Writes curve.csv: seed,
arm, round, answers, how many of them say present, LWLRAP, LWLRAP with prior, mAP; and curve.png of it. --only-curve draws what is judged so far.
"""

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from rfcx_ssl.cli import main as rfcx_ssl
from rfcx_ssl.data import load_truth
from rfcx_ssl.data.budget import choose_labels
from rfcx_ssl.data.corpus import load_tables
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.evaluation.judge import Judge
from rfcx_ssl.evaluation.prior import prior_of
from rfcx_ssl.evaluation.reference import complete_reference
from rfcx_ssl.evaluation.runs import read_run
from rfcx_ssl.evaluation.systems import hear
from rfcx_ssl.files import write_csv, write_text
from rfcx_ssl.pictures.palette import SYSTEMS
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.review.answers import edited_table
from rfcx_ssl.review.plan import read_plan
from rfcx_ssl.review.tables import RAVEN_TABLE

ROOT = Path(__file__).parents[2]
ARMS = {"chosen": [], "random": ["--strategy", "random=1"]}
SCORES = ("lwlrap", "lwlrap_prior", "map_macro")
TITLES = ("LWLRAP raw", "LWLRAP with prior", "mAP")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--recordings", type=int, default=200, help="heard in each round")
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--only-curve", action="store_true")
    args = parser.parse_args()
    args.forest, args.out, args.encoder = args.forest.resolve(), args.out.resolve(), args.encoder.resolve()
    truth = read_truth(args.forest)
    for seed in args.seeds if not args.only_curve else ():
        folder = args.out / f"seed{seed}"
        begin(args.forest, folder, seed)
        train(args, seed, folder / "round0", [])
        for arm in args.arms:
            play(args, seed, folder, arm, truth)
    write_curve(args)


def begin(forest, folder, seed):
    """The forest with the labels of one recording per call, and a folder of the training recordings without any."""
    if (folder / "pool").exists():
        return
    settings = load_data_settings(forest, "synth", ["labels_per_species=1", f"label_seed={seed}"])
    tables = load_tables(settings)
    kept = choose_labels(tables.annotations, tables.folds.train_ids(None), settings, None).recording_ids
    few = folder / "forest"
    few.mkdir(parents=True)
    for name in ("train", "recordings.csv"):
        (few / name).symlink_to(forest / name)
    for name in ("train_tp.csv", "train_fp.csv"):
        header, *rows = (forest / name).read_text().splitlines(keepends=True)
        (few / name).write_text(header + "".join(row for row in rows if row.split(",")[0] in kept))
    pool = folder / "pool.making"
    pool.mkdir()
    for path in sorted((forest / "train").iterdir()):
        if path.stem not in kept:
            (pool / path.name).symlink_to(path)
    pool.rename(folder / "pool")


def play(args, seed, folder, arm, truth):
    """The rounds of one arm."""
    before, tables, asked = folder / "round0", [], []
    for number in range(1, args.rounds + 1):
        here = folder / f"{arm}{number}"
        questions, table = here / "questions", here / "answers.csv"
        if not questions.exists():
            found = here / "found"
            one = sorted((folder / "pool").iterdir())[0]  # the review hears by itself what it chooses from
            command("detect", one, "--model", before / "run/model", "--out", found, "--device", "cpu")
            earlier = ["--answered", *asked] if asked else []
            words = [
                "--audio",
                folder / "pool",
                "--sites",
                args.forest / "recordings.csv",
                "--device",
                "cpu",
                *earlier,
            ]
            words += ["--budget", args.budget, "--seed", 100 * seed + number, *ARMS[arm]]
            command("review", found, "--out", questions, *words, "--set", f"recordings={args.recordings}")
        if not table.exists():
            answer(questions, truth)
            command("review", "--read", questions, "--annotator", "oracle", "--out", table)
        tables.append(table)
        asked.append(questions)
        train(args, seed, here, tables)
        before = here


def answer(questions, truth):
    """The oracle: yes where a call of the species overlaps the box, which it then drags onto the call; else no."""
    path = questions / RAVEN_TABLE
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    for row, item in zip(rows, read_plan(questions), strict=True):
        shift_s = item.at_s - item.clip_start_s
        calls = truth.get((item.recording, item.species), [])
        met = [(min(end, item.end_s) - max(start, item.start_s), start, end) for start, end in calls]
        overlap_s, start_s, end_s = max(met, default=(0.0, 0.0, 0.0))
        if overlap_s <= 0:
            row["Answer"] = "no"
        else:
            row["Begin Time (s)"] = max(start_s + shift_s, item.at_s)
            row["End Time (s)"] = min(end_s + shift_s, item.at_s + item.clip_s)
    with path.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    assert edited_table(questions) == path


def read_truth(forest):
    """Start and end of the calls by recording and species' name."""
    from rfcx_ssl.species import rfcx_species

    names, calls = rfcx_species().names, {}
    with (forest / "truth.csv").open() as lines:
        for row in csv.DictReader(lines):
            key = row["recording_id"], names[int(row["species_id"])]
            calls.setdefault(key, []).append((float(row["t_min"]), float(row["t_max"])))
    return calls


def train(args, seed, here, tables):
    """Fine-tune on all labels so far, to the last step, and judge on the test recordings."""
    run = here / "run"
    if not (here / "trained").exists():
        words = ["experiment=demo", "fold=null", f"data.root={here.parent}/forest", f"seed={seed}"]
        words += [f"model.encoder={args.encoder}", f"max_steps={args.steps}", f"output_dir={run}", "num_pictures=0"]
        words += ["data.group_by=recording", f"data.cache_dir={args.out}/cache_32000", "trackers=[]"]
        words.append(f"data.extra_tables=[{','.join(map(str, tables))}]")
        program("finetune/train.py", *words)
        (here / "trained").touch()
    if not (here / "scores.json").exists():
        reference = complete_reference(load_truth(args.forest), args.forest, "test recordings")
        heard, prior = hear(read_run(run), reference, "cpu"), prior_of(reference)
        judge = Judge(reference.truth, prior.values, resamples=1)
        raw, scaled = judge.score(heard.clip), judge.score(prior.scale("run", heard))
        scores = dict(zip(SCORES, (raw.ranking.overall, scaled.ranking.overall, raw.precision.macro), strict=True))
        write_text(here / "scores.json", json.dumps(scores))
        print(here, scores, flush=True)


def write_curve(args):
    """curve.csv and curve.png of whatever is judged so far."""
    from matplotlib.figure import Figure

    rows = []
    for seed, arm, number in itertools.product(args.seeds, args.arms, range(args.rounds + 1)):
        folder = args.out / f"seed{seed}"
        path = folder / (f"{arm}{number}" if number else "round0") / "scores.json"
        if path.exists():
            tables = [folder / f"{arm}{n}/answers.csv" for n in range(1, number + 1)]
            states = [row["state"] for table in tables for row in csv.DictReader(table.open())]
            rows.append(
                [seed, arm, number, len(states), states.count("present"), *json.loads(path.read_text()).values()]
            )
    columns = ["seed", "arm", "round", "answers", "present", *SCORES]
    write_csv(args.out / "curve.csv", columns, rows)
    figure = Figure(figsize=(12, 3.6), layout="constrained", dpi=110)
    for column, axes in enumerate(figure.subplots(1, len(SCORES)), start=len(columns) - len(SCORES)):
        for arm, color in zip(ARMS, SYSTEMS, strict=False):
            mine = np.array([[row[2] * args.budget, row[column]] for row in rows if row[1] == arm]).reshape(-1, 2)
            axes.plot(*mine.T, ".", color=color, alpha=0.6)
            answers = np.unique(mine[:, 0])
            axes.plot(answers, [mine[mine[:, 0] == x, 1].mean() for x in answers], color=color, label=arm)
        axes.set(title=TITLES[column - len(columns)], xlabel="answers")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    save_figure(figure, args.out / "curve.png")


def command(*words):
    """A command of rfcx-ssl, in this process."""
    words = list(map(str, words))
    print("rfcx-ssl", *words, flush=True)
    rfcx_ssl(words)


def program(*words):
    """A program of a stage, in a process of its own."""
    words = [sys.executable, *map(str, words)]
    print(*words, flush=True)
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(ROOT)}
    subprocess.run(words, check=True, cwd=ROOT, env=environment)


if __name__ == "__main__":
    main()
