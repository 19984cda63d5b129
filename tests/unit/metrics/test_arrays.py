"""The checks that all metrics share."""

import numpy as np
import pytest

from rfcx_ssl.metrics.arrays import as_mask, check_arrays, mean_or_nan


def test_unknown_positives_are_dropped_and_unknown_nans_allowed():
    positive, values, known = check_arrays([[1, 1, 0]], [[0.5, np.nan, 2]], [[True, False, True]])
    assert positive.tolist() == [[True, False, False]] and known.tolist() == [[True, False, True]]
    assert values.dtype == np.float64


@pytest.mark.parametrize("values", [[0, 2], [0.0, np.nan], [-1, 1]])
def test_anything_but_zero_and_one_is_refused(values):
    with pytest.raises(ValueError, match="truth must hold 0 and 1 only, got"):
        as_mask("truth", values)
    assert as_mask("truth", np.array([0.0, 1.0], dtype=np.float32)).tolist() == [False, True]


def test_mean_or_nan():
    assert mean_or_nan(np.array([1.0, np.nan, 3.0])) == 2.0
    assert np.isnan(mean_or_nan(np.array([np.nan])))


def test_an_error_names_the_array_and_the_cell():
    with pytest.raises(ValueError, match=r"known must hold 0 and 1 only, got np.float64\(2.0\)"):
        check_arrays([[1, 0]], [[0.5, 0.5]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="2 known scores are NaN, first at row 1, column 0"):
        check_arrays([[1, 0], [0, 1]], [[0.5, np.nan], [np.nan, np.nan]], [[1, 0], [1, 1]])
    with pytest.raises(ValueError, match="one shape"):
        check_arrays([1, 0], [0.5, 0.5], None)
