"""A network: an immutable graph of named layers in topological order; `forward` leaves everything in a Trace.
"""
import copy
import dataclasses
import functools
import math
import types
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from . import layers as L
from . import memory
from .canonize import scores_to_probabilities, scoring
from .chunks import CHUNK, check_threads, for_chunks
from .show import block, html_table, line
from .text import listing, quote, table

INPUT = "input"


@dataclasses.dataclass(frozen=True)
class Node:
    """One named layer and the names of the nodes it reads ("input" is the network's own input)."""
    name: str
    layer: L.Layer
    inputs: tuple

    def __repr__(self):
        return line("Node", f"{self.name}, {self.layer.type}, reads {', '.join(self.inputs)}")


def run(node: Node, xs: list[np.ndarray], shape: tuple) -> tuple:
    """(output, what it keeps) of a node for its inputs [n, ...]; `shape`: of the output, without n.

    A layer from outside this package gets inputs that it cannot write to, and its errors name the node.
    """
    layer = node.layer
    if L.is_known(layer):
        return layer.forward_keeping(*xs)
    try:
        y, kept = layer.forward_keeping(*map(L.read_only, xs))
    except L.MISTAKES as error:
        raise ValueError(f"node {quote(node.name)} ({layer.type}): forward: {error!r}") from error
    if np.shape(y)[1:] != shape:
        raise ValueError(f"node {quote(node.name)} ({layer.type}): output_shape promises {shape}, forward "
                         f"returned {np.shape(y)[1:]} for each sample")
    return y, kept


