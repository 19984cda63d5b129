"""Frames of one grid as frames of another, against a loop over fractions."""

from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given

from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.regrid import Regrid


def reference(rows, own, common, num_frames):
    """The mean over what each common frame covers, frame by frame in exact times."""
    length, wanted = (Fraction(grid.hop_samples, grid.sample_rate_hz) for grid in (own, common))
    result = []
    for j in range(num_frames):
        parts = []
        for k, row in enumerate(rows):
            shared = min((j + 1) * wanted, (k + 1) * length) - max(j * wanted, k * length)
            if shared > 0:
                parts.append((float(shared), row))
        result.append(sum(s * r for s, r in parts) / sum(s for s, _ in parts) if parts else rows[-1])
    return np.array(result)


grids = st.builds(FrameGrid, st.sampled_from([100, 91, 111, 160]), st.integers(1, 40))


@given(grids, grids, st.integers(1, 30), st.data())
def test_pieces_of_any_size_are_the_means_of_what_they_cover(own, common, num_rows, data):
    rows = torch.rand(num_rows, 2, generator=torch.Generator().manual_seed(num_rows))
    seconds = Fraction(num_rows * own.hop_samples, own.sample_rate_hz)
    num_frames = -int(-seconds * common.sample_rate_hz // common.hop_samples) + data.draw(st.integers(0, 2))
    regrid, pieces, done = Regrid(own, common), [], 0
    for piece in rows.split(data.draw(st.integers(1, 7))):
        regrid.push(piece)
        stop = data.draw(st.integers(done, max(done, regrid.num_final)))
        pieces.append(regrid.take(stop))
        assert len(pieces[-1]) == stop - done
        done = stop
    regrid.ended = True
    assert regrid.num_final is None
    pieces.append(regrid.take(max(done, num_frames)))
    num_frames = max(done, num_frames)
    expected = reference(rows.double().numpy(), own, common, num_frames)
    np.testing.assert_allclose(torch.cat(pieces).numpy(), expected, rtol=1e-6, atol=1e-7)


def test_equal_grids_pass_scores_on_as_they_are():
    rows = torch.rand(10, 3)
    regrid = Regrid(FrameGrid(32_000, 640), FrameGrid(48_000, 960))
    regrid.push(rows)
    assert torch.equal(torch.cat([regrid.take(4), regrid.take(10)]), rows)


def test_rows_that_were_used_are_forgotten():
    regrid = Regrid(FrameGrid(100, 7), FrameGrid(100, 10))
    for _ in range(50):
        regrid.push(torch.rand(20, 1))
        regrid.take(regrid.num_final)
        assert len(regrid._rows) <= 3
