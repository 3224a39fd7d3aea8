"""One sound explained: what `audio_lrp.explain` returns, and what goes on the terminal and into files."""
import base64
import dataclasses
import html
import io
import json
import pathlib
import typing

import numpy as np

import lrp_core
from features import Clip
from lrp_core.cached import cached
from lrp_core.files import replacing
from lrp_core.ledger_views import html_summary, sentence
from lrp_core.show import line
from lrp_core.text import clean

from . import profiles
from .edges import edge_sentence
from .explained import Explained, map_of
from .models import name_of, reads_as

# below this probability the winner is more likely wrong than right, as far as probabilities are calibrated
UNSURE = 0.5
NAMED = 3  # classes that a title names
# The study's names of two presets: the first draws what one expects to see, the second is its usual partner.
HEADINGS = {"preset_a_flat": "LRP-flat", "epsilon": "LRP-epsilon"}


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """A sound, what a network says of it, and which part of the sound made it say so.

    clip: the sound at every stage of the front end (see `features.Clip`). network: what was asked. explained:
    {rule's name: Explained}, the one that was asked for first.
    """
    clip: Clip
    network: lrp_core.Network
    explained: dict

    # ---- what was said

    @property
    def main(self) -> Explained:
        """By the rule that was asked for."""
        return next(iter(self.explained.values()))

    @property
    def e(self) -> lrp_core.Explanation:
        """The network's own explanation by that rule."""
        return self.main.e

    @property
    def reads(self) -> str:
        """"probabilities" where the network ends in a softmax or sigmoid, else "scores"."""
        return reads_as(self.network)

    @cached
    def values(self) -> np.ndarray:
        """What the network says: a probability for each class, or its scores, [classes]."""
        return np.ravel(self.e.probabilities if self.reads == "probabilities" else self.e.logits)

    @property
    def order(self) -> list:
        """The numbers of all scores, the largest first."""
        return np.argsort(-np.ravel(self.e.logits), kind="stable").tolist()

    @property
    def heard(self) -> list:
        """The numbers of what the network hears: the likeliest first.

        Where each class has a probability of its own (a sigmoid at the network's end), all that reach one
        half; else, and where none does, the likeliest alone.
        """
        if self.reads == "probabilities" and self.e.independent:
            return [number for number in self.order if self.values[number] >= UNSURE] or self.order[:1]
        return self.order[:1]

    @property
    def sure(self) -> bool:
        """Does any class reach one half? Scores that are no probabilities do not tell."""
        return self.reads == "scores" or bool(self.values.max() >= UNSURE)

    @property
    def class_name(self) -> str:
        """What the network hears, by name."""
        return name_of(self.e, self.heard[0])

    @property
    def target_name(self) -> str:
        """What was explained, by name."""
        return self.main.target_name

    @property
    def score(self) -> float:
        """The score that was explained."""
        return float(self.main.e.ledger.start)

    @property
    def stem(self) -> str:
        """The file's name without folder and ending."""
        return pathlib.PurePath(self.clip.name).stem

    @property
    def relevance(self) -> np.ndarray:
        """Of the recording's samples [n], at its own rate: what they speak for (positive) or against."""
        return self.main.samples

    def stage(self, name: str) -> np.ndarray:
        """Relevance at a stage of the front end: "sound", "spectrogram", "mel", ... (`clip.below` has all).
        """
        return self.main.stage(name)

    @property
    def profiles(self):
        """Relevance per frequency and per moment (see `profiles.Profiles`)."""
        return self.main.profiles

    @property
    def ledger(self) -> lrp_core.Ledger:
        """Where every part of the score went, from the score to the samples."""
        return self.main.ledger

    # ---- in words

    def value(self, number) -> str:
        """"93.1%", or a score where the network ends in no probabilities."""
        return f"{self.values[number]:.1%}" if self.reads == "probabilities" else f"{self.values[number]:.3g}"

    @property
    def title(self) -> str:
        """What was heard and what was explained, in a line."""
        heard, how = self.heard, "heard" if self.sure else "likeliest"
        named = ", ".join(f"{name_of(self.e, number)} ({self.value(number)})" for number in heard[:NAMED])
        more = f" and {len(heard) - NAMED:,} more" if len(heard) > NAMED else ""
        return f"{how}: {named}{more}   explained: {self.target_name} (score {self.score:.2f})"

    def heading(self, name) -> str:
        """What stands above a picture: the clip's name, the title, and how much of a longer sound was heard.
        """
        return "\n".join([f"{clean(name)}   {self.title}", *[self.clip.cut] * bool(self.clip.cut)])

    @property
    def warnings(self) -> list:
        """What a reader should know before trusting the answer."""
        found = []
        if self.clip.cut:
            found.append(f"{self.clip.cut}: the rest had no part in this; --start and --end choose another "
                         "part, `audio-lrp timeline` explains all of it")
        if self.clip.silent:
            found.append("the clip is silent: the network answers all the same, its answer means nothing")
        if not self.sure:
            best, several = float(self.values.max()), len(self.values) > 1
            found.append(f"unsure: no class reaches {UNSURE:.0%} (the likeliest has {best:.0%}); the sound "
                         f"may be none of the {len(self.values)}" if several else
                         f"unsure: the network gives it {best:.0%}, less than {UNSURE:.0%}")
        return found

    @property
    def notes(self) -> list:
        """Sentences that help to read the picture."""
        clip = self.clip
        return [sentence(self.ledger, "the sound"), *repeat_sentence(clip),
                *edge_sentence(self.network, clip.front_end, clip.seconds), *shown_sentence(self.main)]

    def __repr__(self):
        return line("Answer", f"{self.clip.name}, {self.title}, by {self.main.rules}")

    # ---- to see and to hear

    def plot(self, path=None):
        """The picture: waveform, spectrogram, relevance. A Matplotlib figure; written to `path` if there is
        one.
        """
        from . import plots  # matplotlib is loaded only where something is drawn
        headings = {HEADINGS.get(rules, rules): one for rules, one in self.explained.items()}
        figure = plots.explanation_figure(headings, self.heading(self.stem), self.notes)
        if path is not None:
            plots.save(figure, pathlib.Path(path))
        return figure

    def listen(self, share: float = 0.5):
        """The sound taken apart by relevance: relevant, against, remainder (see `features.listen.parts`)."""
        from features.listen import parts
        return parts(self.clip, self.main.cells, share=share)

    def report(self, path, *, share: float = 0.5):
        """Write a page to see and hear this answer in a browser, offline. Returns the path."""
        from .report import write_page
        return write_page(pathlib.Path(path), self.network, [(self.clip, self.stem)], list(self.explained),
                          share)

    def _repr_html_(self):
        """For notebooks: a sentence, the picture, the ledger as a bar, and a player."""
        from . import plots
        lines = "".join(f"<p>⚠ {html.escape(words)}</p>" for words in self.warnings)
        return (f"<div><p><b>{html.escape(self.title)}</b></p>{lines}"
                f"{plots.html_picture(self.plot(), self.title)}"
                f'{html_summary(self.ledger, "the sound")}{player(self.clip)}</div>')


