"""In which form constants lie in memory: as they are, or arranged for the kernels that read them."""
import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Form:
    """One way to write an array for kernels.

    shape: (shape of the array, dtype) -> shape as it lies. units: shape of the array -> into how many pieces
    the work divides. write: (array, out, first, last), which writes pieces first..last into `out`.
    """
    name: str
    shape: Callable
    units: Callable
    write: Callable


PLAIN = Form("plain", lambda shape, dtype: shape, lambda shape: 1,
             lambda array, out, first, last: np.copyto(out, array))
