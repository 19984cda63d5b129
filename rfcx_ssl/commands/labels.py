"""Check the labels of a data set and show what they mean: rows per class and fold, each species, conflicts, crops.

With ``--tables-only`` no audio is needed. ``--dataset`` saves the labelled corpus as a ``datasets`` folder, ``--push``
sends it to the Hugging Face hub.
"""

import argparse
import sys
from pathlib import Path

from rfcx_ssl.annotations import Annotations, find_conflicts
from rfcx_ssl.data.budget import choose_labels
from rfcx_ssl.data.corpus import Corpus, load_corpus, load_tables
from rfcx_ssl.data.crops import CropDataset
from rfcx_ssl.data.exchange import push_dataset, save_dataset, to_dataset
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.data.species_report import contradictions, report, species_rows
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.folds import Folds, fold_table
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.pictures.crop import draw_crop
from rfcx_ssl.program import Answer, positive

PICTURE_FRAMES_PER_S = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``rfcx-ssl labels``."""
    parser.add_argument("root", type=Path, help="folder of the data set")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="any setting of configs/finetune/data")
    parser.add_argument(
        "--config",
        default="rfcx",
        help="rfcx, synth or annotations (any project): the settings to start from (default: rfcx)",
    )
    parser.add_argument("--tables-only", action="store_true", help="do not look at the audio")
    parser.add_argument("--save-folds", type=Path, metavar="CSV", help="write the folds, for data.folds_file")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw one training crop with its labels")
    parser.add_argument("--crop", type=int, default=0, metavar="N", help="which crop of epoch 0 to draw (default: 0)")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw crops spread over epoch 0 into a folder")
    parser.add_argument("--crops", type=positive, default=8, metavar="N", help="how many of them (default: 8)")
    parser.add_argument("--dataset", type=Path, metavar="FOLDER", help="save the corpus as a datasets folder")
    parser.add_argument("--push", metavar="REPO_ID", help="push the corpus to a private data set on the hub")


def run(args: argparse.Namespace) -> Answer:
    """Read, check and report; then write what was asked for."""
    settings = load_data_settings(args.root, args.config, args.overrides)
    if args.tables_only and (args.picture or args.pictures or args.dataset or args.push):
        raise ConfigError("--tables-only reads no audio, which --picture, --pictures, --dataset and --push need")
    durations_s = None
    if args.tables_only:
        annotations, folds, space, sites = load_tables(settings)
    else:
        corpus = load_corpus(settings)
        annotations, folds, space = corpus.annotations, corpus.folds, corpus.space
        sites = {name: item.site for name, item in corpus.recording_of.items() if item.site}
        durations_s = {name: item.duration_s for name, item in corpus.recording_of.items()}
    sys.stdout.write(describe(annotations, folds))
    rows = species_rows(annotations, folds, space.species, sites=sites, durations_s=durations_s)
    sys.stdout.write(f"\n{report(rows, folds.num_folds)}")
    sys.stdout.write("".join(f"contradiction: {line}\n" for line in contradictions(annotations, space.species)))
    if settings.has_label_budget:
        for fold in range(folds.num_folds):
            budget = choose_labels(annotations, folds.train_ids(fold), settings, fold)
            sys.stdout.write(f"fold {fold}: {budget.summary()}\n")
    if args.save_folds:
        folds.save(args.save_folds)
    if not args.tables_only:
        _write(args, corpus)
    recordings = {fold: len(folds.valid_ids(fold)) for fold in range(folds.num_folds)}
    return {"recordings_per_fold": recordings, "test_recordings": len(folds.test_ids), "species": rows}


def describe(annotations: Annotations, folds: Folds) -> str:
    """Totals, conflicts and the table of rows per class and fold, as text that ends in a newline."""
    counts, met = annotations.table["state"].value_counts(), find_conflicts(annotations)
    sizes = [str(len(folds.valid_ids(fold))) for fold in range(folds.num_folds)]
    if folds.test_ids:
        sizes.append(f"test {len(folds.test_ids)}")
    whole = sum(map(annotations.is_complete, annotations.complete))
    parts = len(annotations.complete) - whole
    lines = [
        f"{counts.get('present', 0) - met.tags} present and {counts.get('absent', 0)} absent boxes in "
        f"{len(annotations.recording_ids)} recordings, {whole} of them complete",
        f"{met.contradicting} absent boxes contradict a present one of their species (the present one counts)",
        f"{met.same_species} absent boxes name a species that is present at another time of the recording",
        f"{met.crossing} absent boxes overlap a present one of another species",
        f"{met.overlapping} pairs of present boxes overlap",
        *([f"{parts} recordings are complete in part or for some species"] if parts else []),
        *(
            [f"{met.tags} tags, {met.ruled_out} of them ruled out by absent boxes (the boxes count)"]
            if met.tags
            else []
        ),
        f"recordings per fold: {', '.join(sizes)}",
        fold_table(annotations, folds).to_string(index=False),
    ]
    return "\n".join(lines) + "\n"


def _write(args: argparse.Namespace, corpus: Corpus) -> None:
    if args.picture or args.pictures:
        rate = corpus.settings.sample_rate_hz
        dataset = CropDataset(corpus, None, FrameGrid(rate, rate // PICTURE_FRAMES_PER_S))
        _draw(args, dataset)
    if args.dataset or args.push:
        dataset_of_rows = to_dataset(corpus)
        if args.dataset:
            save_dataset(dataset_of_rows, args.dataset)
        if args.push:
            sys.stdout.write(f"pushed: {push_dataset(dataset_of_rows, args.push)}\n")


def _draw(args: argparse.Namespace, dataset: CropDataset) -> None:
    """One crop, and crops spread over all."""
    if args.picture:
        if not 0 <= args.crop < len(dataset):
            raise ConfigError(f"--crop {args.crop}: must be 0 to {len(dataset) - 1}")
        draw_crop(dataset, args.crop, args.picture)
    if args.pictures:
        count = min(args.crops, len(dataset))
        for crop in (number * len(dataset) // count for number in range(count)):
            draw_crop(dataset, crop, args.pictures / f"crop_{crop:06d}.png")
