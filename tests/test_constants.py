"""Constants of compiled programs: equal ones once, each in the form that its kernel reads."""
import numpy as np
import pytest

from lrp_core.numba_engine.constants import Constants
from lrp_core.numba_engine.kernels.forms import TILE, copy
from lrp_core.numba_engine.kernels.matmul import PANELS, panel_width


@pytest.mark.parametrize("shape", [(), (5,), (2, 2), (TILE, TILE), (2 * TILE + 1, TILE + 3), (3, 2, 200, 150),
                                   (300, 5, 160)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_copy_holds_the_same_numbers_however_both_lie(shape, dtype):
    rng = np.random.default_rng(0)
    for _ in range(8):
        array = rng.standard_normal(shape).transpose(rng.permutation(len(shape)))
        out = np.full([n + 2 for n in array.shape], 7, dtype)
        inner = out[(slice(1, -1),) * out.ndim] if shape else out
        copy(array, inner)
        np.testing.assert_array_equal(inner, array.astype(dtype))
        if shape:
            inner[...] = 7
            assert (out == 7).all(), "and nothing beyond it"


@pytest.mark.parametrize("shape", [(1, 1), (70, 33), (130, 200), (1200, 1100)])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constants_lie_where_they_were_promised(shape, turned, dtype):
    """Each in its form, written by one thread or several; equal ones once."""
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal(shape[::-1]).T if turned else rng.standard_normal(shape)
    constants = Constants(dtype)
    places = [constants.add(matrix, PANELS), constants.add(matrix), constants.add(rng.standard_normal(3))]
    assert constants.add(matrix.copy(), PANELS) == places[0] and constants.add(matrix.copy()) == places[1]
    flat, width = constants.build(), panel_width(shape[1], dtype)
    panels = flat[places[0]:places[0] + -(-shape[1] // width) * shape[0] * width].reshape(-1, shape[0], width)
    wide = np.zeros((shape[0], len(panels) * width), dtype)
    wide[:, :shape[1]] = matrix
    np.testing.assert_array_equal(panels, wide.reshape(shape[0], -1, width).swapaxes(0, 1))
    np.testing.assert_array_equal(flat[places[1]:places[1] + matrix.size], matrix.astype(dtype).ravel())
