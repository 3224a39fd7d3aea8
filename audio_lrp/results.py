"""One clip explained: what goes on the terminal, into the JSON and into the arrays."""
import dataclasses
import json

import numpy as np

import features
import lrp_core
from lrp_core.files import replacing
from lrp_core.text import clean

from . import profiles
from .journey import down_to_sound

# below this probability the winner is more likely wrong than right, as far as probabilities are calibrated
UNSURE = 0.5
HEADINGS = {"epsilon": "LRP-epsilon", "preset_a_flat": "LRP-flat"}


@dataclasses.dataclass(frozen=True)
class Result:
    """A clip with its explanations by preset name, the one that was asked for first."""
    clip: features.Clip
    explanations: dict

    @property
    def main(self):
        """The explanation that was asked for."""
        return next(iter(self.explanations.values()))

    @property
    def title(self):
        """Classes, their probabilities and the target in a line."""
        e = self.main
        named = ", ".join(f"{e.class_names[number]} ({e.probabilities[number]:.0%})" for number in heard(e))
        return f"heard: {named}   explained: {e.class_names[e.target]} (logit {e.logits[e.target]:.2f})"

    def heading(self, name):
        """What stands above a picture: the clip's name, the title, and how much of a longer sound was heard.
        """
        return "\n".join([f"{clean(name)}   {self.title}", *[self.clip.cut] * bool(self.clip.cut)])

    @property
    def warnings(self):
        """What a reader should know before trusting the answer."""
        found = []
        if self.clip.cut:
            found.append(f"{self.clip.cut}: what comes later had no part in this; to explain it, cut it out "
                         "as a file of its own")
        if self.clip.silent:
            found.append("the clip is silent: the network answers all the same, its answer means nothing")
        best = float(self.main.probabilities.max())
        if best < UNSURE:
            found.append(f"unsure: no class reaches {UNSURE:.0%} (the likeliest has {best:.0%}); the sound "
                         "may be none of the "
                         f"{len(self.main.probabilities)}")
        return found


def heard(e):
    """The numbers of the classes that the network hears: the likeliest first.

    Where each class has a probability of its own (a sigmoid at the network's end), all that reach UNSURE;
    else, and where none does, the likeliest alone.
    """
    order = np.argsort(-e.logits, kind="stable").tolist()
    return [number for number in order
            if e.probabilities[number] >= UNSURE] or order[:1] if e.independent else order[:1]


def presets_for(rules):
    """The presets to run: the one asked for first, then the study's LRP-epsilon and LRP-flat."""
    asked = lrp_core.ALIASES.get(rules, rules)
    return list(dict.fromkeys([asked, *HEADINGS]))


def explain_clips(network, clips, rules, target, **how):
    """Results for a batch of clips; the network must have class names. how: engine and dtype, as of
    `lrp_core.explain`.
    """
    images = np.stack([clip.image for clip in clips])
    by_preset = {name: lrp_core.explain(network, images, name, target, **how) for name in presets_for(rules)}
    return [Result(clip, {name: e[index] for name, e in by_preset.items()}) for index,
            clip in enumerate(clips)]


def maps(result):
    """{heading: relevance [64, 64], summed over the channels} for the picture."""
    return {HEADINGS.get(name, name): e.relevance.sum(axis=-1) for name, e in result.explanations.items()}


def as_dict(result):
    """Everything but the arrays, as plain JSON values."""
    clip, e = result.clip, result.main
    return {
        "clip": clip.name, "sample_rate": clip.sample_rate, "channels": clip.channels,
        "duration_s": clip.duration,
        "heard_s": clip.heard,
        "heard": e.class_names[int(e.logits.argmax())],
        "all_heard": [e.class_names[number] for number in heard(e)],
        "independent_probabilities": e.independent,
        "probabilities": {name: float(p) for name, p in zip(e.class_names, e.probabilities)},
        "logits": {name: float(z) for name, z in zip(e.class_names, e.logits)},
        "target": {"class": e.class_names[e.target], "index": e.target, "logit": float(e.logits[e.target])},
        "rules": {name: {"relevance_total": float(one.relevance.sum(dtype=np.float64)),
                         "relevance_for": float(np.maximum(one.relevance, 0).sum(dtype=np.float64)),
                         "relevance_against": float(np.minimum(one.relevance, 0).sum(dtype=np.float64)),
                         "ledger": one.ledger.to_dict()} for name, one in result.explanations.items()},
        "warnings": result.warnings,
    }


def write(result, directory, stem, picture="png"):
    """Write the picture, STEM.json, STEM.npz, and the profiles as STEM-profiles.csv and a picture into
    `directory`.

    picture: png, svg or pdf. Each file is written whole or not at all. Returns their names.
    """
    from . import plots  # matplotlib is loaded only where something is drawn
    plots.save(plots.explanation_figure(result.clip, maps(result), result.heading(stem)),
               directory / f"{stem}.{picture}")
    sound, _ = down_to_sound(result.clip, result.main)
    clip_profiles = profiles.profiles_of(sound.mel)
    profiles.write_csv(clip_profiles, directory / f"{stem}-profiles.csv")
    plots.save(profiles.draw(clip_profiles, result.heading(stem)), directory / f"{stem}-profiles.{picture}")
    with replacing(directory / f"{stem}.json") as partial:
        partial.write_text(json.dumps(as_dict(result), indent=1))
    with replacing(directory / f"{stem}.npz") as partial:
        np.savez_compressed(partial, image=result.clip.image, mel_db=result.clip.decibels.astype(np.float32),
                            logits=result.main.logits, probabilities=result.main.probabilities,
                            **{f"relevance_{name}": e.relevance for name, e in result.explanations.items()})
    return [f"{stem}.{picture}", f"{stem}.json", f"{stem}.npz", f"{stem}-profiles.{picture}",
            f"{stem}-profiles.csv"]


def bottom_line(ledger):
    """The ledger in a sentence: the logit, and where all of it is."""
    total = ledger.total
    parts = [f"{total.passed:.4f} on the image"]
    parts += [f"{getattr(total, name):.4f} {words}" for name, words in
              (("bias", "taken by biases"), ("stabilizer", "by the stabilizer"), ("gated", "gated"))]
    return f"{total.received:.4f} = {' + '.join(parts)}   (residual {float(ledger.residual):.0e})"
