"""torch alone: its one method is gradient, a forward pass and the gradient of each winning score. It explains
nothing: it is the least that any tool on torch must take.
"""
import time

BEGUN = time.perf_counter()
import protocol  # noqa: E402
import torch  # noqa: E402
import torch_study  # noqa: E402

IMPORTED = time.perf_counter()


class Tool(torch_study.TorchTool):
    """Forward and back."""

    def explainer(self, model, method):
        if method != "gradient":
            raise ValueError(f"torch runs gradient only, not {method}")

        def forward_and_back(images):
            images = images.clone().requires_grad_()
            return torch.autograd.grad(model(images).max(1).values.sum(), images)[0]
        model.requires_grad_(False)  # of the input alone
        return forward_and_back


if __name__ == "__main__":
    protocol.serve(Tool, ("torch", "numpy"), IMPORTED - BEGUN, torch_study.read)
