"""From sound files to stored relevance: where the time goes, and whole commands: `python -m benchmarks
files`.
"""
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import joblib
import numpy as np
import soundfile

import features
import lrp_core
from audio_lrp.explained import map_of
from features.audio import read
from features.synth import synthesize
from lrp_core.chunks import default_threads, single_threaded_blas

from .peers.protocol import time_calls
from .progress import bar
from .spread import spread
from .style import BLUE, GREEN, ORANGE, SKY
from .tables import Table

NAME, TITLE, SIZE = "files", "From files to stored relevance", (9, 3.2)
ABOUT = """What a clip of four seconds takes on its way from a WAV file to relevance on disk (study's front
end, embedded network, `preset_a_flat` in double precision): reading and the front end's steps on one thread,
the explanation in batches of 32 on all cores, writing as `dataset` does. Reading and front end once more as
`dataset` runs them, one process on each core, in both precisions. Then whole commands, from start to
end of the process: a data set, a report, and an hour of street noise in which three procedural sirens sound
at known times, beside a tenth of it: peak memory should not grow."""
CLIPS, REPORTED, MINUTES = 240, 12, 60
RATE = 44_100
SIRENS = ((600.0, 5), (1834.0, 8), (3100.0, 11))  # seconds, seed: where they begin
PRESET = "preset_a_flat"


def measure(network, clips, *, count=CLIPS, reported=REPORTED, minutes=MINUTES):
    """The result. clips: [(samples [n], rate in Hz, class number)]."""
    with tempfile.TemporaryDirectory() as temporary, bar(5, "files") as progress:
        folder = pathlib.Path(temporary)
        # first: the peak memory that the system tells is that of all commands so far
        timelines = [hour(folder, minutes / 10), hour(folder, minutes)]
        progress.update(1)
        paths = write_clips(clips, folder / "clips", count)
        steps = stages(network, paths, folder)
        progress.update(1)
        images = [on_all_cores(paths, dtype, workers) for dtype in lrp_core.DTYPES
                  for workers in dict.fromkeys((1, default_threads()))]
        progress.update(1)
        commands = [command("dataset", count, "dataset", folder / "clips", "-o", folder / "run")]
        progress.update(1)
        page = folder / "report.html"
        commands.append(command("report", reported, "report", *paths[:reported], "-o", page))
        progress.update(1)
    return {"steps": steps, "images": images, "commands": commands, "timelines": timelines}


def write_clips(clips, folder, count):
    """The paths of `count` WAV files: the clips, again and again."""
    folder.mkdir()
    paths = []
    for number in range(count):
        y, rate, _ = clips[number % len(clips)]
        paths.append(folder / f"{number:04d}.wav")
        soundfile.write(paths[-1], y, rate, subtype="PCM_16")
    return paths


def stages(network, paths, folder):
    """[{"stage", "part", "ms": of each of some clips}]: reading, the front end's steps, explanation, writing.
    """
    front_end, found, inputs = features.STUDY, {}, []
    for path in paths[:32]:
        recording = read(path, front_end.seconds)
        inputs.append(front_end.clip(recording))
        found.setdefault(("read", "reading"), []).append(
            time_calls(lambda path=path: read(path, front_end.seconds), 0.05))
        y = recording.samples[None]
        with single_threaded_blas:
            for node in front_end.network(len(recording.samples), recording.sample_rate).nodes:
                found.setdefault((node.name, "front end"), []).append(
                    time_calls(lambda node=node, y=y: node.layer.forward(y), 0.05))
                y = node.layer.forward(y)
    batch = np.stack([clip.input for clip in inputs])
    e = lrp_core.explain(network, batch, PRESET)
    maps = np.array([map_of(clip, r) for clip, r in zip(inputs, e.relevance)], np.float32)
    for key, work in ((("explain", "explanation"), lambda: lrp_core.explain(network, batch, PRESET)),
                      (("write", "writing"), lambda: np.savez_compressed(folder / "maps.npz", maps))):
        found[key] = [time_calls(work) / len(batch)]
    return [{"stage": stage, "part": part, "ms": [1e3 * s for s in seconds]}
            for (stage, part), seconds in found.items()]


def on_all_cores(paths, dtype, workers):
    """{"dtype", "workers", "ms": of one clip, file to image, in each of seven rounds}."""
    with joblib.Parallel(n_jobs=workers) as parallel:
        work = [joblib.delayed(seconds_of)(paths, dtype)] * workers
        rounds = [parallel(work) for _ in range(8)]
    return {"dtype": dtype, "workers": workers,
            "ms": [1e3 * max(found) / workers / len(paths) for found in rounds[1:]]}  # the first one warms up


