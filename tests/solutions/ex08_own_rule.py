"""The gaps of exercise 8, filled."""
import dataclasses

import numpy as np

from lrp_core.rules import Group, Rule, Term, positive


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Sharp(Rule):
    p: float = 2.0

    def groups(self, layer):
        return (Group((Term(positive, np.maximum(layer.kernel, 0) ** self.p),)),)
