"""python docs/pictures.py: draw the tutorial's pictures from what the engine computes."""
import pathlib
import sys

import matplotlib
import matplotlib.figure
import numpy as np

import audio_lrp
import features
import lrp_core
from audio_lrp.plots import AGAINST, DIVERGING, FOR, GREY, PRINT, save
from lrp_core import AlphaBeta, Epsilon, Flat, Zero, layers

HERE = pathlib.Path(__file__).parent / "pictures"
X, B = np.array([1.0, 2.0, -1.0]), np.array([0.5, -0.25])
W = np.array([[1.0, -1.0], [0.5, 1.0], [1.0, 2.0]])


def sign_colour(value):
    """Red for what speaks for the score, blue for what speaks against it."""
    return FOR if value > 0 else AGAINST if value < 0 else GREY


def one_layer(figure):
    """The tutorial's first network: forward what each input contributes, backward what it gets."""
    network = lrp_core.Network([("dense", layers.Dense(W, B))], (3,))
    e = lrp_core.explain(network, X, Zero(), target=0)
    score, bias = float(e.ledger.start), float(e.ledger["dense"].bias)
    left, right = figure.subplots(1, 2)
    graph(left, "forward: x·W adds up to z", X, X * W[:, 0], B[0], score, forward=True)
    graph(right, "backward: z is shared out again", e.relevance, e.relevance, bias, score, forward=False)


def graph(axes, title, units, parts, bias, score, *, forward):
    """Three inputs and a bias at the left, one output at the right; arrows as thick as what they carry."""
    axes.set(title=title, xlim=(-0.35, 1.3), ylim=(-0.5, 3.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    places = [3, 2, 1, 0]
    for height, name, value in zip(places, [*(f"{unit:g}" for unit in units), "bias"], [*parts, bias]):
        ends = ((0.12, height), (0.92, 1.5)) if forward else ((0.92, 1.5), (0.12, height))
        axes.annotate("", ends[1], ends[0], arrowprops={
            "arrowstyle": "-|>", "color": sign_colour(value), "linewidth": 0.8 + 2.2 * abs(value)})
        axes.text(0.35, height + (1.5 - height) * 0.35, f"{value:+g}", ha="center", va="center",
                  color=sign_colour(value), bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})
        circle(axes, 0, height, name)
    circle(axes, 1.05, 1.5, f"{score:g}")


def circle(axes, x, y, text):
    """A unit with a number in it."""
    shape = "circle,pad=0.45" if len(text) < 4 else "round,pad=0.45"
    axes.text(x, y, text, ha="center", va="center",
              bbox={"boxstyle": shape, "facecolor": "white", "edgecolor": "black"})


def rules(figure):
    """The same layer by four rules: what the inputs get, and what stays with bias and stabilizer."""
    network = lrp_core.Network([("dense", layers.Dense(W, B))], (3,))
    shown = {"LRP-0": Zero(), "LRP-ε, ε = 0.5": Epsilon(0.5), "LRP-α2β1, no bias": AlphaBeta(2, 1, "ignore"),
             "LRP-flat": Flat()}
    for axes, (title, rule) in zip(figure.subplots(1, 4, sharey=True), shown.items()):
        e = lrp_core.explain(network, X, rule, target=0)
        entry = e.ledger["dense"]
        values = [*e.relevance, float(entry.bias), float(entry.stabilizer)]
        axes.bar(range(5), values, color=[*map(sign_colour, e.relevance), "#c9a227", "#8a8a8a"])
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xticks(range(5), ["x₀", "x₁", "x₂", "bias", "ε"])
        axes.set_title(title, fontsize=10)
        for place, value in enumerate(values):
            axes.annotate(f"{value + 0:.3g}", (place, max(value, 0)), (0, 2), textcoords="offset points",
                          ha="center", fontsize=8)
    figure.axes[0].set(ylabel="relevance", ylim=(-1.8, 2.0))


def several_layers(figure):
    """The tutorial's small network: absolute relevance at every layer's output, place by place."""
    rng = np.random.default_rng(0)
    network = lrp_core.Network([
        ("conv", layers.Conv2D(rng.standard_normal((3, 3, 1, 4)), rng.standard_normal(4), padding="same")),
        ("relu", layers.ReLU()), ("pool", layers.MaxPool2D(2)), ("flatten", layers.Flatten()),
        ("dense", layers.Dense(rng.standard_normal((64, 2)), rng.standard_normal(2)))], (8, 8, 1))
    e = lrp_core.explain(network, rng.standard_normal((8, 8, 1)), "epsilon", layers=True)
    score = np.eye(2)[e.target] * e.ledger.start
    maps = {"score": score[:, None], **{name: e.layers[name] for name in ("pool", "relu", "conv")},
            "input": e.relevance}
    for axes, (name, r) in zip(figure.subplots(1, 5), maps.items()):
        flat = r.sum(axis=-1) if r.ndim == 3 else r
        limit = np.abs(flat).max()
        axes.imshow(flat, cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set(title=name, xticks=[], yticks=[], xlabel=f"sum {r.sum():.2f}")


def siren(figure):
    """The embedded clip as the network sees it, and the relevance of its pixels by two presets."""
    network, image = lrp_core.load(audio_lrp.EMBEDDED_MODEL), features.clip_image(audio_lrp.EMBEDDED_CLIP)
    panels = figure.subplots(1, 3)
    panels[0].imshow(image, interpolation="nearest")
    panels[0].set_title("what the network sees")
    for axes, preset in zip(panels[1:], ("flat", "epsilon")):
        heat = lrp_core.explain(network, image, preset).relevance.sum(axis=-1)
        limit = np.quantile(np.abs(heat), 0.995)
        axes.imshow(heat, cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(f"relevance by {preset}")
    for axes in panels:
        axes.set(xticks=np.linspace(-0.5, 63.5, 5), xticklabels=range(5), xlabel="seconds", yticks=[])


PICTURES = {"one-layer": (one_layer, 7.2, 3.0), "rules": (rules, 9, 2.8),
            "several-layers": (several_layers, 9, 2.3), "siren-maps": (siren, 9, 3.9)}


def main(folder=HERE):
    """Draw all of them; the same program draws the same bytes."""
    folder.mkdir(exist_ok=True)
    for name, (draw, width, height) in PICTURES.items():
        with matplotlib.rc_context({**PRINT, "font.size": 10, "axes.titlesize": 11}):
            figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
            draw(figure)
            save(figure, folder / f"{name}.svg")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
