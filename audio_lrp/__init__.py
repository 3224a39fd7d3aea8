"""Audio-LRP: which part of a sound made a neural network decide what it decided.

    import audio_lrp
    answer = audio_lrp.explain("dog.wav")
    answer.class_name, answer.plot(), answer.listen(), answer.report("dog.html")
    audio_lrp.timeline("an_hour.flac").events
"""
import os
import pathlib
import typing

if typing.TYPE_CHECKING:
    import numpy as np

    import lrp_core
    from features import FrontEnd

    from .answer import Answer
    from .windows import Timeline

# Before NumPy is imported: idle threads of its BLAS sleep after 2^20 cycles, not 2^26, which would cost a
# short command half a second of processor time.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")

HERE = pathlib.Path(__file__).parent
EMBEDDED_MODEL = HERE / "models" / "urban_sounds.npz"
EMBEDDED_CLIP = HERE / "examples" / "siren.flac"


def explain(sound: "str | os.PathLike | np.ndarray", sample_rate: float | None = None, *,
            model: "str | os.PathLike | lrp_core.Network" = EMBEDDED_MODEL,
            front_end: "FrontEnd | str | None" = None,
            rules: "str | lrp_core.Rules | list[str]" = "preset_a_flat",
            target: "lrp_core.Targets" = "max", start: float = 0.0, end: float | None = None,
            engine: "lrp_core.Engine" = "auto", dtype: "lrp_core.Precision" = "float64") -> "Answer":
    """Which part of a sound made a network say what it says: from a file to an answer in one call.

    sound: a file, or samples [n] or [n, channels] with their `sample_rate` in Hz. model: a Network, or a file
    (.npz, .onnx, or .keras where TensorFlow is installed). front_end: a FrontEnd, a name with settings
    ("log_mel:sr=16000,n_mels=64"), or a JSON file; None: what the model's file says. rules: as of
    `lrp_core.explain`, or a list of presets' names, the first leading. target, engine, dtype: as of
    `lrp_core.explain`. start, end: which part of the file, in seconds.

    Returns an Answer: relevance at every stage, the class by name, profiles, and `plot`, `listen`, `report`.
    Raises FileNotFoundError or ValueError that names what is wrong.
    """
    from . import models
    from .answer import answers
    network = models.network_of(model)
    found = models.front_end_of(network, front_end)
    clip = found.open(sound, sample_rate, start=start, end=end, dtype=dtype)
    names = rules if isinstance(rules, list) and all(isinstance(one, str) for one in rules) else [rules]
    (answer,) = answers(network, [clip], names, target, engine=engine, dtype=dtype)
    return answer


def timeline(path: "str | os.PathLike", *, model: "str | os.PathLike | lrp_core.Network" = EMBEDDED_MODEL,
             front_end: "FrontEnd | str | None" = None, rules: "lrp_core.Rules" = "preset_a_flat",
             target: "lrp_core.Targets" = "max", window: float | None = None, hop: float | None = None,
             start: float = 0.0, end: float | None = None, keep: "str | os.PathLike | None" = None,
             progress: "typing.Callable[[int], object] | None" = None, engine: "lrp_core.Engine" = "auto",
             dtype: "lrp_core.Precision" = "float64") -> "Timeline":
    """What a network hears in a recording of any length, window by window, and where each decision rests.

    window, hop: seconds; by default what the model takes, half overlapping. keep: a folder for what was found
    so far, from which a later call goes on. progress: called with the number of windows done since the last
    call. The other arguments are those of `explain`.

    Returns a Timeline: `values` and `relevance` over time, `events`, `plot`. Raises as `explain`.
    """
    from . import models
    from .windows import timeline as run
    network = models.network_of(model)
    return run(path, network, models.front_end_of(network, front_end), rules, target, window=window, hop=hop,
               start=start, end=end, keep=keep, progress=progress, engine=engine, dtype=dtype)


__all__ = ["EMBEDDED_CLIP", "EMBEDDED_MODEL", "explain", "timeline"]
