"""OpenVINO, the fastest forward pass at hand: its one method is forward. It explains nothing: it is the mark
to beat.
"""
import time

BEGUN = time.perf_counter()
import numpy as np  # noqa: E402
import openvino  # noqa: E402
import protocol  # noqa: E402
from openvino import opset8  # noqa: E402

IMPORTED = time.perf_counter()
# Single precision all through, as all others compute; otherwise OpenVINO may choose bfloat16. One stream over
# all cores.
CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def step(node, layer):
    """The graph after one layer, in NCHW except after the flatten, where the order is ours again."""
    if layer.type == "Conv2D":
        kernel = np.ascontiguousarray(layer.kernel.transpose(3, 2, 0, 1))
        node = opset8.convolution(node, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
        node = opset8.add(node, layer.bias.reshape(1, -1, 1, 1))
    elif layer.type == "Dense":
        node = opset8.add(opset8.matmul(node, layer.kernel, False, False), layer.bias[None])
    elif layer.type == "MaxPool2D":
        begin, end = zip(*layer.pads)
        node = opset8.max_pool(node, layer.strides, [1, 1], begin, end, layer.size).output(0)
    else:
        node = opset8.reshape(opset8.transpose(node, [0, 2, 3, 1]), [0, -1], True)
    return opset8.relu(node) if getattr(layer, "relu", False) else node


class Tool:
    """The network compiled for each batch size that was asked for."""

    def __init__(self, study):
        self.layers, self.core, self.requests = study.layers, openvino.Core(), {}

    def prepare(self, method, x):
        if method != "forward":
            raise ValueError(f"OpenVINO runs forward only, not {method}")
        images = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        if len(x) not in self.requests:
            source = node = opset8.parameter(images.shape, np.float32)
            for layer in self.layers:
                node = step(node, layer)
            model = openvino.Model([node], [source], "study")
            self.requests[len(x)] = self.core.compile_model(model, "CPU", CONFIG).create_infer_request()
        return lambda: self.requests[len(x)].infer({0: images}, share_inputs=True, share_outputs=True)[0]

    def to_numpy(self, logits):
        return np.array(logits)


if __name__ == "__main__":
    protocol.serve(Tool, ("openvino", "numpy"), IMPORTED - BEGUN)
