"""Procedural sounds of the ten urban classes: seeded stand-ins for recordings where no data set is at hand.

Each class is one function that builds a scene from shared parts: noise, harmonics, strikes, envelopes, a
room, a street. Time is in seconds, frequency in Hz; a filter is a function from frequency to gain.
"""

import numpy as np
import scipy.fft
import scipy.signal

from .synth_parts import (
    Stage,
    add,
    band,
    decay,
    fade,
    falling,
    follow,
    formants,
    glide,
    harmonics,
    interrupt,
    noise,
    outdoors,
    rhythm,
    ring,
    shape,
    tilt,
)

RATES = (4_000, 192_000)
LENGTHS = (0.05, 60.0)


def air_conditioner(stage):
    """Air flow: noise falling with frequency; motor: hum at multiples of the mains; fan: its blades' tone."""
    air = noise(stage, stage.size, tilt(stage, stage.octaves(60, 250), stage.between(-8, -5), 2),
                band(30, 20000))
    mains, whine = 2 * stage.choose.choice([50.0, 60.0]), stage.octaves(900, 4000)
    hum = harmonics(stage, np.full(stage.size, mains), falling(8, stage.between(0.6, 1.6)))
    blades = harmonics(stage, stage.octaves(130, 420) * stage.wander(0.5, 0.002),
                       falling(10, stage.between(0.5, 1.5)))
    motor = stage.octaves(0.002, 0.03) * np.sin(2 * np.pi * min(whine, 0.4 * stage.rate) * stage.time())
    return (air + stage.octaves(0.05, 0.6) * hum + stage.octaves(0.05, 0.6) * blades
            + motor) * stage.wander(3, 0.04)


def car_horn(stage):
    """Two steel diaphragms a third apart: steady buzzing harmonics through a trumpet that favours 1..4 kHz.
    """
    chord = np.array([1.0, stage.choose.choice([6 / 5, 5 / 4, 4 / 3])])[:stage.choose.choice([1, 2, 2, 2])]
    chord *= stage.octaves(300, 470)
    trumpet = formants([stage.between(400, 700), stage.octaves(1500, 2600), stage.octaves(2800, 4500)],
                       [500, 900, 1500], stage.octaves(0.4, 1.5, 3), floor=0.15)
    track, power, press = np.zeros(stage.size), stage.between(0.4, 1.0), stage.octaves(0.3, 3.0)
    at = stage.between(0, 0.1) * min(stage.seconds, 1.0)
    while at < stage.seconds:
        length = press * stage.octaves(0.7, 1.4)
        onset = glide(stage.samples(length), [0, min(0.02 / length, 0.5), 1], [0.97, 1, 1])
        tone = sum(harmonics(stage, pitch * onset, falling(30, power)) for pitch in chord)
        add(stage, track, tone * fade(stage, len(tone), 0.008, 0.02), at)
        at += length + stage.octaves(0.15, 3.0)
    track = shape(stage, track, trumpet, band(250, 9000, 12))
    return outdoors(stage, track, t60=(0.2, 1.2), wet=(0.05, 0.5), quiet=(25, 60))


def call(stage, pitch, breath, tract):
    """A voice's one sound: harmonics of the vocal cords along pitch [n], and breath noise, through a vocal
    tract.
    """
    cords = harmonics(stage, pitch, falling(min(int(9000 / pitch.min()), 30), 0.9))
    return shape(stage, cords + breath * stage.hiss.standard_normal(len(pitch)), tract, band(150, 9000, 9))


