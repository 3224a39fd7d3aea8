"""What the compiled engine leaves to NumPy in a network, and why."""
from .entry import planned
from .stages import Back, Forward
from .support import is_max_pool, refusal


def left_to_numpy(network, method, dtype, nonnegative):
    """{node: {"forward" or "backward": why}} of what no kernel does when these rules explain a network."""
    program, found = planned(network, method, dtype=dtype, nonnegative=nonnegative), {}
    for stage in (*program.forward, *program.backward):
        if isinstance(stage, Forward):
            found.setdefault(stage.node.name, {})["forward"] = why_forward(stage)
        elif isinstance(stage, Back):
            found.setdefault(stage.line.name, {})["backward"] = why_back(program, stage)
    return found


def why_forward(stage):
    """Why NumPy computes a node."""
    if is_max_pool(stage.node.layer):
        return "its relevance does not go to winners, which the kernel finds"
    return f"no kernel for {stage.node.layer.type}"


def why_back(program, stage):
    """Why NumPy carries relevance through a node."""
    return refusal(stage.step, program.network.shapes[stage.step.node.inputs[0]]) or ""
