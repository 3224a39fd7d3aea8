"""NAME FOLDER: write a network that people use, with random weights, as network.onnx, network.pt (its state
for the peers) and x.npy.
"""
import pathlib
import sys
import warnings

import numpy as np
import torch
from architectures import random_model


def main(name, folder):
    model, x = random_model(name)
    torch.save({"name": name, "state": model.state_dict(), "x": x}, folder / "network.pt")
    np.save(folder / "x.npy", x.numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x[:1],), str(folder / "network.onnx"), input_names=["x"],
                          output_names=["y"], dynamo=False)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
