"""The environments that the peers run in: found as they are, or made with venv and pip on first use."""
import dataclasses
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys

from .progress import say

# Settings of older processors, which halve the matrix product on newer ones.
BLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
PEERS = pathlib.Path(__file__).parent / "peers"
DEFAULT = pathlib.Path("~/.cache/audio-lrp-benchmarks")
VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class Unavailable(Exception):
    """Why a peer cannot run and what helps; the text names no paths, for it ends up in the results."""


@dataclasses.dataclass(frozen=True)
class Tool:
    """A peer: its name, that of its script, that of its environment, the Python it needs ((3, 10), ...; None:
    the one that runs this), and what its script is told beside the study.
    """
    name: str
    key: str
    environment: str
    pythons: tuple | None = None
    arguments: tuple = ()

    @property
    def script(self):
        """What runs in its environment."""
        return PEERS / f"run_{self.key}.py"

    @property
    def requirements(self):
        """[(file, pip's options for it)]."""
        files = [(PEERS / f"{self.environment}.txt", ()),
                 (PEERS / f"{self.environment}-no-deps.txt", ("--no-deps",))]
        return [(path, options) for path, options in files if path.exists()]


INNVESTIGATE = Tool("iNNvestigate", "innvestigate", "innvestigate", ((3, 10), (3, 9)))
# Never timed: it tells iNNvestigate's own rounding from a disagreement.
INNVESTIGATE_64 = Tool("iNNvestigate, float64", "innvestigate", "innvestigate", INNVESTIGATE.pythons,
                       ("float64",))
ZENNIT = Tool("zennit", "zennit", "torch")
CAPTUM = Tool("Captum", "captum", "torch")
AUTOLRP = Tool("autoLRP", "autolrp", "torch")
TORCH = Tool("torch", "torch", "torch")
OPENVINO = Tool("OpenVINO", "openvino", "openvino")


def command(tool, folder, study, python310=None):
    """The command line that starts a tool on a study's .npz, its environment made where it is missing."""
    return [str(ready(tool, pathlib.Path(folder).expanduser(), python310)), str(tool.script), str(study),
            *tool.arguments]


def variables():
    """The environment variables of a peer: ours without what points Python here. (No OMP_WAIT_POLICY=PASSIVE:
    it makes
    torch slower at batch 1, and without it an idle peer burns no more than the first 10 ms, which `turns`
    waits for.)
    """
    return {name: value for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "PYTHONHOME", *BLAS)}


def ready(tool, folder, python310=None):
    """The Python of a tool's environment, which is made first where its versions are not all there."""
    python = interpreter(folder / tool.environment)
    if not missing(tool, python):
        return python
    base = sys.executable if tool.pythons is None else find_python(tool, python310)
    say(f"{tool.name}: making its environment in {folder / tool.environment}; this takes a few minutes, once")
    folder.mkdir(parents=True, exist_ok=True)
    run(tool, [base, "-m", "venv", folder / tool.environment])
    for path, options in tool.requirements:
        run(tool, [python, "-m", "pip", "install", "--quiet", *options, "-r", path])
    left = missing(tool, python)
    if left:
        raise Unavailable(f"its environment still lacks {', '.join(left)}")
    return python


def interpreter(environment):
    """Where the Python of a virtual environment lies."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def required(tool):
    """{package: version or None} that a tool's requirement files ask for."""
    lines = [line.partition("#")[0].strip() for path, _ in tool.requirements
             for line in path.read_text().splitlines()]
    return {name: version or None for name, _, version in (line.partition("==") for line in lines if line)}


def missing(tool, python):
    """The requirements that an environment does not meet. A build's own mark, as in 2.13.0+cpu, does not
    count.
    """
    wanted = required(tool)
    if not python.exists():
        return list(wanted)
    done = subprocess.run([python, "-c", VERSIONS, *wanted], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    return [name if version is None else f"{name}=={version}" for name, version in wanted.items()
            if name not in found or version not in (None, found[name].partition("+")[0])]


def find_python(tool, given=None):
    """A Python of one of the versions that a tool needs: the given one, or one that the machine has."""
    versions = [f"{major}.{minor}" for major, minor in tool.pythons]
    if given:
        if version_of(given) not in tool.pythons:
            raise Unavailable(f"it needs Python {' or '.join(versions)}; the one that --python310 names is "
                              "none")
        return given
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    for version in versions:
        candidates = [shutil.which(f"python{version}"),
                      *sorted(glob.glob(f"{root}/versions/{version}*/bin/python"))]
        for candidate in filter(None, candidates):
            if version_of(candidate) in tool.pythons:
                return candidate
    raise Unavailable(f"it needs Python {' or '.join(versions)}, and none was found: name one with "
                      "--python310 PATH")


def version_of(python):
    """(major, minor) of an interpreter, or None where it does not run."""
    try:
        words = [python, "-c", "import sys; print(*sys.version_info[:2])"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None
    except OSError:
        return None


def run(tool, words):
    """Run a step of making an environment; raises Unavailable where it fails, with its last words on the
    terminal.
    """
    try:
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        failed, text = done.returncode != 0, done.stderr + done.stdout
    except OSError as error:
        failed, text = True, str(error)
    if failed:
        say("\n".join(f"{tool.name}: {line}" for line in text.strip().splitlines()[-6:]))
        raise Unavailable("its environment could not be made: run this again where packages can be "
                          "installed, or make it "
                          f"by hand from benchmarks/peers/{tool.environment}.txt")