@dataclasses.dataclass(frozen=True)
class Trace:
    """What a forward pass computed: each node's output by name, and what layers kept for the way back
    (winners, say).
    """
    outputs: dict
    kept: dict

    def __repr__(self):
        samples = len(next(iter(self.outputs.values()), ()))
        return line("Trace", f"the outputs of {len(self.outputs):,} nodes for {samples:,} samples")

    def astype(self, dtype):
        """The same trace with outputs in another floating type; what was kept stays as it is."""
        return Trace({name: y.astype(dtype, copy=False) for name, y in self.outputs.items()}, self.kept)


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """Named layers in topological order with the facts that travel with them.

    nodes: Node objects, or (name, layer) / (name, layer, inputs) tuples; without `inputs` a node reads the
        one before it. The last node is the network's output.
    input_shape: of one sample, without the batch axis.
    class_names: names of the outputs, or None.
    metadata: front end, training facts, licence and credit, as plain JSON values.
    reference: None, or (x [k, *input_shape], logits [k, classes]) to check a file against.
    shapes: (made here) the output shape of every node by name.

    Raises ValueError that names the node where names, order or shapes do not fit.
    """
    nodes: tuple
    input_shape: tuple
    class_names: tuple | None = dataclasses.field(default=None, kw_only=True)
    metadata: Mapping | None = dataclasses.field(default=None, kw_only=True)
    reference: tuple | None = dataclasses.field(default=None, kw_only=True)
    shapes: types.MappingProxyType = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        def put(name, value):
            object.__setattr__(self, name, value)
        put("input_shape", L.check_shape(tuple(int(n) for n in self.input_shape)))
        put("nodes", tuple(self._chain(self.nodes)))
        if not self.nodes:
            raise ValueError("a network needs at least one layer")
        put("shapes", types.MappingProxyType(self._infer_shapes()))
        if self.reference is not None:
            put("reference", tuple(L.frozen(np.array(array, np.float32), "the reference")
                                   for array in self.reference))
        put("metadata", types.MappingProxyType(copy.deepcopy(dict(self.metadata or {}))))
        if isinstance(self.class_names, str):
            raise ValueError(f"class_names must be a list of names, got the text {quote(self.class_names)}")
        if self.class_names is not None:
            names = tuple(str(name) for name in self.class_names)
            if len(self.output_shape) != 1:
                raise ValueError(f"class_names name the scores of one row, the output has the shape "
                                 f"{self.output_shape}")
            if len(names) != self.scores or len(set(names)) != len(names):
                raise ValueError(f"class_names must be {self.scores} different names, got {len(names)}: "
                                 f"{listing(names)}")
            put("class_names", names)

    @staticmethod
    def _chain(nodes):
        before = INPUT
        for node in nodes:
            if not isinstance(node, Node):
                name, layer, inputs = node if len(node) == 3 else (*node, (before,))
                node = Node(name, layer, tuple(inputs))
            yield node
            before = node.name

    def _infer_shapes(self):
        shapes = {INPUT: self.input_shape}
        for node in self.nodes:
            if not isinstance(node.name, str) or not node.name:
                raise ValueError(f"a node's name must be a text that is not empty, got {quote(node.name)}")
            if node.name in shapes:
                raise ValueError(f"two nodes are named {quote(node.name)}")
            unknown = [name for name in node.inputs if name not in shapes]
            if unknown:
                raise ValueError(f"node {quote(node.name)} reads {listing(map(quote, unknown), 5)}, which "
                                 "does not stand before it")
            if len(node.inputs) != node.layer.inputs and (node.layer.inputs or len(node.inputs) < 2):
                raise ValueError(f"node {quote(node.name)} ({node.layer.type}) takes "
                                 f"{node.layer.inputs or 'two or more'} "
                                 f"input{'s' * (node.layer.inputs != 1)}, got {len(node.inputs)}")
            try:
                shapes[node.name] = L.check_shape(node.layer.output_shape(*(shapes[name]
                                                                            for name in node.inputs)))
            except ValueError as error:
                raise ValueError(f"node {quote(node.name)}: {error}") from None
        return shapes

    def __getitem__(self, name: str) -> Node:
        """The node of that name."""
        try:
            return self.nodes[self.positions[name]]
        except KeyError:
            raise KeyError(f"no node is named {quote(name)}; there are {listing(self.positions)}") from None

    def __reduce__(self):
        # Views of dictionaries cannot be pickled; what they were made from can, and is checked again.
        facts = {"class_names": self.class_names, "metadata": dict(self.metadata),
                 "reference": self.reference}
        return functools.partial(Network, **facts), (self.nodes, self.input_shape)

    def replace(self, **changes) -> "Network":
        """A copy with other nodes, class_names, metadata or reference."""
        return dataclasses.replace(self, **changes)

    def astype(self, dtype):
        """The same network with its parameters in another floating type."""
        return self.replace(nodes=[dataclasses.replace(node, layer=node.layer.astype(dtype))
                                   for node in self.nodes])

    @property
    def output_shape(self):
        """The shape of what the network says of a sample: (classes,), or that of a map."""
        return self.shapes[self.nodes[-1].name]

    @property
    def scores(self):
        """How many numbers the output has."""
        return math.prod(self.output_shape)

    @functools.cached_property
    def positions(self):
        """The number of each node in topological order, by name."""
        return {node.name: number for number, node in enumerate(self.nodes)}

    @functools.cached_property
    def need(self):
        """How many numbers a sample takes (see `memory.Need`)."""
        return memory.need(self)

    @functools.cached_property
    def scoring(self):
        """The network up to its scores, without a softmax or sigmoid at its end, in one row and in double
        precision. Made once.
        """
        memory.check(8 * self.parameters, "the network's weights in double precision",
                     "use a smaller network")
        return scoring(self).astype(np.float64)

    @functools.cached_property
    def activation(self):
        """The layer that makes probabilities of the scores (see `canonize.scores_to_probabilities`)."""
        return scores_to_probabilities(self)

    def forward(self, x: np.ndarray) -> Trace:
        """Run a batch x [n, *input_shape]; returns the Trace of every node's output.

        Raises ValueError where that would take more memory than the machine has free.
        """
        memory.check_forward(self, x)
        return self.trace(x)

    def trace(self, x):
        """What `forward` returns; for callers that have seen to the memory."""
        outputs, kept = {INPUT: x}, {}
        for node in self.nodes:
            outputs[node.name], found = run(node, [outputs[name] for name in node.inputs],
                                            self.shapes[node.name])
            if found is not None:
                kept[node.name] = found
        return Trace(outputs, kept)

    def check_input(self, x):
        """(x as float32 [n, *input_shape], whether it was a single sample); refuses wrong shapes, NaN and
        infinity.
        """
        x = np.asarray(x)
        if x.dtype.kind not in "fiu":
            raise TypeError(f"the input must be numbers, found {x.dtype}")
        single = x.shape == self.input_shape
        if not single and x.shape[1:] != self.input_shape:
            raise ValueError(f"the input must have shape {self.input_shape}, or (n, "
                             f"{', '.join(map(str, self.input_shape))}) "
                             f"for a batch; found {x.shape}")
        # what does not fit into float32 becomes infinite, and is refused below
        with np.errstate(over="ignore"):
            batch = np.ascontiguousarray(x[None] if single else x, np.float32)
        if not len(batch):
            raise ValueError("the input is an empty batch")
        bad = ~np.isfinite(batch.reshape(len(batch), -1)).all(axis=1)
        if bad.any():
            raise ValueError(f"the input holds NaN, infinity or numbers beyond float32 (sample "
                             f"{int(bad.argmax())})")
        return batch, single

    def logits(self, x: npt.ArrayLike) -> np.ndarray:
        """The scores before a final softmax or sigmoid: x [*input_shape] -> [classes], or the output's shape;
        a batch -> [n, classes]; float32.
        """
        batch, single = self.check_input(x)
        scoring, threads = self.scoring, check_threads(None)

        def work(part):
            outputs = scoring.trace(batch[part].astype(np.float64)).outputs
            return outputs[scoring.nodes[-1].name].astype(np.float32).reshape(-1, *self.output_shape)

        sample = 8 * scoring.need.forward
        bound = memory.bound(scoring, sample, min(len(batch), threads * CHUNK), more="")
        logits = np.concatenate(for_chunks(work, len(batch), threads=threads, memory=bound,
                                           sample_bytes=sample))
        return logits[0] if single else logits

    def probabilities(self, x: npt.ArrayLike) -> np.ndarray:
        """What `activation` makes of logits(x), in the same shape: they sum to 1 after a softmax, not after a
        sigmoid.
        """
        return self.activation.forward(self.logits(x))

    @property
    def parameters(self):
        """How many numbers the network learned."""
        return sum(node.layer.parameters for node in self.nodes)

    @functools.cached_property
    def multiply_adds(self):
        """About how many multiplications and additions a forward pass takes: those of the layers with
        weights.
        """
        return sum(node.layer.kernel.size // self.shapes[node.name][-1] * math.prod(self.shapes[node.name])
                   for node in self.nodes if isinstance(node.layer, L.Weighted))

    def summary(self) -> str:
        """The table of layers with output shapes and parameter counts, as text."""
        return table(self._rows(), "<<<>", footer=True)

    def _rows(self):
        rows = [("layer", "type", "output", "parameters"), (INPUT, "", str(self.input_shape), "")]
        rows += [(node.name, node.layer.type, str(self.shapes[node.name]), f"{node.layer.parameters:,}")
                 for node in self.nodes]
        rows.append(("total", "", "", f"{self.parameters:,}"))
        return rows

    def __repr__(self):
        return line("Network", self._facts)

    @property
    def _facts(self):
        classes = (f"{self.scores:,} classes" if self.class_names is not None
                   else f"output {self.output_shape}")
        return (f"{len(self.nodes):,} layers, {self.parameters:,} parameters, input {self.input_shape}, "
                f"{classes}")

    def _repr_html_(self):
        """For notebooks: the table of layers."""
        return block(f"Network: {self._facts}", html_table(self._rows(), "<<<>", footer=True))
