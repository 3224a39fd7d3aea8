"""ResNet-18 and VGG-16 from torch through ONNX: scores beside onnxruntime's, relevance beside zennit's, and
the ledger.

Runs where torch, torchvision, onnx, onnxruntime and zennit are installed beside this project:

    pip install -e ".[bench]"
    python benchmarks/large_networks.py resnet18 vgg16

Weights are random: nothing is downloaded. Exits with 1 where a bound is missed.
"""
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import torch
import torchvision
import zennit.torchvision
from zennit.attribution import Gradient
from zennit.composites import EpsilonPlus

import lrp_core

SIZE = 224
LOGITS, RELEVANCE, RESIDUAL = 1e-4, 1e-3, 1e-12
CANONIZERS = {"resnet18": zennit.torchvision.ResNetCanonizer, "vgg16": zennit.torchvision.VGGCanonizer}


def random_model(name):
    """The network with He weights, small biases and batch statistics that do something."""
    model, generator = getattr(torchvision.models, name)(weights=None), torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0, 0.05, generator=generator)
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return model.eval()


def of_zennit(name, model, x):
    """zennit's EpsilonPlus relevance of the winning class, in double precision: [1, c, h, w]."""
    def winner(out):
        return out * torch.nn.functional.one_hot(out.argmax(1), out.shape[1])
    with Gradient(model=model.double(), composite=EpsilonPlus(canonizers=[CANONIZERS[name]()])) as attribute:
        _, relevance = attribute(x.double().requires_grad_(), winner)
    return relevance.detach().numpy()


def compare(name):
    """Print the figures of one network; True where all bounds hold."""
    model, x = random_model(name), torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/{name}.onnx"
        torch.onnx.export(model, x, path, input_names=["input"], dynamo=False)
        network = lrp_core.from_onnx(path)
        theirs = onnxruntime.InferenceSession(path).run(None, {"input": x.numpy()})[0]
    image = x.numpy()
    network.scoring  # noqa: B018  (the weights are converted once, not in the time of an explanation)
    start = time.perf_counter()
    e = lrp_core.explain(network, image, "epsilon_plus")
    seconds = time.perf_counter() - start
    expected = of_zennit(name, model, x)
    logits = np.abs(e.logits - theirs).max() / np.abs(theirs).max()
    relevance = np.linalg.norm(e.relevance - expected) / np.linalg.norm(expected)
    residual = max(float(np.abs(entry.residual).max() / entry.turnover.max()) for entry in e.ledger)
    print(f"{name}: {network.parameters:,} parameters, logits {logits:.1e} (at most {LOGITS:g}), "
          f"relevance {relevance:.1e} (at most {RELEVANCE:g}), largest residual of {len(e.ledger.entries)} "
          "nodes "
          f"{residual:.1e} of the turnover (at most {RESIDUAL:g}); explained in {seconds:.1f} s")
    return logits <= LOGITS and relevance <= RELEVANCE and residual <= RESIDUAL


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in CANONIZERS]
    if unknown or not sys.argv[1:]:
        sys.exit(f"usage: python benchmarks/large_networks.py [{'] ['.join(CANONIZERS)}]")
    sys.exit(not all(list(map(compare, sys.argv[1:]))))
