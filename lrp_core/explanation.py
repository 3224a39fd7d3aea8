"""What `explain` returns."""
import dataclasses
import json
import operator
import os
import typing

import numpy as np

from .files import replacing
from .layers import Layer, Sigmoid
from .ledger import Ledger


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Asked:
    """What an explanation that kept its layers was asked, so that its passes can be run again (`Microscope`).

    network: the Network. x: the samples [n, *input_shape], float32. method: its Composite, or a gradient.
    start: the node where relevance begins. stop: the node where it stays, or None. keep: {node name: mask
    over its channels}.
    """
    network: typing.Any
    x: np.ndarray
    method: typing.Any
    start: str
    stop: str | None
    keep: dict


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The relevance of an input for a network's score, with the ledger of where it went.

    relevance: like x (or the output of the node it was stopped at), in the dtype that was asked for; positive
        where x speaks for the target, negative where it speaks against.
    logits: the scores, [classes] or [n, classes], float32; for an output of several axes, in its shape.
    target: the class number that was explained, an int or [n]; for an output of several axes, the number of
        the score in scan order; -3 for the sum of all scores.
    class_names: the network's, or None.
    layers: None, or the relevance at every node's output by name ("input" is `relevance`).
    ledger: see `Ledger`.
    activation: what makes probabilities of the scores, a Softmax or a Sigmoid layer (`Network.activation`).
    asked: None, or with `layers` what was asked (`Asked`); it is neither saved nor compared.

    For a single sample every array lacks the batch axis; `e[i]` is the explanation of one sample of a batch.
    """
    relevance: np.ndarray
    logits: np.ndarray
    target: int | np.ndarray
    class_names: tuple | None
    layers: dict | None
    ledger: Ledger
    activation: Layer
    asked: Asked | None = dataclasses.field(default=None, compare=False, repr=False)

    @classmethod
    def join(cls, chunks, request):
        """The answer to a request from the (logits, targets, relevance by node, ledger) of consecutive
        chunks.
        """
        logits, targets, relevance, ledgers = zip(*chunks)
        at = {name: np.concatenate([r[name] for r in relevance]) for name in relevance[0]}
        ledger = Ledger(ledgers[0].pages, np.concatenate([one.numbers for one in ledgers], axis=-1),
                        np.concatenate([one.start for one in ledgers]),
                        np.concatenate([one.arrived for one in ledgers]))
        return cls.answer(request, np.concatenate(logits), np.concatenate(targets), at, ledger)

    @classmethod
    def answer(cls, request, logits, targets, relevance, ledger):
        """What a caller gets: relevance is {node name: [n, *its shape]}; a single sample loses its batch
        axis.
        """
        network = request.network
        logits = logits.astype(np.float32).reshape(-1, *network.output_shape)
        asked = Asked(network, request.x, request.method, request.begin, request.stop, request.keep)
        whole = cls(relevance[request.end], logits, targets, network.class_names,
                    relevance if request.layers else None, ledger, network.activation,
                    asked if request.layers else None)
        return whole[0] if request.single else whole

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to `path` (.npz), whole or not at all; `np.load(path)` reads it.

        Entries: relevance, logits, probabilities, target, class_names (empty for none), ledger (JSON, as
        `Ledger.to_dict` has it), and layers/NAME for the relevance at each node where it was kept.
        """
        layers = {f"layers/{name}": r for name, r in (self.layers or {}).items()}
        with replacing(path) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, relevance=self.relevance, logits=self.logits,
                                probabilities=self.probabilities,
                                target=self.target, class_names=np.array(self.class_names or (), str),
                                ledger=np.array(json.dumps(self.ledger.to_dict())), **layers)

    @property
    def probabilities(self) -> np.ndarray:
        """What the network's own last layer makes of the logits, in their shape (softmax where it has none).

        After a softmax they sum to 1; after a sigmoid each class has its own, and several may be above one
        half.
        """
        return self.activation.forward(self.logits)

    @property
    def independent(self) -> bool:
        """Does each class have a probability of its own, as after a sigmoid, so that several may hold at
        once?
        """
        return isinstance(self.activation, Sigmoid)

    def __getitem__(self, index: int) -> "Explanation":
        """The explanation of one sample of a batch."""
        if np.ndim(self.target) == 0:
            raise TypeError("this explains a single sample; only the explanation of a batch can be indexed")
        index = operator.index(index)
        layers = None if self.layers is None else {name: r[index] for name, r in self.layers.items()}
        asked = self.asked and dataclasses.replace(self.asked, x=self.asked.x[index][None])
        return Explanation(self.relevance[index], self.logits[index], int(np.asarray(self.target)[index]),
                           self.class_names, layers, self.ledger.sample(index), self.activation, asked)
