"""Augmentations judge calls by the rules that made the labels."""

from accelerate import Accelerator

from rfcx_ssl.config import load_settings
from rfcx_ssl.training.train import TrainSettings, build_parts


def test_coverage_and_edge_tolerance_are_those_of_the_data(forest, tmp_path):
    words = [
        "model=panns_demo", f"data.root={forest}", f"output_dir={tmp_path}", "max_steps=1", "data.num_folds=3",
        "data.coverage=0.7", "data.edge_tolerance_s=0.3", "augment=strong", "augment.stretch.p=0.5",
    ]  # fmt: skip
    settings = load_settings(TrainSettings, "finetune", "train", words)
    augment = build_parts(settings, Accelerator(cpu=True)).augment
    transforms = augment.transforms
    assert {transforms[name].coverage for name in ("speed", "stretch", "cutmix", "shift")} == {0.7}
    assert transforms["cutmix"].margin_frames == round(0.3 / augment.grid.frame_s)
