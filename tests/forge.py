"""Model files taken apart and put together with something wrong: for the tests of hostile files and the
fuzzer.
"""
import io
import json
import zipfile

import numpy as np

import lrp_core
from lrp_core import layers as L


def small_network(**facts):
    """The usual layers of a small picture network."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)
    nodes = [("conv", L.Conv2D(draw(3, 2, 3, 4), draw(4), strides=(1, 2), padding="same")),
             ("relu", L.ReLU()),
             ("max", L.MaxPool2D((3, 2), (2, 1), "same")), ("average", L.AveragePool2D(2, 1)),
             ("drop", L.Dropout(0.25)),
             ("conv2", L.Conv2D(draw(1, 1, 4, 5))), ("global", L.GlobalAveragePool2D()),
             ("flat", L.Flatten()),
             ("dense", L.Dense(draw(5, 3), draw(3))), ("softmax", L.Softmax())]
    return lrp_core.Network(nodes, (8, 9, 3), **facts)


def npy(array):
    """An array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


class Forge:
    """A model file taken apart, to be put together with something wrong."""

    def __init__(self, path, network=None):
        (network or small_network()).save(path)
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self.entries = {name: archive.read(name) for name in archive.namelist()}
        with np.load(path) as arrays:
            self.description = json.loads(str(arrays["network"]))

    npy = staticmethod(npy)

    def write(self, method=zipfile.ZIP_DEFLATED):
        """Put the file together."""
        self.entries.setdefault("network.npy", self.npy(np.array(json.dumps(self.description))))
        with zipfile.ZipFile(self.path, "w", method) as archive:
            for name, data in self.entries.items():
                archive.writestr(zipfile.ZipInfo(name), data, method)  # without the time of day

    def load(self, method=zipfile.ZIP_DEFLATED):
        """Put the file together and read it."""
        self.write(method)
        return lrp_core.load(self.path)

    def node(self, name):
        """The description of a node, to be changed."""
        self.entries.pop("network.npy", None)
        return next(node for node in self.description["nodes"] if node["name"] == name)


def header_of(shape, dtype="<f4", fortran=False):
    """A .npy header that promises an array, and no data after it."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": fortran, "shape": shape})
    return buffer.getvalue()
