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

    y [n] -> [1 + n // hop, 1 + window // 2] complex. Frames are centred: y is continued by zeros on both sides.
    """
    padded = np.pad(np.asarray(y, np.float64), window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return scipy.fft.rfft(frames * hann(window), axis=1)


def power(spectrum):
    """|Y|²."""
    return spectrum.real ** 2 + spectrum.imag ** 2
