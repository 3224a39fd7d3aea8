"""Store what zennit computes for three networks, as an independent reference for tests/test_zennit.py.

zennit (Anders et al. 2021, https://github.com/chr5tphr/zennit) is the framework that half of the presets are
named after. This script runs where it runs, Python 3.11 and torch, and imports nothing of this project. To
make the environment and run it, from the project's root:

    python3.11 -m venv zennit-env
    zennit-env/bin/pip install "torch==2.13.0" "numpy==2.4.6" pillow
    zennit-env/bin/pip install --no-deps "zennit==0.5.1"
    zennit-env/bin/python tests/data/make_zennit.py

Beside it, or in --out, it writes for every network

    zennit_NAME.npz       x [n, h, w, c]; low, high, the box x lies in; logits [n, classes]; winner [n]; for every
                          method METHOD/max, the relevance of x for the winning class, and METHOD/index, for
                          class INDEX; versions
    zennit_NAME_net.npz   the network as a model file of this project (format: lrp_core/weights.py)

Weights and inputs are float32 numbers; zennit computes with them in float64, and what it finds is stored as
float32. So its rounding is no excuse for a difference. Everything is seeded and runs on one thread: a second
run writes the same bytes. It takes a few seconds.
"""
import argparse
import importlib.metadata
import json
import math
import pathlib
import platform
import sys
import types
import typing

import numpy as np
import torch

# zennit imports torchvision to know two classes of it. No network here has them, and a torchvision works with
# one build
# of torch only: a stand-in with these names spares installing it.
for module in ("torchvision", "torchvision.models", "torchvision.models.resnet"):
    sys.modules[module] = types.ModuleType(module)
sys.modules["torchvision.models.resnet"].Bottleneck = sys.modules["torchvision.models.resnet"].BasicBlock = torch.nn.Module

from zennit import composites, rules  # noqa: E402
from zennit.attribution import Gradient  # noqa: E402
from zennit.canonizers import SequentialMergeBatchNorm  # noqa: E402
from zennit.layer import Sum  # noqa: E402
from zennit.types import Activation, Linear  # noqa: E402

INDEX = 1
SAMPLES = 4
EPSILON = 1e-5  # of batch normalisation, torch's default


class Node(typing.NamedTuple):
    """One layer in the words of the model file; without `inputs` it reads the one before it."""
    name: str
    type: str
    options: dict | None = None
    inputs: tuple | None = None


class Net(typing.NamedTuple):
    """A network and what its weights and inputs are drawn from."""
    nodes: tuple
    shapes: dict  # name -> shape of the kernel
    input_shape: tuple
    low: float | tuple  # the box inputs lie in, perhaps by channel
    high: float | tuple
    # chosen so that different classes win; for `resnet` also so that no sum is nearer to 0 than 8e-4
    seed: int


def conv(name, strides=(1, 1), padding=1, inputs=None):
    """A convolution with `padding` rows and columns of zeros on every side, as torch has it."""
    return Node(name, "Conv2D", {"strides": strides, "padding": ((padding, padding), (padding, padding))},
                inputs)


FLATTEN = Node("flatten", "Flatten")

