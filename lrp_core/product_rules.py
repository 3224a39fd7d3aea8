"""Rules for layers that multiply tensors, and for a softmax inside a network: gates and attention.

Which one a layer gets, and which operand is the gate, is decided by the composite (`gates.rule_of_product`).
"""
import dataclasses

from .checks import is_number
from .rules import Rule


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Gate(Rule):
    """One operand is a gate, held fixed; the other is the signal, which gets everything ("signal takes all").

        z = g·s:    R_s = R,   R_g = 0
        O = A V:    R_V = V ⊙ Aᵀ (R / stabilize(O)),   R_A = 0        (CP-LRP, with A the attention)

    operand: which one is held fixed, 0 or 1. epsilon: the stabilizer in matrix products. Conserves, up to the
    stabilizer. Arras et al. 2017 (arXiv 1706.07206, eq. 3); Ali et al. 2022 (2202.07304).
    """
    operand: int = 0
    epsilon: float = 1e-7

    def __post_init__(self):
        if self.operand not in (0, 1) or isinstance(self.operand, bool):
            raise ValueError(f"Gate: operand must be 0 or 1, got {self.operand!r}")
        check_epsilon(self)

    def stabilizer(self, z):
        return self.epsilon


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Half(Rule):
    """Both operands get half.

        z = a·b:    R_a = R_b = R / 2
        O = A V:    R_A = A ⊙ (R / 2 stabilize(O)) Vᵀ,   R_V = V ⊙ Aᵀ (R / 2 stabilize(O))

    Conserves, up to the stabilizer. Achtibat et al. 2024 (AttnLRP, arXiv 2402.05602), proposition 3.2 and
    eq. 15.
    """
    epsilon: float = 1e-7

    def __post_init__(self):
        check_epsilon(self)

    def stabilizer(self, z):
        return self.epsilon


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class SoftmaxTaylor(Rule):
    """A softmax s = softmax(x) inside a network: its first-order expansion at x.

        R_i = x_i (R_i - s_i Σ_j R_j)

    Does not conserve: the difference is the ledger's column "softmax". Nor is it the same when all x are
    shifted by a constant, which the softmax itself does not notice: the sum stays, single relevances move.
    Achtibat et al. 2024 (AttnLRP), proposition 3.1.
    """


def check_epsilon(rule):
    """Refuse an ε that is no number above 0."""
    if not (is_number(rule.epsilon) and rule.epsilon > 0):
        raise ValueError(f"{type(rule).__name__}: epsilon must be a number above 0, got {rule.epsilon!r}")
