"""Run in a process of its own, under other settings of Numba: how far the fast path is from the readable one,
as JSON.
"""
import json
import sys

import fast_nets
import nets
import numpy as np

import lrp_core
from lrp_core.composites import composite
from lrp_core.numba_engine.entry import planned
from lrp_core.numba_engine.interpreter import run
from lrp_core.numba_engine.kernels import simd_llvm
from lrp_core.numba_engine.kernels.op import KINDS


def main(*rules):
    network = fast_nets.tiny()
    x, worst = nets.inputs(network, 2, 90), {}
    kinds = set()
    for name in rules:
        method = lrp_core.WSquare() if name == "WSquare" else name
        exact, fast = (lrp_core.explain(network, x, method, engine=engine, dtype=dtype, threads=1)
                       for engine, dtype in (("numpy", "float64"), ("numba", "float32")))
        alone = lrp_core.explain(network, x[0], method, engine="numba", dtype="float32", threads=2)
        apart = max(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(a) for a,
                    b in zip(exact.relevance, fast.relevance))
        worst[name] = [float(apart), bool((alone.relevance == fast.relevance[0]).all())]
        kinds |= {KINDS[op["kind"]].name for op in planned(network, composite(method), dtype="float32",
                                                           nonnegative=False).code.ops}
    print(json.dumps({"lanes": simd_llvm.LANES, "fused": simd_llvm.FUSED, "worst": worst,
                      "kinds": sorted(kinds), "from": lrp_core.__file__,
                      "compiled": hasattr(run, "signatures"), "loaded": sum(run.stats.cache_hits.values())
                      if hasattr(run, "stats") else None}))


if __name__ == "__main__":
    main(*sys.argv[1:])
