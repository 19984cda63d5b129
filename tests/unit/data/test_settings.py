from pathlib import Path

import pytest

from rfcx_ssl.config import config_root, load_settings
from rfcx_ssl.data import DataSettings
from rfcx_ssl.errors import ConfigError

NAMES = sorted(path.stem for path in (config_root() / "finetune" / "data").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_file_loads_once_root_is_set(name):
    chosen = load_settings(DataSettings, "finetune/data", name, ["root=/somewhere"])
    assert chosen.root == Path("/somewhere") and chosen.sample_rate_hz == 32_000 and chosen.crop_samples == 160_000
    with pytest.raises(ConfigError, match="root: required, not set"):
        load_settings(DataSettings, "finetune/data", name)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_files_list_every_key(name):
    text = (config_root() / "finetune" / "data" / f"{name}.yaml").read_text()
    listed = {line.split(":")[0] for line in text.splitlines() if line and line[0] not in "# "}
    assert listed == set(DataSettings.__dataclass_fields__)


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"crop_s": 0}, "crop_s=0 must be above 0"),
        ({"num_folds": 1}, "num_folds=1 must be at least 2"),
        ({"edge_tolerance_s": -0.1}, "edge_tolerance_s=-0.1 must not be negative"),
        ({"coverage": 1.5}, "coverage=1.5 must be above 0 and at most 1"),
        ({"jitter": 2}, r"jitter=2 must be in \[0, 1\]"),
        ({"present_share": 0, "absent_share": 0}, "one above 0"),
        ({"audio_folders": ()}, "at least one folder"),
    ],
)
def test_values_without_a_meaning_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        DataSettings(root=Path("x"), **changes)


def test_the_cache_lies_in_the_data_unless_told_otherwise():
    assert DataSettings(root=Path("x")).cache_path is None
    assert DataSettings(root=Path("x"), cache=True).cache_path == Path("x/cache_32000")
    assert DataSettings(root=Path("x"), cache=True, cache_dir=Path("y")).cache_path == Path("y")
