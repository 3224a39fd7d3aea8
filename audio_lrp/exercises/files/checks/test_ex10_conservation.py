"""Checks of exercise 10: your test is tested."""
import numpy as np
from teacher import Exercise, fail

mine = Exercise("ex10_conservation")


def right(x, W, b, R, epsilon, sign=lambda z: np.where(z >= 0, 1, -1)):
    """LRP-ε as it should be."""
    z = x @ W + b
    s = R / (z + epsilon * sign(z))
    return x * (W @ s), np.sum(s * b), np.sum(s * epsilon * sign(z))


def a_millionth_lost(x, W, b, R, epsilon):
    R_in, bias, stabilizer = right(x, W, b, R, epsilon)
    return (1 - 1e-6) * R_in, bias, stabilizer


def bias_counted_without_its_sign(x, W, b, R, epsilon):
    R_in, bias, stabilizer = right(x, W, b, R, epsilon)
    return R_in, abs(bias), stabilizer


def stabilizer_forgotten(x, W, b, R, epsilon):
    R_in, bias, _ = right(x, W, b, R, epsilon)
    return R_in, bias, 0.0


def negative_relevance_lost(x, W, b, R, epsilon):
    R_in, bias, stabilizer = right(x, W, b, R, epsilon)
    return np.maximum(R_in, 0), bias, stabilizer


def wrong_where_z_is_zero(x, W, b, R, epsilon):
    z = x @ W + b
    return right(x, W, b, np.where(z == 0, 0, R), epsilon)


def wrong_with_a_single_output(x, W, b, R, epsilon):
    R_in, bias, stabilizer = right(x, W, b, R, epsilon)
    return (0 * R_in, bias, stabilizer) if len(R) == 1 else (R_in, bias, stabilizer)


def evenly_to_all(x, W, b, R, epsilon):
    """It conserves, and explains nothing."""
    R_in, bias, stabilizer = right(x, W, b, R, epsilon)
    return np.full_like(R_in, R_in.sum() / len(R_in)), bias, stabilizer


def refused_by(lrp, turns=500):
    """The name of your function that refuses an implementation, or None; and the layer."""
    rng = np.random.default_rng(10)
    for _ in range(turns):
        layer = mine.random_layer(rng)
        for name in ("conserves", "spares_zeros"):
            answer = getattr(mine, name)(lrp, *layer)
            if not isinstance(answer, (bool, np.bool_)):
                fail(f"{name} must return True or False, found {answer!r}")
            if not answer:
                return name, layer
    return None, None


def test_the_right_one_is_accepted():
    name, layer = refused_by(right)
    if name:
        R_in, bias, stabilizer = right(*layer)
        lost = layer[3].sum() - R_in.sum() - bias - stabilizer
        fail(f"{name} refuses a right implementation: Σ|R_out| is {np.abs(layer[3]).sum():.3g}, and "
             f"{lost:.1e} of it is unaccounted for, which is rounding\n"
             "  look at   the tolerance: it must grow with the relevance")


def refuse(lrp, what, look):
    name, _ = refused_by(lrp)
    if name is None:
        fail(f"an implementation that is wrong was accepted: {what}\n  look at   {look}")


def test_losses_are_found():
    for lrp, what, look in (
            (a_millionth_lost, "it loses a millionth of the relevance",
             "the tolerance of `conserves`: 1e-9 of the relevance, and no fixed number"),
            (stabilizer_forgotten, "it books nothing for the stabilizer",
             "`conserves`: is `stabilizer` in the sum?"),
            (bias_counted_without_its_sign, "it books |bias|",
             "`conserves`: is `bias` in the sum? Is b ever negative?"),
            (negative_relevance_lost, "it loses negative relevance",
             "`conserves`: compare the sums, of R and of R_in"),
            (wrong_with_a_single_output, "it is wrong in layers with a single output",
             "`random_layer`: some layers need a single output, and not all of these a z of 0")):
        refuse(lrp, what, look)


def test_zeros_are_reached():
    refuse(wrong_where_z_is_zero, "it loses the relevance of outputs where z is exactly 0",
           "`random_layer`: some outputs need weights and a bias of 0, and relevance all the same")


def test_conservation_is_not_enough():
    refuse(evenly_to_all, "it conserves, but gives every input the same",
           "`spares_zeros`: an input that is 0 must get 0")
