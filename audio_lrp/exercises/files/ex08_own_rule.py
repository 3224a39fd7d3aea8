"""8. A rule of your own

You have seen LRP-0, ε, αβ and flat. They are one loop with different x', W' and b':

    z    = Σ_terms (x' W' + b')
    s    = R / (z + ε · sign(z))
    R_in = Σ_terms x' · (W' s)

So a rule of lrp_core only says which terms there are. A `Term(part, W', b')` is one map of a part
of the input: `whole`, `positive`, `negative` or `ones` (every input counts as 1). Terms that share
a denominator are a `Group`. ZPlus for inputs that are not negative is, for example,

    def groups(self, layer):
        return (Group((Term(positive, np.maximum(layer.kernel, 0)),)),)

Your rule, Sharp, favours strong weights: the larger p, the more goes to the input with the largest
weight.

    R_i = Σ_j  x_i⁺ (W_ij⁺)^p / Σ_i' x_i'⁺ (W_i'j⁺)^p · R_j

The engine does the rest, for every kind of layer, and keeps the ledger. More: docs/how-to/rule.md
of the project.

Fill the gap. Then run: python check.py 8
"""
import dataclasses

import numpy as np

from lrp_core.rules import Group, Rule, Term, negative, ones, positive, whole


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Sharp(Rule):
    """Shares by x⁺ (W⁺)^p. Conserves where something speaks in favour."""
    p: float = 2.0

    def groups(self, layer):
        return ...  # YOUR CODE: one group with one term, without a bias


# Hint: take the ZPlus above, and raise its weights to the power self.p. A tuple with one element
# needs a comma: (a,)
