"""What `explain` returns."""
import dataclasses
import json
import operator
import os
from typing import Any

import numpy as np

from .files import replacing
from .layers import Layer, Sigmoid
from .ledger import Ledger
from .ledger_views import html_of, html_rows, html_summary
from .pictures import PANELS, finished, html_map, map_figure
from .show import amount, block, details, html_table, line, some
from .target import NO_CLASS, told
from .text import quote

LISTED = 20  # samples of a batch that a notebook lists
NAMED = 3    # and that its line names


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Asked:
    """What an explanation that kept its layers was asked, so that its passes can be run again (`Microscope`).

    network: the Network. x: the samples [n, *input_shape], float32. method: its Composite, or a gradient.
    start: the node where relevance begins. stop: the node where it stays, or None. keep: {node name: mask
    over its channels}.
    """
    network: Any
    x: np.ndarray
    method: Any
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
    other: the class number that the target was contrasted with, an int or [n] with -2 where there is none;
        None without a Contrast.
    start: the inner node and place where relevance began, as `explain` was asked; None for the scores.
    asked: None, or with `layers` what was asked (`Asked`); it is neither saved nor compared.

    For a single sample every array lacks the batch axis; `e[i]` is the explanation of one sample of a batch.
    In a notebook it shows itself; `plot` draws it.
    """
    relevance: np.ndarray
    logits: np.ndarray
    target: int | np.ndarray
    class_names: tuple | None
    layers: dict | None
    ledger: Ledger
    activation: Layer
    other: int | np.ndarray | None = None
    start: tuple | None = None
    asked: Asked | None = dataclasses.field(default=None, compare=False, repr=False)

    @classmethod
    def join(cls, chunks, request):
        """The answer to a request from the (logits, targets, relevance by node, ledger) of consecutive
        chunks.
        """
        logits, targets, relevance, ledgers = zip(*chunks)
        at = {name: np.concatenate([r[name] for r in relevance]) for name in relevance[0]}
        ledger = dataclasses.replace(
            ledgers[0], numbers=np.concatenate([one.numbers for one in ledgers], axis=-1),
            start=np.concatenate([one.start for one in ledgers]),
            arrived=np.concatenate([one.arrived for one in ledgers]))
        return cls.answer(request, np.concatenate(logits), np.concatenate(targets), at, ledger)

    @classmethod
    def answer(cls, request, logits, targets, relevance, ledger):
        """What a caller gets: relevance is {node name: [n, *its shape]}; a single sample loses its batch
        axis. targets: [n, 2], the class explained and the one it is contrasted with.
        """
        network, (targets, other) = request.network, targets.T
        logits = logits.astype(np.float32).reshape(-1, *network.output_shape)
        asked = Asked(network, request.x, request.method, request.begin, request.stop, request.keep)
        whole = cls(relevance[request.end], logits, targets, network.class_names,
                    relevance if request.layers else None, ledger, network.activation,
                    other if (other != NO_CLASS).any() else None, request.began,
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
        other = None if self.other is None else int(np.asarray(self.other)[index])
        return dataclasses.replace(
            self, relevance=self.relevance[index], logits=self.logits[index],
            target=int(np.asarray(self.target)[index]), layers=layers, ledger=self.ledger.sample(index),
            other=None if other == NO_CLASS else other, asked=asked)

    # ---- to read and to see

    @property
    def target_name(self) -> str | list[str]:
        """What was explained, in words: a class by name, else by its number or place; a list for a batch.

        "siren against dog_bark" for a Contrast, "the sum of all scores", "channel 7 of conv3b" for an inner
        start.
        """
        if np.ndim(self.target):
            return [str(self[number].target_name) for number in range(len(self.relevance))]
        if self.start is not None:
            name, place = self.start
            return (f"{name} at ({', '.join(map(str, place))})" if isinstance(place, tuple)
                    else f"channel {place} of {name}")
        target = told(self.target, self.class_names, self.logits.shape)
        return (target if self.other is None
                else f"{target} against {told(self.other, self.class_names, self.logits.shape)}")

    @property
    def _title(self):
        """"siren (score 5.54)" of a single sample."""
        return f"{self.target_name} ({self.ledger.what} {amount(float(self.ledger.start))})"

    def _titles(self, most):
        """Of the first samples of a batch, at most so many."""
        return [self[number]._title for number in range(min(len(self.relevance), most))]

    def __repr__(self):
        facts = f"relevance {self.relevance.shape} {self.relevance.dtype}"
        if np.ndim(self.target) == 0:
            return line("Explanation", f"{self._title}; {facts}")
        samples = len(self.relevance)
        return line("Explanation", f"{samples:,} samples, {some(self._titles(NAMED), samples)}; {facts}")

    def _repr_html_(self):
        """For notebooks: what was explained, the map, and the ledger; of a batch, a list."""
        if np.ndim(self.target) == 0:
            return block(f"Explanation of {self._title}", html_map(self.relevance, self._title),
                         html_summary(self.ledger), details("the ledger", html_rows(self.ledger)))
        rows = [("sample", "explained", "Σ relevance")]
        rows += [(str(number), name, f"{arrived:.4g}") for number, (name, arrived)
                 in enumerate(zip(self._titles(LISTED), self.ledger.arrived.tolist()))]
        more = [f"... and {len(self.relevance) - LISTED:,} more"] * (len(self.relevance) > LISTED)
        return block(f"Explanation of {len(self.relevance):,} samples",
                     html_table([*rows, *more], "><>"), details("the ledger", html_of(self.ledger)))

    def plot(self, path: str | os.PathLike | None = None, *, node: str | None = None) -> Any:
        """The relevance as a picture, red for and blue against: a Matplotlib figure; written to `path` if
        there is one.

        Of an array of three axes the channels are added up: the last axis, or the input's first where that
        has at most 4 numbers and the last has more. Of a batch the first 12 samples are shown. node: where,
        for an explanation made with `layers=True`. Raises ValueError for what is no picture, ImportError
        without Matplotlib.
        """
        if node is not None and node not in (self.layers or {}):
            raise ValueError(f"the explanation does not hold node {quote(node)}: make it with layers=True")
        r = self.relevance if node is None else (self.layers or {})[node]
        maps = r if np.ndim(self.target) else r[None]
        titles = self._titles(PANELS) if np.ndim(self.target) else [self._title]
        titles = [f"{title}{'' if node is None else f', at {node}'}" for title in titles]
        figure = map_figure(maps[:PANELS], titles, len(maps) - len(titles), inner=node not in (None, "input"))
        return finished(figure, path)
