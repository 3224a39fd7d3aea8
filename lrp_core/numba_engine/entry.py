"""The compiled engine as `explain` and `profile` call it: a program for a request, from a cache, and a batch
through it.
"""
import threading
import weakref

import numpy as np

from ..checks import check_scores
from ..explanation import Explanation
from ..flow import flow
from ..ledger import ROUNDING, UNDERFLOW, Ledger
from ..memory import bound
from ..steps import plan
from ..target import WINNER
from ..text import quote
from .batch import Found, Programs, explain_batch
from .runtime import Program


def explain_each(request):
    """An Explanation for each target of a Request."""
    network, x, dtype = request.network, request.x, request.dtype
    scoring = network.scoring
    classes = scoring.shapes[scoring.nodes[-1].name]
    # planning computes with whole layers; what it cannot know yet, `explain_batch` checks
    if request.memory is None:
        bound(scoring, 2 * scoring.need.outputs + 8 * scoring.need.crossing, 1)
    logits, found = np.empty((len(x), *classes), dtype), [Found(len(x)) for _ in request.targets]
    # Each sample by the program for its own sign, so that it does not depend on the others.
    signless = x.reshape(len(x), -1).min(axis=1) >= 0
    for nonnegative in sorted(set(signless.tolist())):
        program = planned(network, request.method, dtype=dtype, nonnegative=nonnegative, start=request.start,
                          stop=request.stop, keep=request.keep, layers=request.layers)
        if request.end not in program.ends:
            raise ValueError(f"no relevance reaches node {quote(request.end)} from "
                             f"{quote(program.start or program.output)}")
        explain_batch(program, request, np.flatnonzero(signless == nonnegative), logits, found)
    if not np.abs(logits).max() < np.finfo(np.float32).max:
        bad = int(np.abs(logits).max(axis=1).argmax())
        check_scores(scoring, scoring.forward(x[bad:bad + 1].astype(np.float64)))
        raise ValueError("the scores overflow single precision: use dtype='float64'")
    numbers = np.concatenate([one.numbers for one in found], axis=-1)
    ledger = Ledger(program.pages, numbers[:-1], numbers[-1, 0], numbers[-1, 1], request.what, request.end)
    ledger.check_finite(dtype)
    ledger.check(ROUNDING[dtype], UNDERFLOW[dtype])
    winners = logits.argmax(axis=1)
    return [Explanation.answer(request, logits, np.stack([np.where(side == WINNER, winners, side)
                                                          for side in target], axis=1),
                               one.relevance,
                               ledger.sample(slice(number * len(x), (number + 1) * len(x))))
            for number, (target, one) in enumerate(zip(request.targets, found))]


_LOCK = threading.Lock()
_PROGRAMS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def programs_of(network):
    """The last Programs planned for a network."""
    with _LOCK:
        return _PROGRAMS.setdefault(network, Programs())


def planned(network, method, *, dtype, nonnegative, start=None, stop=None, keep=None, layers=False):
    """The program for these rules, from a small store of them for each network.

    Conditions are asked anew each time: what they answer may change. So may the answers of a rule whose class
    declares no fields: its program is not stored.
    """
    keep, rules = keep or {}, method.rules_for(network.scoring)
    flows = tuple(flow.registry.values())  # how layers of each type are crossed: that may change, too
    masks = tuple((name, mask.tobytes()) for name, mask in sorted(keep.items()))

    def make():
        return Program(network.scoring, plan(network.scoring, rules), dtype=dtype, nonnegative=nonnegative,
                       start=start, stop=stop,
                       keep=keep, layers=layers)
    if not rules.declared:
        return make()
    return programs_of(network).get((rules, flows, dtype, nonnegative, start, stop, layers, masks), make)
