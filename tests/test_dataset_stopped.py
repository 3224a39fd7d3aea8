"""A data-set run stopped from outside while its processes work, on a system as bare as a container."""
import configparser
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from audio_lrp import EMBEDDED_CLIP

pytest.importorskip("joblib", reason="audio-lrp dataset needs joblib")
pytest.importorskip("zarr", reason="audio-lrp dataset needs zarr")


@pytest.mark.skipif(os.name != "posix", reason="SIGINT to one process is POSIX")
def test_an_interrupt_ends_two_processes_at_once_without_pgrep(tmp_path):
    """`docker stop` sends SIGINT to the command alone, and its slim image has no pgrep for joblib to find
    workers by.
    """
    (tmp_path / "in").mkdir()
    for number in range(300):
        shutil.copy(EMBEDDED_CLIP, tmp_path / "in" / f"{number}.flac")
    process = subprocess.Popen([sys.executable, "-m", "audio_lrp", "dataset", tmp_path / "in", "-o",
                                tmp_path / "out", "--jobs", "2",
                                "--batch", "2"], stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "PATH": str(tmp_path)})
    try:
        begun = time.monotonic()
        while not list((tmp_path / "out").glob("batches/0*.json")):
            assert process.poll() is None and time.monotonic() - begun < 120, "no batch was ever done"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in said, said
    assert 0 < int(re.search(r"stopped; (\d+) of 300 clips are done", said)[1]) < 300


def test_every_extra_with_joblib_brings_psutil():
    """joblib asks psutil for a worker's children, or else pgrep; without both an interrupt ends in a
    traceback and hangs.
    """
    setup = configparser.ConfigParser()
    setup.read(pathlib.Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
    extras = {name: listed.split() for name, listed in setup["options.extras_require"].items()}
    parallel = {name for name, listed in extras.items() if any(line.startswith("joblib") for line in listed)}
    assert parallel >= {"dataset", "train", "test"}
    assert all(any(line.startswith("psutil") for line in extras[name]) for name in parallel)
