"""The steps of a front end, each a layer with its way for relevance: one file a family."""
from .bands import Bins, Mel, hz_to_mel, mel_to_hz
from .base import Axes, Level, Step
from .image import AreaResize, Arrange, Colours, area_weights, colour, magma, quantise
from .levels import Decibels, Log, Standardize, Stretch
from .spectrogram import Frames, InverseSTFT, Spectrogram
from .waveform import RATES, SHORT, Fit, Resample, rate_ratio

__all__ = [
           "RATES",
           "SHORT",
           "AreaResize",
           "Arrange",
           "Axes",
           "Bins",
           "Colours",
           "Decibels",
           "Fit",
           "Frames",
           "InverseSTFT",
           "Level",
           "Log",
           "Mel",
           "Resample",
           "Spectrogram",
           "Standardize",
           "Step",
           "Stretch",
           "area_weights",
           "colour",
           "hz_to_mel",
           "magma",
           "mel_to_hz",
           "quantise",
           "rate_ratio",
]
