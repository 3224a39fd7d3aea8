"""One sound explained by one rule: relevance at every stage from the score down to the samples."""
import dataclasses

import numpy as np

import lrp_core
from features import Clip
from features.clip import PREFIX, flat_stages, named, to_map
from features.steps import Axes, Stretch, quantise
from lrp_core.cached import cached

from .models import name_of
from .profiles import Profiles, profiles_of


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class EpsilonNearby(lrp_core.Epsilon):
    """LRP-ε with an ε that follows the loudness:

        ε_n = epsilon · (mean of |z| over the samples n - reach ... n + reach + 1e-4 · mean of all |z|)

    Relevance of samples shown as that of time and frequency is divided by the samples. Those near zero may
    hold relevance too (by the flat rule, or in silence that a normalisation moved away from zero); without
    an ε it would be multiplied without bound, with one for the whole sound its quiet parts would lose theirs.
    """
    epsilon: float = 0.01
    reach: int = 1

    def stabilizer(self, z):
        level, width = np.abs(z), 2 * self.reach + 1
        sums = np.cumsum(np.pad(level, ((0, 0), (self.reach + 1, self.reach))), axis=1)
        near = np.maximum(sums[:, width:] - sums[:, :-width], 0) / width
        return self.epsilon * (near + 1e-4 * level.mean(axis=1, keepdims=True))


@dataclasses.dataclass(frozen=True, eq=False)
class Explained:
    """A clip and the explanation of what the network says of it.

    e: the network's own Explanation; its relevance is that of `clip.input`. rules: what the rules are called.
    """
    clip: Clip
    e: lrp_core.Explanation
    rules: str

    @property
    def target_name(self):
        """The class that was explained, by name."""
        e = self.e
        return name_of(e, e.target) if e.class_names is None and e.other is None else e.target_name

    @cached
    def whole(self) -> lrp_core.Explanation:
        """Carried on to the recording's own samples: `relevance`, every stage in `layers`, and one ledger."""
        clip = self.clip
        return lrp_core.extend(self.e, clip.below, clip.original, prefix=PREFIX, trace=clip.trace)

    @property
    def ledger(self):
        """From the explained score to the samples of the recording."""
        return self.whole.ledger

    @property
    def samples(self):
        """Relevance of the recording's samples [n]."""
        return self.whole.relevance

    def stage(self, name):
        """Relevance at a stage of the front end: "sound" (what is analysed), "spectrogram", "mel", ..."""
        layers = self.whole.layers
        if name != "sound":
            return named(name, {one.removeprefix(PREFIX): r for one, r in layers.items()
                                if one.startswith(PREFIX)})
        return next((layers[f"{PREFIX}{one}"] for one in ("fit", "resample") if f"{PREFIX}{one}" in layers),
                    self.samples)

    @cached
    def cells(self):
        """Relevance of the cells of the sound's spectrogram [frames, bins] (`clip.cells`)."""
        return self.stage("spectrogram") if self.clip.bands_stage else cells_of(self.clip, [self.e])[0]

    @cached
    def map(self):
        """What a picture shows: relevance where the network last looks at time and frequency [frames, bands].
        """
        return map_of(self.clip, self.e.relevance) if self.clip.bands_stage else self.cells

    @property
    def axes(self) -> Axes:
        """Where the cells of `map` lie, in seconds and hertz."""
        return map_axes(self.clip)

    @cached
    def profiles(self) -> Profiles:
        """Relevance per band and per moment, as finely as the front end tells them apart."""
        stage = self.clip.bands_stage
        if stage is None:
            return profiles_of(self.cells, map_axes(self.clip))
        return profiles_of(self.stage(stage), self.clip.axes(stage))


def as_picture(array):
    """[..., frames, bands] as a picture has it: rows from the highest band down."""
    return np.ascontiguousarray(np.swapaxes(array, -1, -2)[..., ::-1, :])


def level_of(clip):
    """What the network sees, in 256 steps from its quietest to its loudest: uint8, as a picture."""
    level = spectrogram(clip)[0] if clip.picture is None else clip.picture
    if clip.picture is None or level.min() < 0 or level.max() > 1:
        level = Stretch().forward(level[None])[0]
    return as_picture(quantise(level))


def places_of(front_end):
    """The Axes of the maps of a front end whose length is known."""
    return map_axes(front_end.open(np.zeros(front_end.samples), front_end.sample_rate))


def map_of(clip, relevance):
    """Relevance of a clip's input, at the last stage that is a spectrogram: [frames, bands]."""
    return to_map(clip.below, relevance[None])[0]


def maps_of(clip, explanations):
    """The `map` of each of several explanations of a clip: [n, frames, bands]."""
    if clip.bands_stage:
        return to_map(clip.below, np.stack([e.relevance for e in explanations]))
    return cells_of(clip, explanations)


def cells_of(clip, explanations):
    """Relevance of the cells of a clip's spectrogram, by each of several explanations: [n, frames, bins].

    For networks that take samples.
    """
    rules = lrp_core.Composite("cells", (("cells", EpsilonNearby(reach=clip.cells.n_fft)),
                                         ("*", lrp_core.Zero())))
    x = np.stack((clip.spectrum.real, clip.spectrum.imag), axis=-1)
    return np.stack([e.relevance.sum(axis=-1)
                     for e in lrp_core.extend_each(explanations, clip.below_cells, x, rules)])


def map_axes(clip):
    """The Axes of a clip's relevance map."""
    if clip.bands_stage is None:
        return clip.cells.axes(Axes(), clip.sound.shape)
    return clip.axes(flat_stages(clip.below)[-1])


def spectrogram(clip):
    """(decibels below the maximum [frames, bands], Axes): the picture of a clip, as finely as it is analysed.
    """
    if clip.bands_stage is None:
        power, axes = clip.cells.magnitude(clip.spectrum), map_axes(clip)
    else:
        power, axes = clip.stage(clip.bands_stage), clip.axes(clip.bands_stage)
    step = clip.cells
    level = (20 / step.power) * np.log10(np.maximum(power, (1e-10 if step.power == 2 else 1e-5)))
    return np.maximum(level - level.max(), -80.0), axes
