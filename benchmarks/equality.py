"""Do two tools find the same relevance? Asked before anything is timed: speed counts for the same answer
only.
"""
import pathlib
import tempfile

import numpy as np

import lrp_core

from .peer import PeerError
from .progress import bar
from .tables import Table

CLOSE, FAR, LEAST_CLOSE = 1e-4, 1e-1, 0.95
ALLOWANCE = 0.02  # so many fewer clips may be close in float32 than in float64
# Where a peer in float32 strays that often from itself in float64, no tool can be close to it on 95 of 100
# clips: α2β1 divides by z⁻ however small it is. We may then stray so much more often than the peer itself.
MARGIN = 0.10
PORTION = 32
JUDGE = "iNNvestigate"  # the peer that we must agree with
FLOAT32, FLOAT64 = "Audio-LRP float32", "Audio-LRP float64"


def relative(found, expected):
    """||found - expected|| / ||expected|| of each clip; where nothing is expected, 0 for nothing and else
    infinity.
    """
    found, expected = (np.reshape(array, (len(array), -1)).astype(np.float64) for array in (found, expected))
    difference, size = np.linalg.norm(found - expected, axis=1), np.linalg.norm(expected, axis=1)
    return np.divide(difference, size, out=np.where(difference > 0, np.inf, 0.0), where=size > 0)


def compared(found, expected):
    """How many clips are close, the median and the largest difference, as JSON values."""
    differences = relative(found, expected)
    return {"close": int((differences <= CLOSE).sum()), "of": len(differences),
            "median": float(np.median(differences)), "largest": float(np.max(differences))}


def of_peer(peer, method, **how):
    """What a peer finds for all its clips. how: which, and in which precision, in the protocol's words."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "found.npy"
        peer.ask(method, PORTION, save=str(path), **how)
        return np.load(path)


def check(network, x, pairs, peers, **how):
    """Rows that compare us with the peers. pairs: [(our preset or None for the logits, peer's name, its
    method)]; how: as `of_peer` takes it.
    """
    rows, found, pairs = [], {}, [pair for pair in pairs if pair[1] in peers]
    with bar(len(pairs), "equality") as progress:
        for preset, name, method in pairs:
            about = {"preset": preset, "peer": name, "method": method}
            try:
                found[name, method] = of_peer(peers[name], method, **how)
            except PeerError as error:
                rows.append(about | {"failure": str(error)})
            else:
                rows += [about | {"finder": finder, **compared(ours, found[name, method])}
                         for finder, ours in of_ours(network, x, preset)]
            progress.update(1)
    return rows + of_rounding(found)


def of_ours(network, x, preset):
    """(name, what we find for all clips) in both precisions; without a preset, the logits."""
    if preset is None:
        return [(FLOAT32, lrp_core.explain(network, x, "epsilon", dtype="float32").logits)]
    return [(finder, lrp_core.explain(network, x, preset, dtype=dtype).relevance)
            for finder, dtype in ((FLOAT32, "float32"), (FLOAT64, "float64"))]


def of_rounding(found):
    """Rows that compare a peer with itself in double precision. found: {(peer's name, method): what it
    finds}.
    """
    return [{"preset": method, "peer": f"{name}, float64", "method": method, "finder": name,
             **compared(single, found[f"{name}, float64", method])}
            for (name, method), single in found.items() if (f"{name}, float64", method) in found]


def table(rows):
    """The comparison for readers."""
    def cells(row):
        start = [row.get("weights", ""), row.get("finder", FLOAT32), row["preset"] or "logits",
                 f"{row['peer']}: {row['method']}"]
        if "failure" in row:
            return [*start, row["failure"], "", ""]
        return [*start, f"{row['close']} of {row['of']}", f"{row['median']:.1e}", f"{row['largest']:.1e}"]
    return Table(f"Relative difference of each clip; close: at most {CLOSE:g}",
                 ("network", "tool", "method", "beside", ">close", ">median", ">largest"),
                 list(map(cells, rows)))


def least_close(rows, method, peer):
    """The share of clips that must be close: LEAST_CLOSE, or MARGIN below what the peer's own rounding leaves
    close.
    """
    own = [row["close"] / row["of"] for row in rows if row["peer"] == f"{peer}, float64"
           and row.get("finder") == peer
           and row["method"] == f"{method}"]
    return min([LEAST_CLOSE, *(share - MARGIN for share in own if share < LEAST_CLOSE)])


def shortfalls(rows, peer=JUDGE):
    """What is too different from a peer in float32 to call its time a comparison: a list of sentences."""
    found = [f"{row['preset']}: {row['failure']}, nothing was compared" for row in rows
             if row["peer"] == peer and "failure" in row]
    for row in rows:
        if row["peer"] == peer and row.get("finder") == FLOAT32:
            least = least_close(rows, row["method"], peer)
            if row["close"] < least * row["of"] - 1e-9:
                found.append(f"{row['preset']}: only {row['close']} of {row['of']} clips lie within "
                             f"{CLOSE:g} of {peer}")
            if not row["largest"] <= FAR:
                found.append(f"{row['preset']}: a clip lies {row['largest']:.1e} from {peer}, more than "
                             f"{FAR:g}")
    return found


def cost_of_rounding(rows, peer=JUDGE):
    """A sentence for each preset: whether float32 agrees with a peer about as often as float64 does."""
    close = {(row["preset"], row["finder"]): row["close"] / row["of"] for row in rows
             if row["peer"] == peer and "failure" not in row}
    return [f"{preset}: float32 is "
            f"{'no worse' if close[preset, FLOAT32] >= exact - ALLOWANCE - 1e-9 else 'WORSE'} "
            f"than float64 by more than {ALLOWANCE:.0%} of the clips ({close[preset, FLOAT32]:.0%} and "
            f"{exact:.0%} close)"
            for (preset, finder), exact in close.items() if finder == FLOAT64]
