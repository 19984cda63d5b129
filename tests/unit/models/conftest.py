import pytest
import torch

from rfcx_ssl.species import LabelSpace, rfcx_label_space


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def space() -> LabelSpace:
    return rfcx_label_space(split_songtypes=True, noise_class=True)
