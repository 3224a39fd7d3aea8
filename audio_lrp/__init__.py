"""Audio-LRP: which part of a sound made a neural network decide what it decided. The application's face."""
import os
import pathlib

# Before NumPy is imported: idle threads of its BLAS sleep after 2^20 cycles, not 2^26, which would cost a
# short command half a second of processor time.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")

HERE = pathlib.Path(__file__).parent
EMBEDDED_MODEL = HERE / "models" / "urban_sounds.npz"
EMBEDDED_CLIP = HERE / "examples" / "siren.flac"
