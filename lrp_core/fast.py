"""The fast path: explanations in single precision by the kernels, asked for by `explain(..., dtype="float32")`."""
import numpy as np

from .backward import ROUNDING, UNDERFLOW, check_finite, check_relevance, plan
from .explanation import Explanation
from .gradients import GradientMethod
from .kernels.batch import Found, explain_batch
from .kernels.engine import Program
from .kernels.profile import profile_program
from .ledger import Ledger
from .memory import bound
from .network import INPUT
from .presets import composite
from .rules import is_declared
from .target import WINNER
from .text import quote


def explain_each(network, x, single, method, wanted, *, place, stop, keep, layers, threads, memory, progress):
    """What `explain.explain_each` returns, for a checked batch x and checked arguments."""
    end, scoring = stop or INPUT, network.scoring
    classes = scoring.shapes[scoring.nodes[-1].name]
    if memory is None:  # planning computes with whole layers; what it cannot know yet, `explain_batch` checks
        bound(scoring, 2 * scoring.need.outputs + 8 * scoring.need.crossing, 1)
    logits, found = np.empty((len(x), *classes), np.float32), [Found(len(x)) for _ in wanted]
    # Each sample by the program for its own sign, so that it does not depend on the others.
    signless = x.reshape(len(x), -1).min(axis=1) >= 0
    for nonnegative in np.unique(signless):
        program = planned(network, method, nonnegative=bool(nonnegative), start=place and place[0], stop=stop, keep=keep, layers=layers)
        if end not in program.plan.ends:
            raise ValueError(f"no relevance reaches node {quote(end)} from {quote(program.plan.start or program.output)}")
        explain_batch(program, x, np.flatnonzero(signless == nonnegative), wanted, logits, found,
                      mask=None if place is None else place[1], threads=threads, memory=memory, progress=progress)
    if not np.abs(logits).max() < np.finfo(np.float32).max:
        bad = int(np.abs(logits).max(axis=1).argmax())
        check_finite(scoring, scoring.forward(x[bad:bad + 1].astype(np.float64)))
        raise ValueError("the scores overflow single precision: use dtype='float64'")
    book = np.concatenate([one.book for one in found], axis=-1)
    ledger = Ledger(program.pages, book[:-1], book[-1, 0], book[-1, 1])
    check_relevance(ledger, "float32")
    ledger.check(ROUNDING["float32"], UNDERFLOW["float32"])
    winners = logits.argmax(axis=1)
    explanations = []
    for number, ((favoured, _), one) in enumerate(zip(wanted, found)):
        part = slice(number * len(x), (number + 1) * len(x))
        whole = Explanation(one.relevance[end], logits, np.where(favoured == WINNER, winners, favoured), network.class_names,
                            one.relevance if layers else None, ledger.sample(part), network.activation)
        explanations.append(whole[0] if single else whole)
    return explanations


def planned(network, method, *, nonnegative, start=None, stop=None, keep=None, layers=False):
    """The program for these rules, from the network's own small store of them.

    Conditions are asked anew each time: what they answer may change. So may the answers of a rule whose class
    declares no fields: its program is not stored.
    """
    keep, rules = keep or {}, method.rules_for(network.scoring)
    masks = tuple((name, mask.tobytes()) for name, mask in sorted(keep.items()))

    def make():
        return Program(network.scoring, plan(network.scoring, rules), nonnegative=nonnegative, start=start, stop=stop,
                       keep=keep, layers=layers)
    if not all(map(is_declared, rules)):
        return make()
    return network.programs.get((rules, nonnegative, start, stop, layers, masks), make)


def profile(network, x, rules="epsilon", *, repeats=9):
    """Where the time of the fast path goes: a row for every step of explaining x, one sample or a few, in the order of work.

    Each row has `name` (of the node), `direction` ("forward" or "backward"), `kernel` (what does the work; "NumPy" where
    no kernel fits), `seconds` for each sample (the median of `repeats`, on one thread, apart from the others), `flops`
    for each sample (multiplications and additions of the direct algorithm, 0 where there is no sum of products) and
    `reason` (why a step is left to NumPy). Prints as a table.
    """
    x, _ = network.check_input(x)
    method = composite(rules)
    if isinstance(method, GradientMethod):
        raise ValueError(f"profile: {method.name!r} has no kernels")
    return profile_program(planned(network, method, nonnegative=bool(x.min() >= 0)), x, repeats)
