"""The short-time Fourier transform, from scratch: frames, window, FFT."""
import numpy as np
import scipy.fft

WINDOW = 2048
HOP = 512


def hann(length):
    """The periodic Hann window: w_n = (1 - cos(2πn / length)) / 2."""
    return (1 - np.cos(2 * np.pi * np.arange(length) / length)) / 2


def stft(y, window=WINDOW, hop=HOP):
    """Y[m, k] = Σ_n w_n · y[m·hop + n - window/2] · e^{-2πi kn / window}, for k = 0..window/2.

    y [n] -> [1 + n // hop, 1 + window // 2] complex. Frames are centred: y is continued by zeros on both
    sides.
    """
    padded = np.pad(np.asarray(y, np.float64), window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return scipy.fft.rfft(frames * hann(window), axis=1)


def power(spectrum):
    """|Y|²."""
    return spectrum.real ** 2 + spectrum.imag ** 2


def istft(spectrum, length, window=WINDOW, hop=HOP):
    """The sound [length] whose STFT comes nearest to `spectrum` [frames, bins] in the sense of least squares.

        y_n = Σ_m w_{n-mH} · irfft(Y_m)_{n-mH} / Σ_m w²_{n-mH}        (Griffin and Lim 1984, eq. 6)

    For a spectrum that `stft` made it is the sound itself. Windows that overlap fade each frame in and out.
    """
    frames = scipy.fft.irfft(spectrum, window, axis=1) * hann(window)
    y, weight = overlap_add(frames, length, hop), overlap_add(np.broadcast_to(hann(window) ** 2,
                                                                              frames.shape), length, hop)
    return y / np.maximum(weight, np.finfo(np.float64).tiny)


def overlap_add(frames, length, hop=HOP):
    """Add frames [m, window], each `hop` samples later than the last, and take off the padding of `stft`: ->
    [length].
    """
    window = frames.shape[1]
    y = np.zeros(max(length + 2 * (window // 2), (len(frames) - 1) * hop + window))
    for number, frame in enumerate(frames):
        y[number * hop:number * hop + window] += frame
    return y[window // 2:window // 2 + length]
