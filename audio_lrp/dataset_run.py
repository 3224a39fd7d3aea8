"""The work of a data-set run: batches of clips opened, explained and kept, by joblib's workers here or on
other machines.
"""
import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import threading
import time

import numpy as np

import features
import lrp_core
from lrp_core.chunks import single_threaded_blas

from .common import Asked
from .dataset_store import Store, with_gaps
from .explained import Explained, as_picture, level_of, places_of
from .models import reads_as

# another version of these may give other bits
LIBRARIES = ("audio-lrp", "numba", "numpy", "scipy", "soundfile", "zarr")


@dataclasses.dataclass(frozen=True)
class Work:
    """What a worker needs to know beside its clips; every path absolute, so that other processes find it.

    store: where to write. base: the folder the clips' paths start from. model: what to ask.
    threads: how many a single explanation may use; None for all. coordinator: the process number of the run
    whose children the workers are, None where they are threads or another program's.
    """
    store: Store
    base: pathlib.Path
    model: Asked
    threads: int | None
    coordinator: int | None


def settings_of(base, items, network, front_end, model, rules, target, batch, *, engine, dtype):
    """What fixes the results, as JSON values: kept in run.json, and compared when a run goes on.

    The list of clips enters by each one's path, label, size and ends.
    """
    listed = [[item.path, item.label, fingerprint(base / item.path)] for item in items]
    places = places_of(front_end)
    return {"format": 5, "clips": len(items),
            "clips_sha256": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
            "model_sha256": sha256(model.path), "model_inputs": jsonable(model.inputs),
            "front_end": front_end.as_dict(), "map": [len(places.hertz), len(places.seconds)],
            "reads": reads_as(network), "classes": list(network.class_names), "rules": list(rules),
            "target": target,
            "engine": engine, "dtype": dtype, "batch": batch,
            "versions": {name: importlib.metadata.version(name) for name in LIBRARIES}}


def jsonable(inputs):
    """The options of a model as JSON values; arrays by their digest."""
    def value(one):
        if isinstance(one, np.ndarray):
            return hashlib.sha256(one.tobytes()).hexdigest()
        return {key: value(part) for key, part in one.items()} if isinstance(one, dict) else (
            list(one) if isinstance(one, tuple) else one)
    return value({name: one for name, one in inputs.items() if one is not None})


def fingerprint(path):
    """[size, digest of the first and the last 4 KiB] of a file, by which another sound of the same name is
    noticed without
    reading all of it; None where it cannot be read."""
    try:
        if not path.is_file():  # a pipe would wait for its writer
            return None
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            first = file.read(4096)
            file.seek(max(size - 4096, 0))
            return [size, hashlib.sha256(first + file.read(4096)).hexdigest()]
    except OSError:
        return None


def forget_mended(store, base):
    """Take back the records of batches with a clip that could not be read and now can; returns how many clips
    they have.
    """
    forgotten = 0
    for number in range(store.batches):
        if store.record(number).exists() and any(opens(base / row["path"])
                                                 for row in store.read_record(number)["errors"]):
            store.record(number).unlink()
            forgotten += store.rows(number).stop - store.rows(number).start
    return forgotten


def opens(path):
    """Can the sound be read?"""
    try:
        features.audio.read(str(path), 1.0)
    except (features.AudioError, OSError):
        return False
    return True


def sha256(path):
    """The digest of a file's bytes."""
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


_OPENED: dict = {}


def network_of(model, digest):
    """(network, front end), loaded once in a process; refused if the file is no longer the one the run began
    with.
    """
    key = model.path, digest, model.front_end, json.dumps(jsonable(model.inputs))
    if key not in _OPENED:
        _OPENED.clear()
        found = model.open()
        if sha256(model.path) != digest:
            raise ValueError("the model file is not the one this run began with")
        _OPENED[key] = found
    return _OPENED[key]


def coordinator_of(backend):
    """This process's number where it starts worker processes of its own that can tell when it ends; else
    None.
    """
    return os.getpid() if backend == "loky" and os.name == "posix" else None


@functools.cache
def end_with(coordinator):
    """Let this worker process end soon after the one that started it, however that ended.

    Left to themselves loky's workers would finish what waits in their queue, for a run that is gone, and then
    wait for more for a minute. Whoever goes on with the run would share the machine with them.
    """
    if coordinator in (None, os.getpid()):
        return

    def watch():
        while os.getppid() == coordinator:
            time.sleep(0.5)
        os._exit(1)  # as sudden as the end of the run was: what is half-written is never taken for done
    threading.Thread(target=watch, daemon=True).start()