def children_playing(stage):
    """Children at different distances: words of gliding syllables, drawn-out shouts and squeals, and a ball's
    thuds.
    """
    track = np.zeros(stage.size)
    for _ in range(stage.choose.integers(3, 5)):
        voice, loud, at = stage.octaves(270, 480), stage.octaves(0.15,
                                                                 1.0), stage.between(0, 0.1) * stage.seconds
        while at < stage.seconds:
            word = stage.choose.random() < 0.7
            lift = 1.0 if word else stage.octaves(1.4, 3)
            for _ in range(stage.choose.integers(2, 6) if word else 1):
                length = stage.octaves(0.08, 0.2) if word else stage.octaves(0.25, 0.8)
                pitch = voice * lift * glide(stage.samples(length), [0, 0.3, 1], stage.octaves(0.7, 1.4, 3))
                jaw, tongue = stage.between(450, 1200), stage.octaves(1100, 3000)
                vowel = formants([jaw, max(tongue, 1.3 * jaw), 3700], [150, 250, 500], [1.0, 0.7, 0.4])
                sound = call(stage, pitch, stage.octaves(0.05, 1.0), vowel)
                add(stage, track, loud * lift * sound * fade(stage, len(pitch), 0.03, 0.06), at)
                at += length + stage.between(0, 0.06)
            at += stage.octaves(0.3, 1.5)
    thud = noise(stage, stage.samples(0.1), band(150, 9000, 6)) * decay(stage, stage.samples(0.1), 0.1)
    ball = follow(rhythm(stage, np.full(stage.size, stage.octaves(0.5, 4)), 1.0, 0.7), thud)
    track += stage.octaves(0.2, 1) * ball
    return outdoors(stage, track, t60=(0.3, 1.2), wet=(0.2, 1.0), quiet=(12, 34))


def dog_bark(stage):
    """Barks: the pitch leaps up and drops by an octave within 0.1..0.25 s, rough, through a snout's
    resonances.
    """
    voice, length, rough = stage.octaves(280, 900), stage.octaves(0.1, 0.25), stage.octaves(0.1, 0.8)
    snout = formants(np.array([650, 1500, 3000]) * (voice / 500) ** 0.4, [350, 500, 900], [1.0, 0.6, 0.3])
    track, at = np.zeros(stage.size), stage.between(0.02, 0.4) * min(stage.seconds, 1.0)
    while at < stage.seconds:
        for _ in range(stage.choose.integers(1, 5)):
            lasts = length * stage.octaves(0.85, 1.2)
            pitch = glide(stage.samples(lasts), [0, 0.2, 0.5, 1],
                          [0.6, 1, 0.85, 0.4]) * voice * stage.octaves(0.9, 1.1)
            envelope = decay(stage, len(pitch), 4 * lasts, attack=0.012) * fade(stage, len(pitch), 0.005,
                                                                                0.05)
            # at half the pitch: vocal fry
            growl = 1 + 0.5 * rough * np.sin(np.pi * np.cumsum(pitch) / stage.rate)
            add(stage, track, call(stage, pitch, rough, snout) * growl * envelope, at)
            at += lasts + stage.octaves(0.1, 0.35)
        at += stage.octaves(0.2, 1.5)
    return outdoors(stage, track, t60=(0.2, 0.9), wet=(0.05, 0.5), quiet=(35, 75))


def drilling(stage):
    """A motor's buzz and gear whine whose speed sags under load, dust noise in time with it, often hammer
    blows.
    """
    speed = glide(stage.size, [0, 0.3, 1], stage.octaves(90, 320) * stage.octaves(0.8, 1.2,
                                                                                  3)) * stage.wander(8, 0.01)
    motor = harmonics(stage, speed, falling(40, stage.between(0.3, 1.0)) * stage.octaves(0.4, 2, 40))
    gears = harmonics(stage, speed * stage.choose.integers(9, 20), [1.0, 0.4, 0.2])
    dust = noise(stage, stage.size, tilt(stage, stage.octaves(1500, 6000), -8, 6), band(250, 16000, 6))
    dust *= 1 + 0.4 * np.sin(2 * np.pi * np.cumsum(speed) / stage.rate)
    size, blows = stage.samples(0.03), rhythm(stage, speed / speed[0] * stage.octaves(38, 65), 0.02, 0.15)
    blow = noise(stage, size, tilt(stage, 4000, -6, 5), band(150, 18000)) * decay(stage, size, 0.03)
    machine = (stage.octaves(0.1, 0.6) * motor + stage.octaves(0.1, 0.8) * gears + dust
               + stage.choose.choice([0.0, 0.5, 1.0]) * follow(blows, blow))
    return outdoors(stage, interrupt(stage, machine, 0.4), t60=(0.2, 0.6), wet=(0.1, 0.5), quiet=(25, 45))


