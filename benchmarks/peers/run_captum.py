"""Captum on torch: its one method here is epsilon, LRP with its own default rules; it has no α2β1."""
import time

BEGUN = time.perf_counter()
import protocol  # noqa: E402
import torch  # noqa: E402
import torch_study  # noqa: E402
from architectures import Add, Swap  # noqa: E402
from captum.attr import LRP  # noqa: E402
from captum.attr._utils.custom_modules import Addition_Module  # noqa: E402
from captum.attr._utils.lrp_rules import EpsilonRule  # noqa: E402

IMPORTED = time.perf_counter()
STABILIZER = 1e-7  # of our epsilon
# Modules that Captum has no default rule for, where its rule for max-pools gives relevance to what is moved.
MOVES = (torch.nn.Flatten, torch.nn.ZeroPad2d, torch.nn.AdaptiveMaxPool2d, Swap)


class Tool(torch_study.TorchTool):
    """Captum's LRP."""

    def explainer(self, model, method):
        if method != "epsilon":
            raise ValueError(f"only epsilon is compared, not {method}")
        model = torch_study.swapped(model, Add, Addition_Module)
        linear = [module for module in model.modules()
                  if hasattr(module, "weight") or isinstance(module, MOVES)]

        def explain(images):
            for module in linear:
                module.rule = EpsilonRule(STABILIZER)  # Captum takes the rules off after each call
            return LRP(model).attribute(images.clone().requires_grad_(), target=model(images).argmax(1))
        return explain


if __name__ == "__main__":
    protocol.serve(Tool, ("captum", "torch", "numpy"), IMPORTED - BEGUN, torch_study.read)
