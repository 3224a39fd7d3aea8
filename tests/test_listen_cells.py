"""Which cells of a spectrogram a part of the sound is made of, by trying all sets of them."""
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import listen

seeded = settings(max_examples=40, derandomize=True, deadline=None, database=None)


@seeded
@given(st.lists(st.integers(-4, 6), min_size=1, max_size=9),
       st.sampled_from([1 / 16, 0.25, 0.5, 0.75, 15 / 16, 1.0]))
def test_no_smaller_set_of_cells_carries_the_share(values, share):
    """By trying all sets; whole numbers and binary shares make every comparison exact."""
    relevance = np.array(values, float)
    chosen = listen.strongest(relevance, share)
    wanted = share * relevance[relevance > 0].sum()
    if wanted == 0:
        assert not chosen.any()
        return
    assert relevance[chosen].sum() >= wanted and (relevance[chosen] > 0).all()
    for size in range(chosen.sum()):
        assert all(sum(some) < wanted for some in itertools.combinations(relevance, size))


@pytest.mark.parametrize("share", [1e-300, 1e-17, 1e-3])
@pytest.mark.parametrize("count", [1, 3, 10, 1000])
def test_a_tiny_share_of_equal_cells_is_the_first(count, share):
    """The mean of equal numbers may be rounded to more than each of them."""
    chosen = listen.strongest(np.full(count, 0.1), share)
    assert chosen[0] and chosen.sum() <= max(1, 2 * share * count)


@pytest.mark.parametrize("share", [1e-6, 0.1, 0.5, 0.9, 1 - 1e-9])
def test_without_its_weakest_cell_a_part_would_carry_too_little(share):
    relevance = np.random.default_rng(0).standard_normal((40, 30)) ** 3
    chosen = listen.strongest(relevance, share)
    assert chosen.shape == relevance.shape
    wanted, kept = share * relevance[relevance > 0].sum(), relevance[chosen]
    assert kept.sum() >= wanted * (1 - 1e-12) and kept.sum() - kept.min() < wanted
    assert kept.min() > np.where(chosen, -np.inf, relevance).max(), "the strongest cells, no others"


def test_of_equal_cells_the_first_are_taken_whatever_the_memory_order():
    relevance = np.array([[1.0, 2, 2], [2, 0, 2]])
    expected = [[False, True, True], [False, False, False]]
    for same in (relevance, np.asfortranarray(relevance), relevance.repeat(2, axis=1)[:, ::2],
                 relevance[::-1][::-1]):
        np.testing.assert_array_equal(listen.strongest(same, 4 / 9), expected)
        np.testing.assert_array_equal(listen.strongest(same, 1.0), relevance > 0)


@pytest.mark.parametrize("relevance", [np.zeros((2, 3)), -np.ones((2, 3)), np.array([[0, -1e-300]])])
def test_where_nothing_is_positive_nothing_is_chosen(relevance):
    assert not listen.strongest(relevance, 1.0).any()


@seeded
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=40), st.floats(0.01, 1))
def test_every_cell_belongs_to_just_one_part(values, share):
    cells = np.array(values, float)[None]
    masks = listen.divide(cells, share=share)
    assert masks.dtype == bool and (masks.sum(axis=0) == 1).all()
    assert (cells[masks[0]] > 0).all() and (cells[masks[1]] < 0).all()
    np.testing.assert_array_equal(masks[0], listen.strongest(cells, share))
    np.testing.assert_array_equal(masks[1], listen.divide(-cells, share=share)[0])


@pytest.mark.parametrize("share", [0, -0.5, 1.0001, math.nan, math.inf])
def test_a_share_of_nothing_or_more_than_all_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        listen.divide(np.ones((2, 2)), share=share)