NETS = {
    # What composites were made for: ReLUs behind everything, an overlapping max-pool and an average pool.
    "vgg": Net(
        (conv("conv1"), Node("relu1", "ReLU"), conv("conv2", padding=0), Node("relu2", "ReLU"),
         Node("pool2", "MaxPool2D", {"pool_size": (3, 3), "strides": (2, 2)}),
         conv("conv3"), Node("relu3", "ReLU"),
         Node("pool3", "AveragePool2D", {"pool_size": (2, 2), "strides": (2, 2)}),
         FLATTEN, Node("dense1", "Dense"), Node("relu4", "ReLU"), Node("logits", "Dense")),
        {"conv1": (3, 3, 3, 6), "conv2": (3, 3, 6, 8), "conv3": (3, 3, 8, 10), "dense1": (40, 16),
         "logits": (16, 5)},
        (12, 12, 3), 0, 1, seed=1),
    # Batch normalisation behind every convolution; an identity shortcut, then one with a strided projection.
    "resnet": Net(
        (conv("stem"), Node("stem_bn", "BatchNorm"), Node("stem_relu", "ReLU"),
         conv("conv1a"), Node("bn1a", "BatchNorm"), Node("relu1a", "ReLU"), conv("conv1b"),
         Node("bn1b", "BatchNorm"),
         Node("add1", "Add", inputs=("bn1b", "stem_relu")), Node("relu1", "ReLU"),
         conv("conv2a", (2, 2)), Node("bn2a", "BatchNorm"), Node("relu2a", "ReLU"), conv("conv2b"),
         Node("bn2b", "BatchNorm"),
         conv("project", (2, 2), 0, inputs=("relu1",)), Node("project_bn", "BatchNorm"),
         Node("add2", "Add", inputs=("bn2b", "project_bn")), Node("relu2", "ReLU"),
         Node("mean", "GlobalAveragePool2D"), Node("logits", "Dense")),
        {"stem": (3, 3, 3, 8), "stem_bn": (8,), "conv1a": (3, 3, 8, 8), "bn1a": (8,), "conv1b": (3, 3, 8, 8),
         "bn1b": (8,),
         "conv2a": (3, 3, 8, 10), "bn2a": (10,), "conv2b": (3, 3, 10, 10), "bn2b": (10,),
         "project": (1, 1, 8, 10),
         "project_bn": (10,), "logits": (10, 5)},
        (12, 12, 3), 0, 1, seed=1825),
    # Inputs and outputs of both signs at every layer: no ReLU, and two layers with nothing in between.
    "signed": Net(
        (conv("conv1", (2, 1)), conv("conv2", (1, 2), 0), Node("leaky2", "LeakyReLU", {"slope": 0.2}),
         FLATTEN,
         Node("dense1", "Dense"), Node("leaky3", "LeakyReLU", {"slope": 0.2}), Node("logits", "Dense")),
        {"conv1": (3, 3, 3, 6), "conv2": (2, 2, 6, 8), "dense1": (160, 16), "logits": (16, 5)},
        (10, 10, 3), (-1, -2, -0.5), (1, 0.5, 2), seed=3),
}


def draw(net):
    """({name: {array: values}}, inputs), float32: He-normal kernels, biases ±(0.1 to 0.3).

    A batch normalisation is drawn as the model file has it, kernel·x + bias, with the batch statistics that
    torch wants besides. A convolution in front of one has no bias of its own, except the first. Every channel
    of an input
    keeps to a part of its range: so different that different classes win.
    """
    rng = np.random.default_rng(net.seed)
    normed = [before.name for before, node in zip(net.nodes, net.nodes[1:]) if node.type == "BatchNorm"]
    weights = {}
    for name, shape in net.shapes.items():
        own = {"bias": rng.choice((-1, 1), shape[-1]) * rng.uniform(0.1, 0.3, shape[-1])}
        if len(shape) == 1:
            own["kernel"] = rng.choice((-1, 1), shape, p=(0.2, 0.8)) * rng.uniform(0.5, 1.5, shape)
            own["mean"], own["variance"] = 0.3 * rng.standard_normal(shape), rng.uniform(0.5, 2, shape)
        else:
            own["kernel"] = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[:-1]))
            if name in normed[1:]:
                del own["bias"]
        weights[name] = {key: array.astype(np.float32) for key, array in own.items()}
    dark, bright = np.sort(rng.uniform(size=(2, SAMPLES, 1, 1, net.input_shape[-1])), axis=0)
    levels = rng.uniform(dark, bright, (SAMPLES, *net.input_shape))
    return weights, (net.low + levels * np.subtract(net.high, net.low)).astype(np.float32)


class MergeBatchNorm(SequentialMergeBatchNorm):
    """zennit's canonizer, without what it leaves behind: a batch normalisation that it calls the identity
    still divides
    by sqrt(1 + EPSILON), which makes every map behind it 5e-6 smaller."""

    def register(self, linears, batch_norm):
        super().register(linears, batch_norm)
        batch_norm.eps = 0.0

    def remove(self):
        super().remove()
        self.batch_norm.eps = EPSILON


