"""What procedural sounds are made of: noise, harmonics, strikes, envelopes, filters, a street.

Time is in seconds, frequency in Hz; a filter is a function from frequency to gain.
"""
import dataclasses
import math

import numpy as np
import scipy.fft
import scipy.signal


@dataclasses.dataclass(frozen=True)
class Stage:
    """One clip's clock and its two sources of chance: `choose` draws the scene (pitches, times, levels),
    `hiss` the
    noise samples, so that a seed gives the same scene at every sample rate."""
    rate: int
    seconds: float
    size: int
    choose: np.random.Generator
    hiss: np.random.Generator

    def samples(self, seconds):
        """The number of samples nearest to a duration, at least one."""
        return max(round(seconds * self.rate), 1)

    def time(self, size=None):
        """The times [n] of the clip's samples, or of a piece's."""
        return np.arange(self.size if size is None else size) / self.rate

    def between(self, low, high, size=None):
        """A number (or `size` numbers), every value between two equally likely."""
        return self.choose.uniform(low, high, size)

    def octaves(self, low, high, size=None):
        """The same on a logarithmic scale, as pitch and loudness are heard."""
        return np.exp(self.choose.uniform(math.log(low), math.log(high), size))

    def wander(self, per_second, depth):
        """A drifting factor [n]: exp(depth·N(0, 1)) drawn `per_second` times and joined."""
        knots = self.choose.standard_normal(math.ceil(self.seconds * per_second) + 2)
        return np.exp(depth * np.interp(self.time() * per_second, np.arange(len(knots)), knots))


def tilt(stage, corner, per_octave, bumps=2.0):
    """A filter: flat up to `corner`, then `per_octave` dB for each octave, and random bumps of that many dB.
    """
    bump = stage.choose.normal(0, bumps, 12)  # one an octave: 16 Hz, 32 Hz, ... 32 kHz

    def gain(frequency):
        octave = np.log2(np.maximum(frequency / 16, 1))
        above = np.maximum(octave - math.log2(corner / 16), 0)
        return 10 ** ((per_octave * above + np.interp(octave, np.arange(12), bump)) / 20)
    return gain


def band(low, high, per_octave=24.0):
    """A filter: passes low..high and falls by `per_octave` dB for each octave outside."""
    return lambda frequency: np.minimum(np.minimum(frequency / low, high / frequency.clip(1)),
                                        1) ** (per_octave / 6.02)


def formants(centres, widths, strengths, floor=0.02):
    """A filter of resonances: floor + Σ_i strength_i / sqrt(1 + ((f − centre_i) / (width_i / 2))²)."""
    return lambda frequency: floor + sum(strength / np.sqrt(1 + ((frequency - centre) / (width / 2)) ** 2)
                                         for centre, width, strength in zip(centres, widths, strengths))


def shape(stage, signal, *filters):
    """Filter a signal [n] in the frequency domain; some silence is added so that its end does not reach its
    start.
    """
    size = scipy.fft.next_fast_len(len(signal) + stage.samples(0.02), real=True)
    spectrum = scipy.fft.rfft(signal, size)
    for gain in filters:
        spectrum *= gain(scipy.fft.rfftfreq(size, 1 / stage.rate))
    return scipy.fft.irfft(spectrum, size)[:len(signal)]


def noise(stage, size, *filters):
    """Filtered Gaussian noise [size] of root mean square 1."""
    signal = shape(stage, stage.hiss.standard_normal(size), *filters)
    return signal / (np.sqrt(np.mean(signal ** 2)) + 1e-12)


def harmonics(stage, pitch, strengths):
    """Σ_k strength_k · sin(2πk·∫pitch): a tone that follows pitch [n]."""
    turn = np.exp(2j * np.pi / stage.rate * np.cumsum(pitch))
    partial, total, highest = 1.0, np.zeros(len(pitch)), pitch.max() / stage.rate
    for number, strength in enumerate(strengths, 1):
        partial = partial * turn
        # fade out before half the sample rate, else the partial comes back as an alias
        if number * highest > 0.45:
            strength = strength * np.clip(10 - 20 * number * pitch / stage.rate, 0, 1)
        total += strength * partial.imag
    return total