def seconds_of(paths, dtype):
    """What it takes to make the images of these files, one after the other."""
    start = time.perf_counter()
    with single_threaded_blas:
        for path in paths:
            features.STUDY.open(path, dtype=dtype)
    return time.perf_counter() - start


def command(name, clips, *arguments):
    """{"command", "clips", "seconds"} of one whole command."""
    start = time.perf_counter()
    run(*arguments)
    return {"command": name, "clips": clips, "seconds": time.perf_counter() - start}


def run(*arguments):
    subprocess.run([sys.executable, "-m", "audio_lrp", *map(str, arguments)], check=True, capture_output=True)


def hour(folder, minutes):
    """What `timeline` finds in so many minutes of noise with sirens, how long it takes, and the peak memory
    of all commands so far.
    """
    path, out = folder / f"street-{minutes:g}.wav", folder / "timeline"
    sirens = write_street(path, minutes)
    start = time.perf_counter()
    run("timeline", path, "-o", out)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    labels = [line.split("\t") for line in (out / f"{path.stem}-labels.txt").read_text().splitlines()
              if not line.startswith("\\")]
    heard = [(float(first), float(last)) for first, last, text in labels if text.startswith("siren")]
    found = sum(any(first < at + 4 < last for first, last in heard) for at in sirens)
    path.unlink()
    return {"minutes": minutes, "seconds": seconds, "peak": peak, "sirens": len(sirens), "found": found,
            "false": sum(not any(first < at + 8 and at < last for at in sirens) for first, last in heard)}


def write_street(path, minutes):
    """Write noise, redder than white, with sirens of eight seconds in it; returns where they begin."""
    rng, sirens = np.random.default_rng(0), [(at, seed) for at, seed in SIRENS if at + 8 < 60 * minutes]
    sirens = sirens or [(at / 10, seed) for at, seed in SIRENS]
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        for begin in np.arange(0, 60 * minutes, 20.0):
            size = round(min(20.0, 60 * minutes - begin) * RATE)
            spectrum = np.fft.rfft(rng.standard_normal(size)) / np.sqrt(np.arange(1, size // 2 + 2))
            y = np.fft.irfft(spectrum, size)
            y *= 0.01 / y.std()
            for at, seed in sirens:
                place = round((at - begin) * RATE)
                siren = 0.4 * synthesize("siren", seed, seconds=8.0)
                first, last = max(place, 0), min(place + len(siren), size)
                if first < last:
                    y[first:last] += siren[first - place:last - place]
            file.write(np.clip(y, -1, 1))
    return [at for at, _ in sirens]


def tables(result):
    """For readers: a clip's way, file to image on all cores, whole commands, long recordings."""
    total = sum(np.median(row["ms"]) for row in result["steps"])
    return [Table("One clip, from file to disk", ("stage", "part", ">ms", ">share"),
                  [[row["stage"], row["part"], spread(row["ms"]), f"{np.median(row['ms']) / total:.0%}"]
                   for row in result["steps"]]),
            Table("One clip, from file to image", ("precision", ">processes", ">ms a clip"),
                  [[row["dtype"], row["workers"], spread(row["ms"])] for row in result["images"]]),
            Table("Whole commands", ("command", ">clips", ">s", ">clips/s"),
                  [[row["command"], row["clips"], f"{row['seconds']:.1f}",
                    f"{row['clips'] / row['seconds']:.1f}"] for row in result["commands"]]),
            Table("Long recordings", (">minutes", ">s", ">peak memory, MB", ">sirens", ">found", ">false"),
                  [[f"{row['minutes']:g}", f"{row['seconds']:.1f}", f"{row['peak'] / 1e6:.0f}", row["sirens"],
                    row["found"], row["false"]] for row in result["timelines"]])]


def draw(result, figure):
    """One bar: the parts of a clip's way."""
    axes, left = figure.subplots(), 0.0
    colours = {"reading": SKY, "front end": BLUE, "explanation": ORANGE, "writing": GREEN}
    for part, colour in colours.items():
        width = sum(float(np.median(row["ms"])) for row in result["steps"] if row["part"] == part)
        axes.barh([0], [width], left=left, color=colour, label=f"{part}: {width:.1f} ms")
        left += width
    axes.set(yticks=[], xlabel="milliseconds of a clip")
    axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
