"""One data-set run at a time in a folder: the operating system's lock, which ends with the process that holds
it.
"""
import contextlib
import datetime
import json
import os
import platform

import filelock

from lrp_core.files import replacing

LOCK, OWNER = "run.lock", "run.owner.json"


@contextlib.contextmanager
def alone(directory):
    """Keep other runs out of the folder during the block; for the process that coordinates a run, not its
    workers.

    Raises ValueError that says who is at work there, or OSError where the folder cannot be locked. A run that
    was killed keeps no other out.
    """
    lock = filelock.FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ValueError(f"{directory}: {owner_of(directory)} is at work in this folder; wait for it to end, "
                         "or "
                         "choose another folder with -o") from None
    except OSError as error:
        raise OSError(f"{directory}: cannot be locked against other runs ({error.strerror}); choose another "
                      "folder "
                      "with -o") from None
    try:
        with replacing(directory / OWNER) as partial:
            partial.write_text(json.dumps({
                "process": os.getpid(), "host": platform.node(),
                "since": datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")}))
        yield
    finally:
        (directory / OWNER).unlink(missing_ok=True)
        lock.release()


def owner_of(directory):
    """Who holds the folder, in words."""
    try:
        owner = json.loads((directory / OWNER).read_text())
        return f"a run (process {owner['process']} on {owner['host']}, since {owner['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # it has the lock and has not said yet who it is
        return "another run"