def shown_sentence(explained):
    """How much of what reaches the samples a spectrogram shows, in a sentence, where a twentieth is missing;
    none for networks that take pictures.
    """
    if explained.clip.bands_stage is not None:
        return []
    r = explained.e.relevance
    shown, here = explained.map.sum(dtype=np.float64), r.sum(dtype=np.float64)
    if abs(shown - here) <= 0.05 * np.abs(r).sum(dtype=np.float64):
        return []
    return [f"The relevance of the samples adds up to {here:.3g}, that of the spectrogram to {shown:.3g}: "
            "samples near zero cannot pass theirs on to frequencies."]


def repeat_sentence(clip):
    """Where a short sound is repeated, in a sentence; none for others."""
    times, end = clip.repeats
    if not times and end is None:
        return []
    again = f"begins again at {times[0]:.2f} s" if times else f"ends at {clip.heard:.2f} s"
    silence = f"; silence follows from {end:.2f} s" if end is not None and times else ""
    return [f"The sound is shorter than what the network takes: it {again}{silence}."]


def player(clip):
    """The sound that was analysed, to hear: HTML."""
    import soundfile

    from features.listen import audible
    file = io.BytesIO()
    soundfile.write(file, np.clip(audible(clip.sound), -1, 1), clip.front_end.sample_rate, format="WAV",
                    subtype="PCM_16")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<audio controls src="data:audio/wav;base64,{data}"></audio>'


