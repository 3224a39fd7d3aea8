"""The peers of a benchmark, all at work at the same time and idle until asked."""
import contextlib
import pathlib
import tempfile

from . import environments, study
from .peer import Peer, PeerError
from .progress import say


@contextlib.contextmanager
def at_work(tools, network, x, *, folder=environments.DEFAULT, python310=None):
    """Start the tools on the study's network and images: as `started`."""
    with tempfile.TemporaryDirectory() as place:
        path = pathlib.Path(place) / "study.npz"
        if tools:
            study.write(path, network, x)
        with started(tools, path, folder=folder, python310=python310) as found:
            yield found


@contextlib.contextmanager
def started(tools, path, *, folder=environments.DEFAULT, python310=None):
    """Start the tools on what lies at a path: ({name: Peer}, {name: why it is not available}) until the block
    ends.
    """
    peers, unavailable = {}, {}
    with contextlib.ExitStack() as stack:
        for tool in tools:
            try:
                words = environments.command(tool, folder, path, python310)
                say(f"{tool.name}: starting")
                peers[tool.name] = stack.enter_context(Peer(tool.name, words, environments.variables()))
            except (environments.Unavailable, PeerError) as error:
                unavailable[tool.name] = str(error)
                say(f"{tool.name}: not available: {error}")
        yield peers, unavailable
