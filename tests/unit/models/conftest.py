import pytest
import torch

from rfcx_ssl.species import LabelSpace, label_space, rfcx_species


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def space() -> LabelSpace:
    return label_space(rfcx_species(), split_songtypes=True, noise_class=True)
