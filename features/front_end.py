"""The front end as data: how a sound becomes what a network takes, step by step, and how relevance goes back.

    front_end = features.FrontEnd.log_mel(sr=16_000, n_fft=512, hop_length=160, n_mels=64, seconds=1.0)
    x = front_end("dog.wav")                              # what the network takes
    whole = front_end.before(network)                     # samples -> scores: one network, one ledger
    front_end.save("front_end.json")
"""
import dataclasses
import functools
import json
import math
import os

import numpy as np

import lrp_core
from lrp_core.chunks import single_threaded_blas
from lrp_core.files import replacing
from lrp_core.text import listing, quote

from . import steps as S
from .audio import Recording, from_array, read
from .clip import BEFORE, Clip, flat_stages
from .heap import keep_freed_memory
from .steps.base import check, one_of, plain

STEPS = {cls.__name__: cls for cls in (S.Spectrogram, S.Mel, S.Bins, S.Decibels, S.Log, S.Stretch,
                                       S.Standardize, S.AreaResize, S.Colours, S.Arrange)}
FORMAT = 1
LARGEST_FILE = 1 << 20  # bytes of a description


@dataclasses.dataclass(frozen=True)
class FrontEnd:
    """From a recording to a network's input.

    sample_rate: what is analysed, in Hz; recordings at other rates are resampled. seconds: how long the sound
    is that the network takes at a time; None: as long as the recording. short: what a shorter one is filled
    with: played "twice", then silence; in a "loop"; or "zeros". steps: layers from samples [n] to the
    network's input (see `features.steps`). Several channels are mixed to one.

    Raises ValueError that names the setting.
    """
    sample_rate: int
    seconds: float | None = None
    steps: tuple = ()
    short: str = "zeros"

    def __post_init__(self):
        check("sample_rate", self.sample_rate, low=S.RATES[0], high=S.RATES[1], whole=True)
        check("seconds", self.seconds, low=1 / self.sample_rate, high=3600, also=(None,))
        one_of("short", self.short, S.SHORT)
        object.__setattr__(self, "steps", tuple(self.steps))
        for step in self.steps:
            if type(step) is not STEPS.get(getattr(step, "type", None)):
                raise ValueError(f"a front end's steps are of features.steps ({', '.join(STEPS)}), found "
                                 f"{quote(step)}")

    # ---- the ones that are known by name

    @classmethod
    def study(cls) -> "FrontEnd":
        """The study's: 4 s at 44.1 kHz, 128 mel bands in decibels, stretched, 64 x 64 pixels in magma's
        colours (Colussi and Ntalampiras 2021, arXiv 2111.10235).
        """
        return cls(44_100, 4.0, (
            S.Spectrogram(sample_rate=44_100), S.Mel(sample_rate=44_100), S.Decibels(ref="max"), S.Stretch(),
            S.AreaResize(64, 64), S.Colours(), S.Arrange("-ftc")), "twice")

    @classmethod
    def waveform(cls, rate: int, seconds: float | None = None, *, normalize: str | None = None,
                 short: str = "zeros") -> "FrontEnd":
        """Samples as they are, for networks that take them. normalize: "standard" for mean 0 and deviation 1.
        """
        return cls(rate, seconds, normalization(normalize), short)

    @classmethod
    def spectrogram(cls, sr: int = 22_050, *, seconds: float | None = None, n_fft: int = 2048,
                    hop_length: int | None = None, win_length: int | None = None, window: str = "hann",
                    center: bool = True, pad_mode: str = "constant", power: float = 2.0, fmin: float = 0.0,
                    fmax: float | None = None, short: str = "zeros", **levels) -> "FrontEnd":
        """A linear spectrogram, with librosa's names and defaults; fmin, fmax: the range of bins to keep, in
        Hz.

        levels: scale, ref, amin, top_db, offset, normalize, resize, channels and order, as of `log_mel`.
        """
        first = S.Spectrogram(n_fft, hop_length, win_length, window, center, pad_mode, power, sr)
        check("fmin", fmin, low=0, high=sr / 2)
        check("fmax", fmax, low=fmin, also=(None,))
        bins: tuple = ()
        if fmin > 0 or fmax is not None:
            width = sr / n_fft  # less than a rounding beyond a bin is on it
            bins = (S.Bins(math.ceil(fmin / width - 1e-9),
                           None if fmax is None else min(math.floor(fmax / width + 1e-9) + 1, first.bins)),)
        return cls(sr, seconds, (first, *bins, *level_steps(power, **levels)), short)

    @classmethod
    def log_mel(cls, sr: int = 22_050, *, seconds: float | None = None, n_fft: int = 2048,
                hop_length: int | None = 512, win_length: int | None = None, window: str = "hann",
                center: bool = True, pad_mode: str = "constant", power: float = 2.0, n_mels: int = 128,
                fmin: float = 0.0, fmax: float | None = None, htk: bool = False, norm: str | None = "slaney",
                short: str = "zeros", **levels) -> "FrontEnd":
        """librosa's melspectrogram and power_to_db, with their names and defaults.

        torchaudio's MelSpectrogram: htk=True, norm=None, pad_mode="reflect", n_fft=400, hop_length=200.

        levels:
            scale: "db", "log" (natural), "log10", or None. ref, amin, top_db: of "db". offset: added before a
            logarithm (1e-6; 1 makes it log1p). normalize: None, "standard" (each clip's mean 0, deviation 1),
            "stretch" (its minimum and maximum become 0 and 1), or (mean, std), numbers or one for each band.
            resize: (frames, bands), averaged over area. order: the axes of the result, as of
            `features.steps.Arrange`: "tf", "ft", "ftc", "cft", "-ft" ...; where it is left out, `before`
            takes the one that fits the network. channels: how many equal channels.
        """
        return cls(sr, seconds, (
            S.Spectrogram(n_fft, hop_length, win_length, window, center, pad_mode, power, sr),
            S.Mel(sr, n_fft, n_mels, fmin, fmax, htk, norm), *level_steps(power, **levels)), short)

    # ---- as data

    def as_dict(self) -> dict:
        """The description as plain JSON values."""
        return {"front_end": FORMAT, "sample_rate": plain(self.sample_rate), "seconds": plain(self.seconds),
                "short": self.short, "steps": [step.as_dict() for step in self.steps]}

    @classmethod
    def from_dict(cls, found: dict) -> "FrontEnd":
        """The front end that `as_dict` described; raises ValueError that says what is wrong."""
        if not isinstance(found, dict) or "front_end" not in found:
            raise ValueError("not the description of a front end: it has no \"front_end\"")
        if found["front_end"] != FORMAT:
            raise ValueError(f"a front end of format {quote(found['front_end'])}, known is {FORMAT}")
        unknown = sorted(set(found) - {"front_end", "sample_rate", "seconds", "short", "steps"})
        if unknown:
            raise ValueError(f"a front end has no setting {listing(map(quote, unknown), 3)}")
        steps = found.get("steps", [])
        if not isinstance(steps, list) or len(steps) > 32:
            raise ValueError("a front end's steps are a list of at most 32")
        return cls(found.get("sample_rate", 0), found.get("seconds"), tuple(map(step_from_dict, steps)),
                   found.get("short", "zeros"))

    def save(self, path: str | os.PathLike) -> None:
        """Write the description as JSON, whole or not at all."""
        with replacing(path) as partial:
            partial.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike) -> "FrontEnd":
        """Read what `save` wrote; raises OSError, or ValueError that names the file and what is wrong."""
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
        try:
            if len(data) > LARGEST_FILE:
                raise ValueError(f"larger than {LARGEST_FILE:,} bytes")
            return cls.from_dict(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{os.fspath(path)}: not a front end: {error}") from None

    # ---- as layers

    def nodes(self, sample_rate: float | None = None) -> tuple:
        """(name, layer) of every step for a recording at `sample_rate`: resample, fit, and the steps."""
        first: list = []
        if sample_rate is not None and S.rate_ratio(sample_rate, self.sample_rate) != (1, 1):
            first.append(S.Resample(float(sample_rate), float(self.sample_rate)))
        if self.samples is not None:
            first.append(S.Fit(self.samples, self.short))
        found: list = []
        names: dict[str, int] = {}
        for step in (*first, *self.steps):
            name = step.stage
            names[name] = names.get(name, 0) + 1
            found.append((name if names[name] == 1 else f"{name}{names[name]}", step))
        return tuple(found)

    @property
    def samples(self) -> int | None:
        """How many samples the network takes at a time; None: as many as the recording has."""
        return None if self.seconds is None else round(self.seconds * self.sample_rate)

    def network(self, length: int | None = None, sample_rate: float | None = None) -> lrp_core.Network:
        """The steps as a network of their own, for a recording of `length` samples at `sample_rate`; by
        default for what is analysed.
        """
        return _network(self, self.samples if length is None else length, sample_rate)

    def before(self, network: lrp_core.Network, length: int | None = None,
               sample_rate: float | None = None) -> lrp_core.Network:
        """Front end and network as one network that takes samples: explained by one call, with one ledger.

        length, sample_rate: of a recording that is not yet resampled and fitted. Raises ValueError where the
        network takes something else than the front end makes.
        """
        fitted = self.fitting(network.input_shape)
        own = fitted.network(length, sample_rate)
        nodes = [(f"sound/{node.name}", node.layer, tuple(renamed(name, "sound/") for name in node.inputs))
                 for node in own.nodes]
        last = nodes[-1][0] if nodes else lrp_core.network.INPUT
        rest = [(node.name, node.layer, tuple(last if name == lrp_core.network.INPUT else name
                                              for name in node.inputs)) for node in network.nodes]
        return network.replace(nodes=[*nodes, *rest], input_shape=own.input_shape, reference=None)

    def fitting(self, shape: tuple) -> "FrontEnd":
        """The front end for a network that takes inputs of this shape: axes in its order, and as long.

        Where the description leaves the order or the length open, they are chosen to fit. Raises ValueError
        that says what the front end makes, and what the network takes.
        """
        return _fitting(self, tuple(shape))

    # ---- on a recording

    def open(self, path_or_array, sample_rate: float | None = None, *, start: float = 0.0,
             end: float | None = None, dtype: lrp_core.Precision = "float64") -> Clip:
        """A sound on its way through the front end; arguments and errors as of `read`.

        dtype: "float64" or "float32", what the front end computes in; in float32, which is faster, what the
        network takes differs by less than 1e-4 of its range.
        """
        return self.clip(self.read(path_or_array, sample_rate, start=start, end=end), dtype)

    def read(self, path_or_array, sample_rate: float | None = None, *, start: float = 0.0,
             end: float | None = None) -> Recording:
        """The part of a sound that the network takes.

        path_or_array: a sound file (any format, rate and number of channels that libsndfile reads), or
        samples [n] or [n, channels] with their `sample_rate` in Hz. start, end: which part of it, in seconds;
        what is longer than the network takes is cut. Raises FileNotFoundError, or AudioError (a ValueError)
        that names the file and what is wrong with it.
        """
        if isinstance(path_or_array, (str, os.PathLike)):
            if sample_rate is not None:
                raise TypeError("a file brings its own sample rate: leave `sample_rate` out")
            return read(path_or_array, self.seconds, start=start, end=end)
        if sample_rate is None:
            raise TypeError("samples need their `sample_rate` in Hz")
        return from_array(path_or_array, sample_rate, self.seconds, start=start, end=end)

    def run(self, recording: Recording, dtype: lrp_core.Precision = "float64") -> tuple:
        """(the sound that is analysed, the last spectrogram or None, what the network takes) of a recording,
        computed in `dtype`.
        """
        one_of("dtype", dtype, lrp_core.DTYPES)
        keep_freed_memory()
        below = self.network(len(recording.samples), recording.sample_rate)
        y = recording.samples[None].astype(dtype, copy=False)
        sound, picture, flat = y, [None], flat_stages(below)[-1:]
        with single_threaded_blas:  # the same last bits, however many processors there are
            for node in below.nodes:
                y = node.layer.forward(y)
                sound = y if node.name in BEFORE else sound
                picture = y if node.name in flat else picture
        return sound[0], picture[0], y[0]

    def clip(self, recording: Recording, dtype: lrp_core.Precision = "float64") -> Clip:
        """The Clip of a recording that was read. dtype: what the front end computes in."""
        sound, picture, values = self.run(recording, dtype)
        return Clip(recording, self, sound.astype(np.float64, copy=False), picture,
                    np.ascontiguousarray(values, np.float32))

    def __call__(self, path_or_array, sample_rate: float | None = None, **part) -> np.ndarray:
        """What the network takes of a sound: float32. Arguments as of `open`."""
        return self.open(path_or_array, sample_rate, **part).input


def renamed(name, prefix):
    """A node's name with a prefix; the network's input keeps its own."""
    return name if name == lrp_core.network.INPUT else f"{prefix}{name}"


def normalization(normalize):
    """The steps of a `normalize` option."""
    if normalize is None:
        return ()
    if normalize == "standard":
        return (S.Standardize(),)
    if normalize == "stretch":
        return (S.Stretch(),)
    if isinstance(normalize, (tuple, list)) and len(normalize) == 2:
        return (S.Standardize(*(tuple(one) if isinstance(one, list) else one for one in normalize)),)
    raise ValueError("normalize must be None, 'standard', 'stretch' or (mean, std), found "
                     f"{quote(normalize)}")


def level_steps(power, *, scale="db", ref=1.0, amin=None, top_db=80.0, offset=1e-6, normalize=None,
                resize=None, order=None, channels=1):
    """The steps after the bands; see `FrontEnd.log_mel`."""
    one_of("scale", scale, ("db", "log", "log10", None))
    steps = {"db": (S.Decibels(ref, amin, top_db, "power" if power == 2 else "amplitude"),),
             "log": (S.Log(offset),), "log10": (S.Log(offset, base=10.0),), None: ()}[scale]
    steps += normalization(normalize)
    if resize is not None:
        if not isinstance(resize, (tuple, list)) or len(resize) != 2:
            raise ValueError(f"resize must be (frames, bands), found {quote(resize)}")
        steps += (S.AreaResize(*resize),)
    if order is not None or channels != 1:
        steps += (S.Arrange(order or "ftc", channels),)
    return steps


def step_from_dict(found):
    """The step that `Step.as_dict` described; raises ValueError that says what is wrong."""
    cls = STEPS.get(found["step"]) if isinstance(found, dict) and isinstance(found.get("step"), str) else None
    if cls is None:
        raise ValueError(f"a step names itself as \"step\", one of {', '.join(STEPS)}; found {quote(found)}")
    known = [field.name for field in dataclasses.fields(cls)]
    unknown = [name for name in found if name not in (*known, "step")]
    if unknown:
        raise ValueError(f"the step {cls.__name__} has no setting {listing(map(quote, unknown), 3)}; it has "
                         f"{', '.join(known) or 'none'}")
    try:
        return cls(**{name: tuple(value) if isinstance(value, list) else value
                      for name, value in found.items() if name != "step"})
    except (TypeError, ValueError) as error:
        raise ValueError(f"the step {cls.__name__}: {error}") from None


@functools.lru_cache(maxsize=64)
def _network(front_end, length, sample_rate):
    if length is None:
        raise ValueError("the front end has no length of its own: give the recording's")
    nodes = front_end.nodes(sample_rate)
    return lrp_core.Network(nodes or [("samples", lrp_core.layers.Reshape((length,)))], (length,))


@functools.lru_cache(maxsize=64)
def _fitting(front_end, shape):
    found = [one for one in candidates(front_end, shape) if output_of(one) == shape]
    if found:
        return found[0]
    made = output_of(front_end)
    if made is None:
        second = output_of(dataclasses.replace(front_end, seconds=1.0))
        made = f"inputs as long as the recording{f', {second} of a second' if second else ''}"
    raise ValueError(f"the network takes inputs of shape {shape}; the front end makes {made}: choose another "
                     "with --front-end, or other settings")


def output_of(front_end):
    """The shape that a front end makes; None where it depends on the recording, or nothing can be made."""
    try:
        return front_end.network().output_shape
    except ValueError:
        return None


def candidates(front_end, shape):
    """The front end itself; then with the length and the order of the axes that a network of this shape may
    want.
    """
    arranged = [front_end]
    if not any(isinstance(step, S.Arrange) for step in front_end.steps):
        orders = ("ct", "tc") if not any(isinstance(step, S.Spectrogram) for step in front_end.steps) else (
            "ft", "tf", "cft", "ctf", "ftc", "tfc")
        channels = sorted({1, 3} & set(shape))
        arranged += [dataclasses.replace(front_end, steps=(*front_end.steps, S.Arrange(order, count)))
                     for order in orders for count in (channels if "c" in order else [1])]
    for one in arranged:
        yield one
        if front_end.seconds is None:
            for samples in lengths(front_end, shape):
                yield dataclasses.replace(one, seconds=samples / front_end.sample_rate)


def lengths(front_end, shape):
    """Numbers of samples after which one of the axes may be as long as the network wants."""
    first = next((step for step in front_end.steps if isinstance(step, S.Spectrogram)), None)
    for size in dict.fromkeys(shape):
        yield size if first is None else max((size - 1) * first.hop + first.n_fft - 2 * first.pad, 1)


def open_clip(path_or_array, sample_rate: float | None = None, *, front_end: FrontEnd | None = None,
              start: float = 0.0, end: float | None = None) -> Clip:
    """A sound on its way through a front end (the study's by default); arguments as of `FrontEnd.open`."""
    return (front_end or FrontEnd.study()).open(path_or_array, sample_rate, start=start, end=end)


def clip_image(path_or_array, sample_rate: float | None = None) -> np.ndarray:
    """The image that the study's network sees of a sound: (64, 64, 3) float32 in [0, 1].

    Row 0 holds the highest frequencies, column 0 the first moment. Shorter than 4 s: played twice, then
    silence; longer: cut. Arguments and errors as of `FrontEnd.open`.
    """
    return FrontEnd.study()(path_or_array, sample_rate)
