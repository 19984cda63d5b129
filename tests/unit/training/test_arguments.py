"""Lists on a command line, before settings and between them."""

import pytest

from rfcx_ssl.training.arguments import gather_lists, numbers, words


@pytest.mark.parametrize(
    ("line", "gathered"),
    [
        ("--seeds 0 1 2 model=a data=b", "--seeds 0,1,2 model=a data=b"),
        ("model=a --folds 1 3 --seeds 4 ~augment.gain x=1", "model=a --folds 1,3 --seeds 4 ~augment.gain x=1"),
        ("--seeds 7 --out runs/a --folds 0", "--seeds 7 --out runs/a --folds 0"),
        ("--out runs/a x=1 +y=2", "--out runs/a x=1 +y=2"),
        ("--devices GPU-1a 3 +optim.x=1 --seeds 1", "--devices GPU-1a,3 +optim.x=1 --seeds 1"),
        ("--seeds --folds 0 1", "--seeds --folds 0,1"),
    ],
)
def test_lists_end_where_settings_begin(line, gathered):
    assert gather_lists(line.split(), ("--seeds", "--folds", "--devices")) == gathered.split()


def test_what_was_gathered_is_read_back():
    assert numbers("0,1,2") == [0, 1, 2]
    assert words("GPU-1a,3") == ["GPU-1a", "3"]
    with pytest.raises(ValueError):
        numbers("0,one")