class ChannelsLast(torch.nn.Flatten):
    """Flatten in the order of our maps, row, column, channel, so that the kernel behind it is ours as it is.
    """

    def forward(self, x):
        return super().forward(x.movedim(1, -1))


def torch_module(node, own):
    """The torch module of one node with its arrays, in float64."""
    options, tensors = node.options, {key: torch.from_numpy(array).double() for key, array in own.items()}
    if not own:
        return {"ReLU": torch.nn.ReLU, "LeakyReLU": lambda: torch.nn.LeakyReLU(options["slope"]),
                "MaxPool2D": lambda: torch.nn.MaxPool2d(options["pool_size"], options["strides"]),
                "AveragePool2D": lambda: torch.nn.AvgPool2d(options["pool_size"], options["strides"]),
                "GlobalAveragePool2D": lambda: torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1),
                                                                   torch.nn.Flatten()),
                "Flatten": ChannelsLast, "Add": lambda: Sum(dim=-1)}[node.type]()
    kernel, state = tensors["kernel"], {"bias": tensors["bias"]} if "bias" in own else {}
    if node.type == "Conv2D":
        *size, channels, filters = kernel.shape
        (rows, _), (columns, _) = options["padding"]
        module = torch.nn.Conv2d(channels, filters, size, options["strides"], (rows, columns),
                                 bias="bias" in own)
        state["weight"] = kernel.permute(3, 2, 0, 1)
    elif node.type == "Dense":
        module = torch.nn.Linear(*kernel.shape, bias="bias" in own)
        state["weight"] = kernel.T
    else:
        # torch has  weight·(x - mean) / sqrt(variance + ε) + bias;  in float64 that is kernel·x + bias to
        # 1e-16.
        mean, variance = tensors["mean"], tensors["variance"]
        module = torch.nn.BatchNorm2d(len(kernel), eps=EPSILON)
        state = {"weight": kernel * torch.sqrt(variance + EPSILON), "bias": tensors["bias"] + kernel * mean,
                 "running_mean": mean, "running_var": variance, "num_batches_tracked": torch.tensor(0)}
    module.double().load_state_dict(state)
    return module


class Graph(torch.nn.Module):
    """A network in torch. Its modules stand in the order they run in, by which zennit finds the first layer,
    and the
    layer in front of a batch normalisation."""

    def __init__(self, net, weights):
        super().__init__()
        self.steps = list(with_inputs(net))
        for node in net.nodes:
            self.add_module(node.name, torch_module(node, weights.get(node.name, {})))

    def forward(self, x):
        values = {"input": x}
        for node, inputs in self.steps:
            read = [values[name] for name in inputs]
            values[node.name] = getattr(self, node.name)(torch.stack(read, dim=-1) if node.type == "Add"
                                                         else read[0])
        return values[node.name]


def with_inputs(net):
    """(node, names of the nodes it reads) for every node."""
    before = "input"
    for node in net.nodes:
        yield node, node.inputs or (before,)
        before = node.name


def everywhere(rule, first=None):
    """A composite with one rule for all linear layers, and another for the first: sums and average pools by
    Norm and
    activations by Pass, as in zennit's own."""
    def make(net, **more):
        layer_map = composites.layer_map_base() + [(Linear, rule)]
        if first is None:
            return composites.LayerMapComposite(layer_map, **more)
        return composites.SpecialFirstLayerMapComposite(layer_map, [(Linear, first(*box(net)))], **more)
    return make


def named(name, **options):
    """One of zennit's own composites."""
    return lambda net, **more: composites.COMPOSITES[name](**options, **more)


def box(net):
    """The bounds of a network's inputs, to broadcast against NCHW."""
    return [torch.tensor(bound, dtype=torch.float64).reshape(1, -1, 1, 1) for bound in (net.low, net.high)]