def engine_idling(stage):
    """Four cylinders fire in turn, none quite like the next: pulses through an exhaust pipe's modes, valves
    ticking.
    """
    pulses = rhythm(stage, stage.octaves(16, 36) * stage.wander(1.5, 0.02), 0.03, 0.12)
    pulses *= stage.octaves(0.6, 1.3, 4)[np.cumsum(pulses > 0) % 4]
    pipe = np.array([45, 75, 110, 180, 300, 500, 800, 1300]) * stage.octaves(0.75, 1.33, 8)
    exhaust = follow(pulses, ring(stage, pipe, 10 / pipe.clip(60), 80 / pipe.clip(80)))
    size = stage.samples(0.03)
    tick = noise(stage, size, band(800, 5000, 9)) * decay(stage, size, stage.octaves(0.015, 0.03))
    valves = follow(np.roll(pulses, stage.samples(0.012)), tick)
    fan = noise(stage, stage.size, tilt(stage, stage.octaves(60, 200), stage.between(-9, -6), 3))
    return (exhaust / np.std(exhaust) + stage.octaves(0.01, 0.2) * valves / np.std(valves)
            + stage.octaves(0.1, 0.5) * fan) * stage.wander(2, 0.05)


def gun_shot(stage):
    """Powder gas bursts out: p(t) = (1 − t/τ)·e^(−t/τ) (Friedlander) and a noise crack, then echoes that die
    away.
    """
    time, tau = stage.time(stage.samples(1.5)), stage.octaves(0.001, 0.006)
    blast = stage.octaves(0.5, 3) * (1 - time / tau) * np.exp(-time / tau)
    crack = noise(stage, len(time), tilt(stage, stage.octaves(500, 4000), -5, 3))
    bang = blast + crack * decay(stage, len(time), stage.octaves(0.1, 0.5))
    shot = bang.copy()
    for _ in range(stage.choose.integers(0, 4)):  # walls nearby
        add(stage, shot, stage.octaves(0.05, 0.3) * bang, stage.octaves(0.02, 0.4))
    track, at = np.zeros(stage.size), stage.between(0.01, 0.1) * min(stage.seconds, 2.0)
    automatic = stage.choose.random() < 0.15
    for _ in range(stage.choose.integers(3, 8) if automatic else stage.choose.choice([1, 1, 1, 2])):
        add(stage, track, stage.octaves(0.8, 1.25) * shot, at)
        at += stage.between(0.09, 0.11) if automatic else stage.between(0.6, 2.0)
    return outdoors(stage, track, t60=(0.6, 2.5), wet=(0.3, 1.5), quiet=(55, 95))


def jackhammer(stage):
    """A steel chisel struck 8..20 times a second: broadband impacts, ringing steel, ground thud, compressor.
    """
    hits = rhythm(stage, stage.octaves(8, 20) * stage.wander(1, 0.02), 0.02, 0.1)
    impacts = noise(stage, stage.size, tilt(stage, stage.octaves(1500, 6000), -5, 4), band(150, 20000))
    impacts *= follow(hits, decay(stage, stage.samples(0.1), stage.octaves(0.03, 0.08)))
    steel = ring(stage, stage.octaves(300, 12000, 16), stage.octaves(0.03, 0.15, 16),
                 stage.octaves(0.1, 0.8, 16))
    ground = ring(stage, stage.octaves(60, 180, 2), [0.1, 0.1], stage.octaves(0.1, 0.7, 2))
    drone = noise(stage, stage.size, tilt(stage, stage.octaves(200, 2000), -4, 4), band(50, 20000))
    machine = impacts + stage.octaves(0.3, 1.5) * follow(hits, steel) + follow(hits, ground)
    machine = interrupt(stage, machine / np.std(machine), 0.3) + stage.octaves(0.08, 0.3) * drone
    return outdoors(stage, machine, t60=(0.2, 0.6), wet=(0.05, 0.3), quiet=(25, 45))


