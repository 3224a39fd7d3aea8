"""Sound to mel-spectrogram image, on NumPy and SciPy: what the network sees of a sound.

    import features
    image = features.clip_image("siren.wav")            # (64, 64, 3) float32
    bands = features.mel_db(samples, sample_rate=44100)  # (128, frames) decibels
"""
from .audio import SAMPLE_RATE, SECONDS, AudioError, to_mono
from .clip import Clip, clip_image, open_clip
from .image import IMAGE_SHAPE, LEVEL_SHAPE, colour, level_image
from .inverse import SoundRelevance, relevance_to_sound
from .mel import band_edges, mel_db

__all__ = ["IMAGE_SHAPE", "LEVEL_SHAPE", "SAMPLE_RATE", "SECONDS", "AudioError", "Clip", "SoundRelevance",
           "band_edges", "clip_image", "colour", "level_image", "mel_db", "open_clip",
           "relevance_to_sound", "to_mono"]
