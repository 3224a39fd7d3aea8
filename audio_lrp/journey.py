"""One ledger for all of it: from the explained logit through the network and the front end to the sound."""
from features import relevance_to_sound
from lrp_core import Entry, Ledger
from lrp_core.ledger import ROUNDING


def whole_ledger(explanation, sound):
    """The network's ledger continued by the front end's steps: one Ledger that ends at the sound's own
    samples.

    explanation: of a single clip. sound: the SoundRelevance its relevance was carried down to. Start is the
    logit that was explained, `arrived` the relevance of the samples; what digital silence dropped is booked
    as gated. Raises ConservationError where a step of the front end does not add up to the rounding of double
    precision, or all of it to that of the explanation.
    """
    steps = [Entry(step.name, "front end", "LRP-0", step.received, step.passed, gated=step.dropped,
                   turnover=step.turnover) for step in sound.steps]
    Ledger.of(steps, steps[0].received, steps[-1].passed).check(ROUNDING["float64"])
    ledger = Ledger.of([*explanation.ledger.entries, *steps], explanation.ledger.start, steps[-1].passed)
    ledger.check(ROUNDING[explanation.relevance.dtype.name])
    return ledger


def down_to_sound(clip, explanation):
    """(SoundRelevance, whole Ledger) of one clip's explanation."""
    sound = relevance_to_sound(clip, explanation.relevance)
    return sound, whole_ledger(explanation, sound)
