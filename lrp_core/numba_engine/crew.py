"""Threads that work for a program, and the processors they run on."""
import concurrent.futures
import contextlib
import ctypes
import os
import threading

# The processor that a thread runs on, where the system tells it and lets threads be kept off it.
processor = getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


class Crew:
    """Threads that wait for work.

    A thread that was asleep may be woken on the processor of the thread that called it, though another one
    is idle: Linux does so in virtual machines, whose idle processors may not be there. Both then take turns
    of some milliseconds, and a team of two is slower than one thread. `elsewhere` prevents it.
    """

    def __init__(self, threads):
        self.pid, self.threads = os.getpid(), threads
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, "lrp", self._arrive)
        self._members, self._placed = [], None

    def _arrive(self):
        self._members.append(threading.get_native_id())

    def submit(self, work, *arguments):
        """The Future of work(*arguments), on one of the threads."""
        return self._pool.submit(work, *arguments)

    def elsewhere(self):
        """Keep the threads off the processor that the caller runs on."""
        if processor is not None:
            self._place(processor())

    def anywhere(self):
        """Let the threads run on any processor that the caller may use."""
        if self._placed is not None:
            self._place(None)

    def _place(self, avoided):
        allowed = os.sched_getaffinity(0)  # of the caller: not all need be allowed the same
        placed = avoided, allowed, len(self._members)
        if placed == self._placed:
            return
        self._placed = placed
        processors = allowed - {avoided} or allowed
        for member in self._members:
            with contextlib.suppress(OSError):  # forbidden, or the thread has ended
                os.sched_setaffinity(member, processors)
