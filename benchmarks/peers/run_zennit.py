"""zennit on torch: methods are epsilon, epsilon_plus_flat and epsilon_alpha2_beta1."""
import time

BEGUN = time.perf_counter()
import sys  # noqa: E402
import types  # noqa: E402

import protocol  # noqa: E402
import torch  # noqa: E402
import torch_study  # noqa: E402
from architectures import Add  # noqa: E402

# zennit imports torchvision to know two classes of it, which no network here has: a stand-in spares it.
for module in ("torchvision", "torchvision.models", "torchvision.models.resnet"):
    sys.modules[module] = types.ModuleType(module)
vars(sys.modules["torchvision.models.resnet"]).update(Bottleneck=torch.nn.Module, BasicBlock=torch.nn.Module)

from zennit import composites, rules  # noqa: E402
from zennit.attribution import Gradient  # noqa: E402
from zennit.layer import Sum  # noqa: E402
from zennit.types import Activation, AvgPool, BatchNorm, Convolution, Linear  # noqa: E402

IMPORTED = time.perf_counter()
STABILIZER = 1e-7  # of our epsilon, and of iNNvestigate's


class SumOfStack(torch.nn.Module):
    """A sum as zennit sees it: over the last axis of what is stacked."""

    def __init__(self):
        super().__init__()
        self.sum = Sum()

    def forward(self, a, b):
        return self.sum(torch.stack([a, b], -1))


# Our batch norms, pools and sums take LRP-0: the least stabilizer that single precision holds.
NOTHING = 1e-30
# A batch norm that follows no convolution is a linear layer, as ours is; zennit's composites let it pass.
LINEAR_NORM = [(BatchNorm, rules.Epsilon(NOTHING))]
COMPOSITES = {
    "epsilon": lambda: composites.LayerMapComposite(
        [*LINEAR_NORM, (Activation, rules.Pass()), ((Sum, AvgPool), rules.Norm(NOTHING)),
         ((Convolution, Linear), rules.Epsilon(STABILIZER))]),
    "epsilon_plus_flat": lambda: composites.EpsilonPlusFlat(layer_map=LINEAR_NORM),
    # Its 1e-6 in the denominators of αβ grows to percents over the twelve convolutions of CNN14.
    "epsilon_alpha2_beta1": lambda: composites.EpsilonAlpha2Beta1(layer_map=[
        *LINEAR_NORM, (Convolution, rules.AlphaBeta(alpha=2, beta=1, stabilizer=NOTHING))]),
}


class Tool(torch_study.TorchTool):
    """zennit's attributors."""

    def explainer(self, model, method):
        model = torch_study.swapped(model, Add, SumOfStack)
        attributor = Gradient(model=model, composite=COMPOSITES[method]())
        attributor.__enter__()
        return lambda images: attributor(images.clone().requires_grad_(), torch_study.winner)[1]


if __name__ == "__main__":
    protocol.serve(Tool, ("zennit", "torch", "numpy"), IMPORTED - BEGUN, torch_study.read)
