"""Audio-LRP: which part of a sound made a neural network decide what it decided. The application's face."""
import pathlib

HERE = pathlib.Path(__file__).parent
EMBEDDED_MODEL = HERE / "models" / "urban_sounds.npz"
EMBEDDED_CLIP = HERE / "examples" / "siren.flac"
