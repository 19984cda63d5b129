import torch

from rfcx_ssl.labels import Batch, Crop, collate


def test_collate_stacks_every_field_in_order():
    def crop(i):
        return Crop(
            torch.full((8,), float(i)),
            torch.full((4, 2), float(i)),
            torch.ones(4, 2),
            torch.ones(2),
            torch.ones(2),
            torch.tensor(i),
        )

    batch = collate([crop(3), crop(5)])
    assert isinstance(batch, Batch)
    assert [tuple(field.shape) for field in batch] == [(2, 8), (2, 4, 2), (2, 4, 2), (2, 2), (2, 2), (2,)]
    assert batch.index.tolist() == [3, 5] and batch.index.dtype == torch.int64
    assert batch.target[1].unique().item() == 5.0