def explain_batch(work, number, items):
    """Open and explain the clips of a batch and keep what was found; returns how many clips that were.

    A clip's numbers do not depend on its batch, on the other workers, or on the number of threads.
    """
    end_with(work.coordinator)
    store = work.store
    if store.record(number).exists():  # by a worker that outlived the killed run which started it
        return len(items)
    check_seen(store.zarr, work.base)
    network, front_end = network_of(work.model, store.settings["model_sha256"])
    rows, errors, clips = [], [], []
    with single_threaded_blas:  # as many workers as processors: each one's BLAS must not take them all
        for place, item in enumerate(items):
            row = {"number": store.rows(number).start + place, "path": item.path, "label": item.label}
            path = str(work.base / item.path)
            try:
                clip = front_end.open(path, dtype=store.settings["dtype"])
            except (features.AudioError, OSError) as error:
                errors.append({**row, "error": str(error).replace(path, item.path)})
                continue
            clips.append(clip)
            rows.append({**row, "duration_s": clip.duration, "heard_s": clip.heard, "cut": bool(clip.cut),
                         "sample_rate": clip.sample_rate,
                         "warnings": [words for words in ("silent" if clip.silent else "", clip.cut)
                                      if words]})
    kept = [row["number"] - store.rows(number).start for row in rows]
    arrays = explain_clips(work, network, rows, clips)
    store.write(number, {name: with_gaps(values, kept, len(items)) for name, values in arrays.items()},
                {"clips": rows, "errors": errors})
    return len(items)


def explain_clips(work, network, rows, clips):
    """{array name: [n, ...]} of clips; what is found is added to their rows."""
    settings = work.store.settings
    shape = len(clips), *settings["map"]
    arrays = {"level": np.array([level_of(clip) for clip in clips], np.uint8).reshape(shape),
              "logits": np.zeros((len(clips), len(settings["classes"])), np.float32)}
    inputs = np.array([clip.input for clip in clips])
    for rules in settings["rules"]:
        arrays[f"relevance_{rules}"] = np.zeros(shape, np.float32)
        if not rows:
            continue
        target = "max" if settings["target"] == "max" else [row["label"] for row in rows]
        e = lrp_core.explain(network, inputs, rules, target, engine=settings["engine"],
                             dtype=settings["dtype"], threads=work.threads)
        arrays["logits"] = e.logits
        maps = [Explained(clip, e[place], rules).map for place, clip in enumerate(clips)]
        arrays[f"relevance_{rules}"] = as_picture(np.array(maps)).astype(np.float32)
        said = e.probabilities if settings["reads"] == "probabilities" else e.logits
        for row, logits, values, one, relevance in zip(rows, e.logits, said, e.target, e.relevance):
            best = int(logits.argmax())
            row.update(predicted=best, probability=float(values[best]), target=int(one),
                       logit=float(logits[one]))
            row[f"relevance_{rules}"] = float(relevance.sum(dtype=np.float64))
    return arrays


def check_seen(*folders):
    """Refuse to work on a machine that does not see the run's folders: it would list every clip as missing.
    """
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: not to be seen from {platform.node()}; every machine must "
                                    "see the sounds and the "
                                    "output under the same path")


def work_through(work, items, parallel, progress):
    """Explain every batch that is not done yet by the joblib.Parallel of `workers`.

    progress: called with the number of clips done since the last call. Whatever ends this call, the batches
    that have a record stay done.
    """
    import joblib
    tasks = (joblib.delayed(explain_batch)(work, number, items[work.store.rows(number)])
             for number in work.store.undone())
    # Results are written by the workers and come back as a count: nothing piles up here, however many clips
    # there are.
    for count in parallel(tasks):
        progress(count)


@contextlib.contextmanager
def workers(backend, jobs, address=None):
    """Give a joblib.Parallel for the block. backend: "loky" (processes), "threading", or a cluster of "dask"
    or "ray".

    address: the cluster's; without one a cluster of `jobs` processes is started on this machine.
    """
    import joblib
    with contextlib.ExitStack() as opened:
        options, return_as = {}, "generator_unordered"
        if backend == "dask":
            import distributed
            here = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
            cluster = address or opened.enter_context(distributed.LocalCluster(**here))
            options, jobs = {"client": opened.enter_context(distributed.Client(cluster, timeout=30))}, -1
        elif backend == "ray":
            import ray
            from ray.util.joblib import register_ray
            opened.enter_context(ray.init(address, **({} if address
                                                      else {"num_cpus": jobs, "include_dashboard": False})))
            register_ray()
            jobs, return_as = -1, "list"  # Ray's joblib backend hands nothing out before all is done
        elif backend == "loky":
            options = {"idle_worker_timeout": 20}  # seconds; then workers whose run was killed end too
        opened.enter_context(joblib.parallel_config(backend=backend, **options))
        yield joblib.Parallel(n_jobs=jobs, batch_size=1, return_as=return_as)