# Explained from the logit. All stabilizers are zennit's default, 1e-6.
RELEVANCE = {
    "epsilon_1e-6": everywhere(rules.Epsilon(1e-6)),
    "epsilon_0.25": everywhere(rules.Epsilon(0.25)),
    "zplus": everywhere(rules.ZPlus()),
    "alpha2_beta1": everywhere(rules.AlphaBeta(2, 1)),
    "alpha1_beta0": everywhere(rules.AlphaBeta(1, 0)),
    "gamma_0.25": everywhere(rules.Gamma(0.25)),
    "wsquare": everywhere(rules.WSquare()),
    "flat": everywhere(rules.Flat()),
    "zbox": everywhere(rules.Epsilon(1e-6), first=rules.ZBox),
    **{name: named(name) for name in ("epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1",
                                      "epsilon_alpha2_beta1_flat")},
    "epsilon_gamma_box": lambda net, **more: composites.EpsilonGammaBox(*box(net), **more),
    "excitation_backprop": named("excitation_backprop"),
    # zennit's own keeps the positive part of the bias and goes through an activation's gradient. This one
    # does neither.
    "excitation_backprop_no_bias": named("excitation_backprop", zero_params="bias",
                                         layer_map=[(Activation, rules.Pass())]),
}
# Explained from 1 at the logit.
GRADIENTS = {"gradient": lambda net, **more: composites.LayerMapComposite([], **more),
             "guided_backprop": named("guided_backprop"), "deconvnet": named("deconvnet")}


def relevance(net, model, x, method, classes):
    """zennit's relevance of x [n, h, w, c] for one class of each sample."""
    composite = (RELEVANCE | GRADIENTS)[method](net, canonizers=[MergeBatchNorm()])
    chosen = torch.nn.functional.one_hot(torch.from_numpy(classes), model.logits.out_features).double()
    start = chosen if method in GRADIENTS else lambda logits: chosen * logits.detach()
    _, found = Gradient(model, composite)(torch.from_numpy(x).double().movedim(-1, 1), start)
    return found.movedim(1, -1).numpy().astype(np.float32)


def write_network(net, weights, path):
    """Write the network as a model file: JSON that describes it under `network`, arrays as NODE/kernel and
    NODE/bias.
    """
    arrays, nodes = {}, []
    for node, inputs in with_inputs(net):
        own = {key: array for key, array in weights.get(node.name, {}).items() if key in ("kernel", "bias")}
        arrays.update({f"{node.name}/{key}": array for key, array in own.items()})
        nodes.append({"name": node.name, "type": node.type, "inputs": inputs, "options": node.options or {},
                      "arrays": {key: array.shape for key, array in own.items()}})
    description = {"format": "audio-lrp-network", "version": 1, "input_shape": net.input_shape,
                   "nodes": nodes,
                   "class_names": None, "metadata": {}, "reference": 0}
    np.savez_compressed(path, network=np.array(json.dumps(description)), **arrays)


def make(name, out):
    """Compute and write the reference of one network."""
    net = NETS[name]
    weights, x = draw(net)
    write_network(net, weights, out / f"zennit_{name}_net.npz")
    model = Graph(net, weights).eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(x).double().movedim(-1, 1)).numpy()
    winner = logits.argmax(axis=1)
    stored = {"x": x, "low": np.array(net.low, float), "high": np.array(net.high, float),
              "logits": logits.astype(np.float32), "winner": winner}
    for method in RELEVANCE | GRADIENTS:
        for mode, classes in ("max", winner), ("index", np.full_like(winner, INDEX)):
            stored[f"{method}/{mode}"] = relevance(net, model, x, method, classes)
    versions = [f"{package} {importlib.metadata.version(package)}"
                for package in ("zennit", "torch", "numpy")]
    stored["versions"] = np.array(", ".join([*versions, f"Python {platform.python_version()}"]))
    np.savez_compressed(out / f"zennit_{name}.npz", **stored)


def main():
    parser = argparse.ArgumentParser(description="Store zennit's relevance as a reference for the tests.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"networks to make (all): {', '.join(NETS)}")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent,
                        help="where to write")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NETS)
    if unknown:
        parser.error(f"unknown network: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    for name in arguments.names or NETS:
        make(name, arguments.out)


if __name__ == "__main__":
    main()
