"""Kernels become part of the entry that calls them: machine code is made once, and computes the same."""
import numba
import numpy as np
import pytest

from lrp_core.numba_engine.kernels.jit import entry, kernel, loop_kernel

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="JIT is switched off")


@kernel
def square(x):
    return x * x


@loop_kernel
def sum_of_squares(x):
    total = x.dtype.type(0)
    for number in x:
        total += square(number)
    return total


@entry
def length(x):
    return np.sqrt(sum_of_squares(x))


@entry
def product_of_squares(x, y):
    return square(x) * square(y)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernels_that_call_kernels_compute_what_python_does(dtype):
    assert length(np.array([2, 3, 6], dtype)) == 7
    assert product_of_squares(np.dtype(dtype).type(3), 2) == 36, "a kernel of two entries"


def machine_code(function):
    """The addresses of a function's machine code for each of its types; 0 where there is none."""
    return [one.library.get_pointer_to_function(one.fndesc.llvm_func_name)
            for one in function.overloads.values()]


def test_only_entries_have_machine_code():
    length(np.ones(3))
    assert all(machine_code(length)) and not any(machine_code(square) + machine_code(sum_of_squares))
