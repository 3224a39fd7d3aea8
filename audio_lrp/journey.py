"""One ledger for all of it: from the explained logit through the network and the front end to the sound."""
import numpy as np

from features import relevance_to_sound
from lrp_core import Entry, Ledger
from lrp_core.ledger import ROUNDING

ROUNDED = "as float32"  # the entry between the network's and the front end's


def whole_ledger(explanation, sound):
    """The network's ledger continued by the front end's steps: one Ledger that ends at the sound's own samples.

    explanation: of a single clip. sound: the SoundRelevance its relevance was carried down to. Start is the logit
    that was explained, `arrived` the relevance of the samples; what digital silence dropped is booked as gated. An
    Explanation holds its relevance in float32: what that rounding does to the sum is the residual of an entry of its
    own, `ROUNDED`. Raises ConservationError where a step of the front end does not close to the rounding of double
    precision, or that entry to the rounding of single precision.
    """
    steps = [Entry(step.name, "front end", "LRP-0", step.received, step.passed, 0.0, 0.0, step.dropped,
                   0.0, step.turnover) for step in sound.steps]
    Ledger.of(steps, steps[0].received, steps[-1].passed).check(ROUNDING["float64"])
    handed, kept = explanation.ledger.arrived, steps[0].received
    rounded = Entry(ROUNDED, "front end", "rounding", handed, kept, 0.0, 0.0, 0.0, 0.0,
                    2 * float(np.abs(explanation.relevance).sum(dtype=np.float64)))
    ledger = Ledger.of([*explanation.ledger.entries, rounded, *steps], explanation.ledger.start, steps[-1].passed)
    ledger.check(ROUNDING["float32"])
    return ledger


def down_to_sound(clip, explanation):
    """(SoundRelevance, whole Ledger) of one clip's explanation."""
    sound = relevance_to_sound(clip, explanation.relevance)
    return sound, whole_ledger(explanation, sound)


def rounding_in_words(ledger):
    """Why the last residual of a whole ledger is larger than the others."""
    return (f"The relevance of an input is kept in single precision (float32). Row '{ROUNDED}' shows what that rounding "
            f"does to the sum: {ledger[ROUNDED].residual:.1e}, which is in the total too. All other residuals are the "
            "rounding of double precision.")
