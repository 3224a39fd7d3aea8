"""A tool at work in a process of its own, asked by lines of JSON (peers/protocol.py has the words)."""
import contextlib
import json
import subprocess
import tempfile

from lrp_core.text import clean

from .progress import say


def without_paths(text, limit=120):
    """The beginning of a message, for the results: words that hold a path are left out."""
    words = [word for word in text.split() if "/" not in word and "\\" not in word]
    return clean(" ".join(words), limit)


class PeerError(Exception):
    """A tool that failed; the text names no paths, for it ends up in the results."""


class Peer:
    """A running tool. Use it as a context, so that it ends with the benchmark."""

    def __init__(self, name, command, environment=None, folder=None):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors,
                                        text=True, env=environment, cwd=folder)
        try:
            self.ready = self.reply()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the tool: it leaves when its standard input ends, and is made to where it does not."""
        with contextlib.suppress(BrokenPipeError):  # it is gone, and something was still to be written
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def ask(self, method, batch, **more):
        """Seconds of one call of a method on a batch; raises PeerError where the tool fails."""
        try:
            print(json.dumps({"method": method, "batch": batch, **more}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise self.ended() from None
        return self.reply()["seconds"]

    def reply(self):
        """The next line of the tool; raises PeerError where it is none or tells of an error."""
        line = self.process.stdout.readline()
        if not line:
            raise self.ended()
        reply = json.loads(line)
        if "error" in reply:
            say(f"{self.name}: {reply['error']}")
            raise PeerError(f"{self.name} failed at this: {without_paths(reply['error'])}")
        return reply

    def ended(self):
        """The error that tells that the tool is gone; what it said last goes to the terminal."""
        code = self.process.wait()
        self.errors.seek(0)
        say("".join(f"{self.name}: {line}\n" for line in self.errors.read().splitlines()[-8:]).rstrip())
        return PeerError(f"{self.name} ended unexpectedly (exit code {code})")