def siren_pitch(stage):
    """Wail (slow rise and fall), yelp (the same, fast), or hi-lo (two notes in turn): pitch [n] in Hz."""
    kind, low, rise = (
        stage.choose.choice(3, p=[0.4, 0.4, 0.2]),
        stage.octaves(450, 800),
        stage.between(0.3, 0.6),
    )
    period = stage.octaves(*[(2.0, 6.0), (0.2, 0.45), (0.8, 1.4)][kind])
    turn = (stage.time() / period + stage.choose.random()) % 1
    if kind == 2:
        switch = (np.minimum(turn, 1 - turn) - 0.25) * period / 0.03  # takes 30 ms from note to note
        return low * (4 / 3) ** np.clip(switch + 0.5, 0, 1)
    sweep = np.minimum(turn / rise, (1 - turn) / (1 - rise))
    return low * stage.octaves(2.0, 2.8) ** np.sin(np.pi / 2 * sweep)


def siren(stage):
    """A sweeping tone with harmonics from a horn on a roof, passing by, echoed by houses, over traffic."""
    doppler = 1 - 0.02 * np.tanh((stage.time() - stage.between(0, 1) * stage.seconds) / stage.between(0.5, 2))
    strengths = falling(9, stage.between(0.7, 1.6)) * np.where(np.arange(9) % 2, stage.between(0.2, 1), 1)
    tone = harmonics(stage, siren_pitch(stage) * doppler, strengths)
    horn = shape(stage, tone, formants([900, 2300], [900, 1600], [1, 0.6], floor=0.15), band(350, 7000, 12))
    return outdoors(stage, horn * stage.wander(1, 0.25), t60=(0.3, 1.6), wet=(0.15, 0.8), quiet=(10, 45))


def play(stage, track, timbre, beats, pitches, length, loud):
    """Add notes at `beats`: falling harmonics, plucked or sustained by their t60, and vibrato."""
    power, t60, vibrato = timbre
    size = stage.samples(length)
    wave = 1 + vibrato * np.sin(2 * np.pi * 5.5 * stage.time(size))
    envelope = loud * decay(stage, size, t60, attack=0.008) * fade(stage, size, 0.005, 0.04)
    for at, pitch in zip(beats, pitches):
        tone = harmonics(stage, pitch * wave, falling(min(int(6000 / pitch) + 1, 12), power))
        add(stage, track, tone * envelope, at)


def drum(stage, track, beat, loud):
    """Kick on every other beat, snare between, a hi-hat twice a beat."""
    size = stage.samples(0.2)
    kick = harmonics(stage, glide(size, [0, 0.3, 1], [140, 60, 50]), [1.0]) * decay(stage, size, 0.25)
    snare = 0.5 * noise(stage, size, band(180, 7000, 9)) * decay(stage, size, 0.18)
    hat = 0.2 * noise(stage, size, band(6000, 18000)) * decay(stage, size, 0.06)
    for sound, first, every in ((kick, 0, 2), (snare, 1, 2), (hat, 0, 0.5)):
        for at in np.arange(first * beat, stage.seconds, every * beat):
            add(stage, track, loud * sound, at)


