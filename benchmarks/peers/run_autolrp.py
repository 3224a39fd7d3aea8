"""autoLRP on torch: its one method here is epsilon; its composites are none of our presets."""
import time

BEGUN = time.perf_counter()
import autolrp  # noqa: E402
import protocol  # noqa: E402
import torch_study  # noqa: E402

IMPORTED = time.perf_counter()
CONFIG = autolrp.LRPConfig(eps=1e-7)  # of our epsilon


class Tool(torch_study.TorchTool):
    """autoLRP's walk over the graph of the forward pass."""

    def explainer(self, model, method):
        if method != "epsilon":
            raise ValueError(f"only epsilon is compared, not {method}")

        def explain(images):
            x = autolrp.tensor(images.clone())
            score = model(x).max(1).values.sum()
            score.lrp(config=CONFIG)
            return x.relevance * score.detach()  # it starts from 1, whatever the score is
        model.requires_grad_(False)  # of the input alone
        return explain


if __name__ == "__main__":
    protocol.serve(Tool, ("autoLRP", "torch", "numpy"), IMPORTED - BEGUN, torch_study.read)