def falling(count, power):
    """Strengths k^-power of `count` harmonics."""
    return np.arange(1.0, count + 1) ** -power


def glide(size, places, pitches):
    """A pitch curve [size] through `pitches` at relative `places` 0..1, straight on a logarithmic scale."""
    return np.exp(np.interp(np.linspace(0, 1, size), places, np.log(pitches)))


def rhythm(stage, per_second, jitter, spread):
    """Impulses [n], per_second [n] of them, uneven by `jitter` of a gap, of strengths exp(spread·N(0, 1))."""
    due = np.cumsum(per_second) / stage.rate  # how many should have come by now
    # so that their number does not touch later draws
    own = np.random.default_rng(stage.choose.integers(2 ** 32))
    late, strong = own.standard_normal((math.ceil(due[-1]), 2)).T
    train = np.zeros(stage.size)
    train[np.searchsorted(due, np.arange(len(late))
                          + jitter * late).clip(0, stage.size - 1)] = np.exp(spread * strong)
    return train


def follow(impulses, response):
    """What a body with this response makes of impulses: the convolution, cut to their length."""
    return scipy.signal.fftconvolve(impulses, response)[:len(impulses)]


def ring(stage, modes, t60s, strengths):
    """A struck body: Σ_i strength_i · sin(2π·mode_i·t) · 10^(−3t/t60_i), modes near half the sample rate left
    out.
    """
    time = stage.time(stage.samples(max(t60s)))[:, None]
    heard = np.where(np.less(modes, 0.45 * stage.rate), strengths, 0.0)
    return (np.sin(2 * np.pi * time * modes) * 10 ** (-3 * time / t60s)) @ heard


def decay(stage, size, t60, attack=1e-6):
    """An envelope that falls by 60 dB in `t60` seconds: (1 − e^(−t/attack)) · 10^(−3t/t60)."""
    time = stage.time(size) + 1 / stage.rate
    return (1 - np.exp(-time / attack)) * 10 ** (-3 * time / t60)


def fade(stage, size, rise, fall):
    """An envelope with half-cosine edges: from 0 to 1 in `rise` seconds, and back at the end in `fall`
    seconds.
    """
    time = stage.time(size)
    return (1 - np.cos(np.pi * np.minimum(time / rise, (time[-1] - time) / fall).clip(0, 1))) / 2


def add(stage, track, piece, at):
    """Mix a piece into a track from `at` seconds on; what hangs over the end is cut."""
    part = track[int(at * stage.rate):][:len(piece)]
    part += piece[:len(part)]


def interrupt(stage, signal, chance):
    """With this chance a machine is lifted off once: silent for a tenth to a fifth of the clip."""
    happens, start, length = stage.choose.random() < chance, stage.between(0.1, 0.7), stage.between(0.1, 0.2)
    part = signal[int(start * stage.size):][:stage.samples(length * stage.seconds)]
    part *= 1 - happens * fade(stage, len(part), 0.05, 0.05)
    return signal


def outdoors(stage, signal, t60, wet, quiet):
    """Set a sound into a street: (signal + wet · echo) / its peak + murmur; the last three arguments are
    ranges.

    The echo is noise that decays in `t60` seconds, high frequencies earlier; the murmur lies `quiet` dB below
    the peak.
    """
    longest, loud = stage.octaves(*t60), 10 ** (-stage.between(*quiet) / 20)
    size = stage.samples(min(longest, 2.0))
    tail = sum(weight * noise(stage, size, band(low, high)) * decay(stage, size, longest * part, attack=0.003)
               for low, high, part, weight in ((60, 600, 1.0, 1.0), (600, 3000, 0.8, 0.7),
                                               (3000, 16000, 0.45, 0.4)))
    scene = signal + stage.octaves(*wet) * follow(signal, tail / np.sqrt(np.sum(tail ** 2)))
    murmur = noise(stage, stage.size, tilt(stage, stage.octaves(60, 400), stage.between(-8, -4), 4),
                   band(40, 20000))
    return scene / np.abs(scene).max() + loud * stage.wander(1, 0.3) * murmur
