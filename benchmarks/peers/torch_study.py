"""What the torch peers are given, as a torch module: the study's network, or one that people use."""
import copy
import types

import protocol
import torch
from architectures import ARCHITECTURES, folded


def read(path):
    """What `benchmarks.study.write` or `export_network.py` wrote: x, the model, and how x becomes its images.
    """
    if path.endswith(".pt"):
        stored = torch.load(path)
        model = folded(ARCHITECTURES[stored["name"]]().eval())
        model.load_state_dict(stored["state"])
        return types.SimpleNamespace(x=stored["x"].numpy(), model=model, channels_last=False)
    study = protocol.read_study(path)
    return types.SimpleNamespace(x=study.x, model=sequence(study.layers), channels_last=True)


def pool(layer):
    """A max-pool. torch pads both sides alike; one row more after, as TensorFlow has it, is its `ceil_mode`.
    """
    before, after = zip(*layer.pads)
    return torch.nn.MaxPool2d(layer.size, layer.strides, before, ceil_mode=before != after)


def weighted(layer, shape):
    """A layer with weights. torch wants them channels first; `shape` [h, w, c] is that of the map a Dense
    reads, or None.
    """
    kernel = torch.from_numpy(layer.kernel)
    if layer.type == "Conv2D":
        module, weight = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3],
                                         kernel.shape[:2]), kernel.permute(3, 2, 0, 1)
    else:
        if shape:
            kernel = kernel.reshape(*shape, -1).permute(2, 0, 1, 3).reshape(kernel.shape)
        module, weight = torch.nn.Linear(*kernel.shape), kernel.T
    module.load_state_dict({"weight": weight, "bias": torch.from_numpy(layer.bias)})
    return module


def sequence(layers):
    """The study's network in torch, float32."""
    modules, shape = [], None
    for layer in layers:
        if layer.type == "MaxPool2D":
            modules.append(pool(layer))
        elif layer.type == "Flatten":
            modules.append(torch.nn.Flatten())
            shape = layer.shape
        else:
            modules.append(weighted(layer, shape))
            shape = None
        if getattr(layer, "relu", False):
            modules.append(torch.nn.ReLU())
    return torch.nn.Sequential(*modules).eval()


def swapped(model, kind, other):
    """A copy of a model in which `other()` stands for every module of a kind."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, kind):
                setattr(parent, name, other())
    return model


def winner(scores):
    """Each sample's largest score and zeros, where the explanation begins."""
    return scores * torch.nn.functional.one_hot(scores.argmax(1), scores.shape[1])


class TorchTool:
    """A tool of torch's. A subclass says how it explains: explainer(model, method) -> a function of images.

    One copy of the model for each method and precision, with the method's hooks registered once and for all.
    """

    def __init__(self, study):
        self.model, self.channels_last, self.explainers = study.model, study.channels_last, {}

    def explainer(self, model, method):
        raise NotImplementedError

    def prepare(self, method, x):
        images = torch.from_numpy(x)
        if (method, x.dtype) not in self.explainers:
            model = copy.deepcopy(self.model).to(images.dtype)
            self.explainers[method, x.dtype] = self.explainer(model, method)
        explain = self.explainers[method, x.dtype]
        if self.channels_last:
            images = images.movedim(-1, 1).contiguous()
        return lambda: explain(images)

    def to_numpy(self, relevance):
        relevance = relevance.detach()
        return (relevance.movedim(1, -1) if self.channels_last else relevance).numpy()