def street_music(stage):
    """A busker's band: bass and chords of a four-chord song, a pentatonic melody, perhaps drums; a crowd
    murmurs.
    """
    track, beat, key = np.zeros(stage.size), 60 / stage.between(80, 145), stage.octaves(98, 185)
    beats = np.arange(0, stage.seconds, beat)
    # in semitones: I, IV, V, vi
    roots = stage.choose.permutation([0, 5, 7, 9])[np.arange(len(beats)) // 2 % 4]
    guitar, accordion, piano = (1.3, 1.5, 0.0), (0.9, 6.0, 0.004), (1.8, 3.0, 0.0)
    fiddle, mandolin, flute = (1.0, 5.0, 0.006), (0.8, 2.0, 0.0), (2.0, 6.0, 0.008)
    chords, lead = (
        stage.choose.choice([guitar, accordion, piano]),
        stage.choose.choice([fiddle, mandolin, flute]),
    )
    play(stage, track, guitar, beats, key / 2 * 2 ** (roots / 12), beat, 1.0)
    for interval in (0, 4, 7):
        # the chord on the sixth is minor
        tone = roots + np.where((roots == 9) & (interval == 4), 3, interval)
        play(stage, track, chords, beats[::2], key * 2 ** (tone[::2] / 12), 2 * beat, 0.35)
    quick = np.arange(0, stage.seconds, beat / 2)
    quick = quick[stage.choose.random(len(quick)) < 0.75]
    steps = np.cumsum(stage.choose.integers(-2, 3, len(quick))).clip(-3, 5)
    melody = key * 4 * 2 ** (np.array([0, 2, 4, 7, 9])[steps % 5] / 12 + steps // 5)
    play(stage, track, lead, quick, melody, 0.6 * beat, stage.octaves(0.3, 0.8))
    drum(stage, track, beat, stage.choose.choice([0.0, 0.5, 1.2]))
    return outdoors(stage, track, t60=(0.3, 1.5), wet=(0.1, 0.6), quiet=(22, 48))


MAKERS = {maker.__name__: maker for maker in (air_conditioner, car_horn, children_playing, dog_bark, drilling,
                                              engine_idling, gun_shot, jackhammer, siren, street_music)}
CLASSES = tuple(MAKERS)


def class_index(name_or_index):
    """The index of a class given by name or index; ValueError names an unknown class and lists the known
    ones.
    """
    if isinstance(name_or_index, str) and name_or_index in CLASSES:
        return CLASSES.index(name_or_index)
    if isinstance(name_or_index, (int, np.integer)) and 0 <= name_or_index < len(CLASSES):
        return int(name_or_index)
    raise ValueError(f"unknown class {name_or_index!r}; known are {', '.join(CLASSES)}, or "
                     f"0..{len(CLASSES) - 1}")


def synthesize(name_or_index, seed=0, *, sample_rate=44_100, seconds=4.0):
    """One clip of a class: [round(seconds · sample_rate)] float32, mono, in [-1, 1].

    The same arguments give the same bits; another seed gives another scene of the class.
    """
    index = class_index(name_or_index)
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"the seed must be a whole number from 0, found {seed!r}")
    if not RATES[0] <= sample_rate <= RATES[1] or sample_rate != int(sample_rate):
        raise ValueError(f"sample_rate must be a whole number of Hz in {RATES[0]}..{RATES[1]}, found "
                         f"{sample_rate!r}")
    if not LENGTHS[0] <= seconds <= LENGTHS[1]:
        raise ValueError(f"seconds must lie in {LENGTHS[0]}..{LENGTHS[1]}, found {seconds!r}")
    stage = Stage(int(sample_rate), float(seconds), round(seconds * sample_rate),
                  np.random.default_rng([seed, index]),
                  np.random.default_rng([seed, index, 1]))
    level, lowest, highest = stage.octaves(0.2, 0.95), stage.octaves(30, 90), stage.octaves(7000, 20000)
    microphone = scipy.signal.butter(4, [lowest, min(highest, 0.45 * sample_rate)], "bandpass",
                                     fs=sample_rate, output="sos")
    # causal: nothing sounds before a shot
    signal = scipy.signal.sosfilt(microphone, MAKERS[CLASSES[index]](stage))
    return (signal * (level / np.abs(signal).max())).astype(np.float32)
