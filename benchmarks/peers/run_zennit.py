"""zennit on torch: methods are epsilon, epsilon_plus_flat and epsilon_alpha2_beta1."""
import time

BEGUN = time.perf_counter()
import copy  # noqa: E402
import sys  # noqa: E402
import types  # noqa: E402

import protocol  # noqa: E402
import torch  # noqa: E402

# zennit imports torchvision to know two classes of it, which this network does not have: a stand-in spares
# installing it.
for module in ("torchvision", "torchvision.models", "torchvision.models.resnet"):
    sys.modules[module] = types.ModuleType(module)
vars(sys.modules["torchvision.models.resnet"]).update(Bottleneck=torch.nn.Module, BasicBlock=torch.nn.Module)

from zennit import composites, rules  # noqa: E402
from zennit.attribution import Gradient  # noqa: E402
from zennit.types import Activation, Convolution, Linear  # noqa: E402

IMPORTED = time.perf_counter()
STABILIZER = 1e-7  # of our epsilon, and of iNNvestigate's

COMPOSITES = {
    "epsilon": lambda: composites.LayerMapComposite([(Activation, rules.Pass()),
                                                     (Convolution, rules.Epsilon(STABILIZER)),
                                                     (Linear, rules.Epsilon(STABILIZER))]),
    "epsilon_plus_flat": composites.EpsilonPlusFlat,
    "epsilon_alpha2_beta1": composites.EpsilonAlpha2Beta1,
}


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


def network(layers):
    """The network in torch, float32."""
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


def winner(logits):
    """Each sample's largest logit, where the explanation begins."""
    return logits * torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1])


class Tool:
    """A copy of the network for each method, with the method's hooks registered once and for all."""

    def __init__(self, study):
        self.model = network(study.layers)
        self.attributors = {}

    def prepare(self, method, x):
        if method not in self.attributors:
            attributor = Gradient(model=copy.deepcopy(self.model), composite=COMPOSITES[method]())
            self.attributors[method] = attributor.__enter__()
        images = torch.from_numpy(x).movedim(-1, 1).contiguous()
        return lambda: self.attributors[method](images.clone().requires_grad_(), winner)[1]

    def to_numpy(self, relevance):
        return relevance.detach().movedim(1, -1).numpy()


if __name__ == "__main__":
    protocol.serve(Tool, ("zennit", "torch", "numpy"), IMPORTED - BEGUN)