def presets_for(rules):
    """The presets to run: the one asked for first, then the study's LRP-flat and LRP-epsilon."""
    asked = lrp_core.ALIASES.get(rules, rules)
    return list(dict.fromkeys([asked, *HEADINGS]))


def answers(network, clips, rules, target, **how):
    """Answers for a batch of clips by several rules, the first leading. how: as of `lrp_core.explain`."""
    inputs = np.stack([clip.input for clip in clips])
    by_rule = {lrp_core.composite(one).name: lrp_core.explain(network, inputs, one, target, **how)
               for one in rules}
    return [Answer(clip, network, {name: Explained(clip, e[index], name) for name, e in by_rule.items()})
            for index, clip in enumerate(clips)]


def as_dict(answer):
    """Everything but the arrays, as plain JSON values."""
    clip, e = answer.clip, answer.e
    numbers = answer.order if len(answer.order) <= 1000 else answer.order[:1000]
    found: dict[str, typing.Any] = {
        "clip": clip.name, "sample_rate": clip.sample_rate, "channels": clip.channels,
        "duration_s": clip.duration, "start_s": clip.recording.start, "heard_s": clip.heard,
        "heard": answer.class_name, "all_heard": [name_of(e, number) for number in answer.heard],
        "independent_probabilities": e.independent, "reads": answer.reads,
        "logits": {name_of(e, number): float(np.ravel(e.logits)[number]) for number in sorted(numbers)},
        "target": {"class": answer.target_name, "index": e.target, "logit": answer.score},
        "rules": {name: {"relevance_total": float(one.e.relevance.sum(dtype=np.float64)),
                         "relevance_for": float(np.maximum(one.e.relevance, 0).sum(dtype=np.float64)),
                         "relevance_against": float(np.minimum(one.e.relevance, 0).sum(dtype=np.float64)),
                         "ledger": one.e.ledger.to_dict()} for name, one in answer.explained.items()},
        "warnings": answer.warnings, "notes": answer.notes, "front_end": clip.front_end.as_dict(),
    }
    if answer.reads == "probabilities":
        found["probabilities"] = {name_of(e, number): float(answer.values[number])
                                  for number in sorted(numbers)}
    return found


def write(answer, directory, stem, picture="png"):
    """Write the picture, STEM.json, STEM.npz, and the profiles as STEM-profiles.csv and a picture into
    `directory`.

    picture: png, svg or pdf. Each file is written whole or not at all. Returns their names.
    """
    from . import plots
    headings = {HEADINGS.get(rules, rules): one for rules, one in answer.explained.items()}
    plots.save(plots.explanation_figure(headings, answer.heading(stem), answer.notes),
               directory / f"{stem}.{picture}")
    profiles.write_csv(answer.profiles, directory / f"{stem}-profiles.csv")
    drawn = profiles.draw(answer.profiles, answer.heading(stem), plots.time_label(answer.clip))
    plots.save(drawn, directory / f"{stem}-profiles.{picture}")
    with replacing(directory / f"{stem}.json") as partial:
        partial.write_text(json.dumps(as_dict(answer), indent=1))
    with replacing(directory / f"{stem}.npz") as partial:
        np.savez_compressed(partial, **arrays(answer))
    return [f"{stem}.{picture}", f"{stem}.json", f"{stem}.npz", f"{stem}-profiles.{picture}",
            f"{stem}-profiles.csv"]


def arrays(answer):
    """What STEM.npz holds: the network's input, its scores, and relevance of the input, on the map and of the
    samples.
    """
    clip, axes = answer.clip, answer.main.axes
    found = {"input": clip.input, "logits": answer.e.logits, "seconds": axes.seconds, "hertz": axes.hertz,
             "relevance_samples": answer.relevance.astype(np.float32)}
    if answer.reads == "probabilities":
        found["probabilities"] = answer.e.probabilities
    for name, one in answer.explained.items():
        found[f"relevance_{name}"] = one.e.relevance
        found[f"map_{name}"] = (map_of(clip, one.e.relevance) if clip.bands_stage else one.cells)
    return found
