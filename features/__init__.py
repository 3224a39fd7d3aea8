"""Sound to what a network takes, and relevance back to the sound; on NumPy.

    import features
    front_end = features.FrontEnd.log_mel(sr=16_000, n_mels=64, seconds=1.0)
    x = front_end("dog.wav")                              # what the network takes
    clip = features.open_clip("siren.wav")                # by the study's front end, every stage at hand
"""
from .audio import AudioError, Recording, to_mono
from .clip import Clip
from .front_end import FrontEnd, clip_image, open_clip
from .steps import colour

STUDY = FrontEnd.study()
SAMPLE_RATE, SECONDS = STUDY.sample_rate, STUDY.seconds or 0.0
IMAGE_SHAPE = STUDY.network().output_shape

__all__ = ["IMAGE_SHAPE", "SAMPLE_RATE", "SECONDS", "STUDY", "AudioError", "Clip", "FrontEnd", "Recording",
           "clip_image", "colour", "open_clip", "to_mono"]
