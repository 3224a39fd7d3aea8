"""How a tool is asked for its times: lines of JSON. Standard library and NumPy only, for every environment
alike.

A tool's script calls `serve`. It writes one line when it is ready, {"import": seconds, "load": seconds,
"versions": {...}}, and then answers each line {"method": ..., "batch": n, "seconds": s, "pause": s} with
{"seconds": per call}, or with {"error": text}. {"save": path} instead stores what it finds for the first
"count" inputs (all, where that is missing), as numbers of "dtype". It ends with its standard input.
"""
import importlib.metadata
import json
import os
import statistics
import sys
import time
import types

LEAST_SECONDS = 0.2


def time_calls(work, least=LEAST_SECONDS, pause=0.0):
    """Seconds of one call of `work()`, before which the machine idles for `pause` seconds.

    A call that takes `least` seconds or more counts as it is. A shorter one only warms the caches: the median
    of the calls that follow it within `least` seconds counts. So no tool is measured cold because others ran
    before it.
    """
    def turn():
        time.sleep(pause)
        return clock(work)
    seconds = turn()
    if seconds >= least:
        return seconds
    times, end = [], time.perf_counter() + least
    while not times or time.perf_counter() < end:
        times.append(turn())
    return statistics.median(times)


def clock(work):
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def read_study(path):
    """What `benchmarks.study.write` wrote: x [n, h, w, c] and layers, each with its arrays where it has any.
    """
    import numpy as np
    with np.load(path) as arrays:
        layers = [types.SimpleNamespace(**layer) for layer in json.loads(str(arrays["layers"]))]
        for layer in layers:
            if layer.type in ("Conv2D", "Dense"):
                layer.kernel, layer.bias = arrays[f"{layer.name}/kernel"], arrays[f"{layer.name}/bias"]
        return types.SimpleNamespace(x=arrays["x"], layers=layers)


def answer(tool, x, request):
    """What one request is answered with.

    tool.prepare(method, x) gives a function without arguments that does the work for the batch x;
    tool.to_numpy(what it returned) gives an array in the order of x.
    """
    method, batch = request["method"], request["batch"]
    if request.get("save"):
        import numpy as np
        x = x[:request.get("count")].astype(request.get("dtype", x.dtype))
        parts = [x[start:start + batch] for start in range(0, len(x), batch)]
        np.save(request["save"], np.concatenate([tool.to_numpy(tool.prepare(method, part)())
                                                 for part in parts]))
        return {"seconds": 0.0}
    if request.get("once"):
        return {"seconds": clock(lambda: tool.prepare(method, x[:batch])())}
    return {"seconds": time_calls(tool.prepare(method, x[:batch]), request.get("seconds", LEAST_SECONDS),
                                  request.get("pause", 0.0))}


def serve(build, packages, import_seconds, read=read_study):
    """Answer requests until the standard input ends. build(study): the tool; read: how argument 1 becomes a
    study.
    """
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a tool prints by itself must not come between the replies
    start = time.perf_counter()
    study = read(sys.argv[1])
    tool = build(study)
    load = time.perf_counter() - start
    versions = {package: importlib.metadata.version(package) for package in packages}
    versions["Python"] = ".".join(map(str, sys.version_info[:3]))
    print(json.dumps({"import": import_seconds, "load": load, "versions": versions}), file=replies)
    for line in sys.stdin:
        try:
            reply = answer(tool, study.x, json.loads(line))
        # whatever a tool raises is told to whoever asked, who names the tool and goes on
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies)
