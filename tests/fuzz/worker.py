"""One process that tries damaged files, within bounds on memory; what it dies of, the parent sees."""
import os
import pathlib
import tempfile
import time
import traceback

import numpy as np

from . import models, mutate, protobufs, seeds
from .targets import PRESETS, TARGETS

try:
    import resource
except ImportError:  # not on Windows: memory is then only measured, if at all
    resource = None

MEMORY = 1 << 30  # bytes that a case may take on top of what the process has at rest
STATUS = pathlib.Path("/proc/self/status")


class Cases:
    """Damaged files by number: the same kind, seed and number make the same file."""

    def __init__(self, seed):
        self._seed = seed
        sounds = seeds.sounds()
        self._files = {"models": seeds.models(), "onnx": seeds.onnx(), "sounds": [data for data, _ in sounds]}

    def __call__(self, kind, number):
        rng = np.random.default_rng([self._seed, list(TARGETS).index(kind), number])
        files = self._files[kind]
        structured = {"models": models.model, "onnx": protobufs.onnx, "sounds": mutate.sound}[kind]
        return bytes((structured if rng.random() < 0.8 else mutate.damaged)(rng, mutate.pick(rng, files),
                                                                            files))


def work(pipe, seed):
    """Answer each (kind, number) that comes through the pipe with what `attempt` finds, and the file.

    What breaks here, and not in what is tried, is answered as a text: the traceback.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders complain of every damaged frame
    try:
        cases = Cases(seed)
        with tempfile.TemporaryDirectory() as folder:
            warm_up(folder)
            limit_memory()
            pipe.send(None)  # ready
            while (case := pipe.recv()) is not None:
                data = cases(*case)
                pipe.send((attempt(*case, data, folder), data))
    except Exception:
        pipe.send(traceback.format_exc())


def warm_up(folder):
    """Read and explain what is whole: everything is imported and compiled before memory is limited."""
    for kind, files in (("models", seeds.models()), ("onnx", seeds.onnx()),
                        ("sounds", [data for data, _ in seeds.sounds()])):
        for data in files:
            both_engines_and_precisions = range(4 * len(PRESETS))
            for number in (0,) if kind == "sounds" else both_engines_and_precisions:
                outcome, failed, _, _ = attempt(kind, number, data, folder)
                if failed or outcome not in ("explained", "loaded"):
                    raise AssertionError(f"{kind}: a file without damage: {outcome}")


def attempt(kind, number, data, folder):
    """(outcome, whether it must not happen, seconds, peak bytes) of one file."""
    target, promised, ending = TARGETS[kind]
    path = os.path.join(folder, f"{kind}.{ending}")
    with open(path, "wb") as file:
        file.write(data)
    forget_peak()
    start = time.perf_counter()
    try:
        outcome, failed = target(path, number), False
    except promised as error:
        outcome, failed = type(error).__name__, not printable(str(error))
        outcome += ": text that a terminal obeys, or too long" * failed
    except BaseException as error:
        outcome, failed = f"{type(error).__name__}: {str(error)[:100]}", True
    return outcome, failed, time.perf_counter() - start, peak()


def printable(message):
    """May an error's message go to a terminal?"""
    return message.isprintable() and len(message) < 5000


# ---- memory

def limit_memory():
    """Let the process take MEMORY more addresses than it has."""
    if resource is None or not STATUS.exists():
        return
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + MEMORY,) * 2)


def forget_peak():
    """Let the system measure the peak of memory anew, where it can (Linux)."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak():
    """The most memory that the process had at once, in bytes; 0 where the system does not say."""
    return status("VmHWM") if STATUS.exists() else 0


def status(name):
    """A number of bytes from what Linux says of the process."""
    return next(int(line.split()[1]) * 1024 for line in STATUS.read_text().splitlines()
                if line.startswith(f"{name}:"))
