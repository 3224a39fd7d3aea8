"""Front ends before networks: fitted to what a network takes, and both as one network with one ledger."""
import dataclasses

import nets
import numpy as np
import pytest
from sound_nets import FRONT_ENDS, PRESETS, SHAPES, SOUNDS, cnn, sound
from test_engines_agree import assert_agree

import lrp_core
from features import FrontEnd
from features.steps import Arrange
from lrp_core import Flat, Network, Pass, Zero
from lrp_core import layers as L

LOG_MEL = FrontEnd.log_mel(sr=16_000, n_fft=400, hop_length=160, n_mels=64)
SAMPLES = FrontEnd.waveform(16_000)
A_SECOND = [dataclasses.replace(one, seconds=1.0) for one in (LOG_MEL, SAMPLES)]

# ---- what fits

FITTING = {(101, 64): None, (64, 101): "ft", (1, 64, 101): "cft", (64, 101, 1): "ftc", (64, 101, 3): "ftc",
           (3, 64, 101): "cft", (1, 101, 64): "ctf", (101, 64, 1): "tfc", (101, 64, 3): "tfc",
           (3, 101, 64): "ctf"}
FITTING_SAMPLES = {(16_000,): None, (16_000, 1): "tc", (1, 16_000): "ct", (16_000, 3): "tc",
                   (3, 16_000): "ct"}


@pytest.mark.parametrize("known", [True, False], ids=["a second", "any length"])
@pytest.mark.parametrize("shape", [*FITTING, *FITTING_SAMPLES], ids=str)
def test_the_order_of_axes_and_the_length_are_found(shape, known):
    """What is found makes the shape that was asked for, and of a sound what the formulas say."""
    takes_samples = 16_000 in shape
    open_end = SAMPLES if takes_samples else LOG_MEL
    front_end = A_SECOND[takes_samples] if known else open_end
    found = front_end.fitting(shape)
    order = {**FITTING, **FITTING_SAMPLES}[shape]
    assert found.network().output_shape == shape and found.seconds == 1.0 and found.samples == 16_000
    assert found.steps == (*front_end.steps, *([] if order is None else [
        Arrange(order, 3 if 3 in shape else 1)])), "nothing but the order is chosen"
    assert found.fitting(shape) == found and found.fitting(list(shape)) == found
    y = np.random.default_rng(0).standard_normal(16_000)
    plain = A_SECOND[takes_samples](y, 16_000)
    made = found(y, 16_000)
    letters = "tf" if order is None and not takes_samples else order or "t"
    assert made.shape == shape
    for one in np.moveaxis(made, letters.index("c"), 0) if "c" in letters else [made]:
        np.testing.assert_array_equal(one.T if letters.replace("c", "") == "ft" else one, plain)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("frames", [1, 2, 63, 100, 344])
@pytest.mark.parametrize(("n_fft", "hop"), [(512, 160), (401, 99), (256, 300)])
def test_the_length_makes_as_many_frames_as_are_taken(center, frames, n_fft, hop):
    """And one hop less makes fewer: lengths are found by their formula, not by trying."""
    front_end = FrontEnd.log_mel(sr=16_000, n_fft=n_fft, hop_length=hop, n_mels=20, center=center)
    for shape in ((frames, 20), (20, frames), (1, 20, frames), (20, frames, 1)):
        found = front_end.fitting(shape)
        assert found.network().output_shape == shape
        first = found.steps[0]
        assert first.count(found.samples) == frames
        assert frames == 1 or first.count(found.samples - 1) == frames - 1 or found.samples <= hop


def test_a_length_is_found_for_spectrograms_and_raw_samples():
    assert FrontEnd.spectrogram(16_000, n_fft=512).fitting((257, 50)).network().output_shape == (257, 50)
    assert FrontEnd.waveform(8_000).fitting((12_345, 1)).samples == 12_345
    assert FrontEnd.study().fitting((64, 64, 3)) == FrontEnd.study()


@pytest.mark.parametrize(("front_end", "shape"), [
    (A_SECOND[0], (64, 102)), (A_SECOND[0], (63, 101)), (A_SECOND[0], (64, 101, 2)), (A_SECOND[0], (64,)),
    (A_SECOND[0], ()), (A_SECOND[0], (1, 64, 101, 1)), (A_SECOND[0], (64, 64, 3)), (LOG_MEL, (63, 101)),
    (LOG_MEL, (64, 101, 2)), (LOG_MEL, (16_000,)), (A_SECOND[1], (8_000,)), (A_SECOND[1], (2, 16_000)),
    (SAMPLES, (16_000, 1, 1)), (SAMPLES, (64, 101)), (FrontEnd.study(), (3, 64, 64)),
    (FrontEnd.study(), (64, 64)),
    (dataclasses.replace(A_SECOND[0], steps=(*A_SECOND[0].steps, Arrange("tf"))), (64, 101))], ids=str)
def test_what_does_not_fit_is_refused_with_both_shapes(front_end, shape):
    with pytest.raises(ValueError) as refused:
        front_end.fitting(shape)
    made = "as long as the recording" if front_end.seconds is None else str(front_end.network().output_shape)
    assert str(shape) in str(refused.value) and made in str(refused.value)
    if shape and len(shape) < 4 and shape not in ((64,), (8_000,), (16_000,)):
        with pytest.raises(ValueError, match="network takes"):
            front_end.before(Network([("flatten", L.Flatten())], shape))


# ---- one network

def whole_of(name, which, urban_sounds):
    """(front end and network as one, the network, the clip of a sound, its samples as float32)."""
    network = urban_sounds if name == "study" else cnn(SHAPES[name])
    y, rate = sound(which)
    front_end = FRONT_ENDS[name].fitting(network.input_shape)
    clip = front_end.open(y, rate)
    return FRONT_ENDS[name].before(network, len(clip.original), rate), network, clip


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_scores_are_those_of_the_input(urban_sounds, name):
    for which in SOUNDS:
        whole, network, clip = whole_of(name, which, urban_sounds)
        assert whole.input_shape == clip.original.shape and whole.class_names == network.class_names
        ours, theirs = whole.logits(clip.original), network.logits(clip.input)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
        assert [node.name for node in whole.nodes] == [
            *(f"sound/{node.name}" for node in clip.below.nodes), *(node.name for node in network.nodes)]
    assert whole.metadata == network.metadata and whole.reference is None


def apart(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("name", FRONT_ENDS)
@pytest.mark.parametrize("preset", PRESETS)
def test_one_call_is_explain_and_extend(urban_sounds, name, preset):
    """To 1e-7 where both see the same numbers: the relevance that one call has at the network's input is
    carried on by `extend`, to the same at every stage.
    """
    for which in SOUNDS:
        whole, network, clip = whole_of(name, which, urban_sounds)
        e = lrp_core.explain(whole, clip.original, preset, layers=True, engine="numpy")
        stopped = lrp_core.explain(whole, clip.original, preset, stop=f"sound/{clip.below.nodes[-1].name}",
                                   engine="numpy")
        found = lrp_core.extend(stopped, clip.below, clip.original, prefix="sound/")
        assert apart(found.relevance, e.relevance) <= 1e-7
        for node in clip.below.nodes[:-1]:
            assert apart(found.layers[f"sound/{node.name}"], e.layers[f"sound/{node.name}"]) <= 1e-7
        assert [page[:2] for page in found.ledger.pages] == [page[:2] for page in e.ledger.pages]
        turnover = found.ledger.numbers[:, -1]
        assert (np.abs(found.ledger.numbers - e.ledger.numbers).max(axis=1) <= 1e-7 * turnover).all()
        assert abs(e.ledger.total.residual) <= 1e-8 * abs(e.ledger.start)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_one_call_is_explain_of_the_input_and_extend(urban_sounds, name):
    """The study's colours are the same numbers in both: to 1e-7. Else the network alone sees its input as
    float32, which a steady rule (LRP-α1β0, flat in the first layer) does not blow up.
    """
    for which in SOUNDS:
        whole, network, clip = whole_of(name, which, urban_sounds)
        once = lrp_core.explain(whole, clip.original, "preset_a_flat")
        e = lrp_core.explain(network, clip.input, "preset_a_flat", target=int(once.target))
        twice = lrp_core.extend(e, clip.below, clip.original, trace=clip.trace)
        assert apart(twice.relevance, once.relevance) <= (1e-7 if name == "study" else 3e-5)
        assert abs(once.ledger.start - twice.ledger.start) <= 1e-5 * abs(once.ledger.start)


@pytest.mark.parametrize("preset", lrp_core.PRESETS)
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_rules_land_on_the_layers_they_would_land_on(urban_sounds, name, preset):
    """The front end has rules of its own: "first" means the network's first, whatever stands before it."""
    whole, network, clip = whole_of(name, "siren", urban_sounds)
    method = lrp_core.composite(preset)
    alone = dict(zip(network.scoring.positions, method.rules_for(network.scoring)))
    together = dict(zip(whole.scoring.positions, method.rules_for(whole.scoring)))
    assert {node: rule for node, rule in together.items() if not node.startswith("sound/")} == alone
    own = {node: rule for node, rule in together.items() if node.startswith("sound/")}
    assert set(own.values()) <= {Zero(), Pass()} and len(own) == len(clip.below.nodes)
    if preset in ("preset_a_flat", "preset_b_flat"):
        first = next(node.name for node in network.nodes if isinstance(node.layer, (L.Conv2D, L.Conv1D)))
        assert [node for node, rule in together.items() if isinstance(rule, Flat)] == [first]


def test_a_rule_for_all_layers_leaves_the_front_end_its_own():
    whole, _, clip = whole_of("htk", "siren", None)
    e = lrp_core.explain(whole, clip.original, lrp_core.Gamma(0.25))
    rules = {entry.name: entry.rule for entry in e.ledger}
    assert rules["conv1"] == repr(lrp_core.Gamma(0.25)) and "Gamma" not in rules["sound/mel"]


@pytest.mark.parametrize("name", FRONT_ENDS)
@pytest.mark.parametrize("preset", ["epsilon", "preset_a_flat", "preset_b"])
def test_both_engines_agree(urban_sounds, name, preset):
    """At every node, in double precision: the compiled one leaves the front end to NumPy."""
    network = fast_study() if name == "study" else cnn(SHAPES[name])
    y, rate = sound("bark, short")
    whole = FRONT_ENDS[name].before(network, len(y), rate)
    assert_agree(whole, np.stack([y, 0.3 * y[::-1]]), preset)


def fast_study():
    """A small network for the study's images: its own takes long to be compiled for one test."""
    return cnn((64, 64, 3))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("name", ["waveform", "librosa", "htk", "linear"])
def test_single_precision_is_near(name, engine):
    whole, _, clip = whole_of(name, "siren", None)
    single, double = (lrp_core.explain(whole, clip.original, "preset_a_flat", dtype=dtype, engine=engine)
                      for dtype in ("float32", "float64"))
    assert single.relevance.dtype == np.float32 and apart(single.relevance, double.relevance) <= 1e-3


def test_a_network_of_the_same_names_keeps_them_apart():
    """Layers that are called like stages, and a batch of recordings."""
    rng = np.random.default_rng(0)
    network = Network([("mel", L.Flatten()), ("spectrogram", nets.dense(rng, 32 * 20, 3))], (32, 20))
    front_end = FrontEnd.log_mel(sr=16_000, n_mels=20, seconds=1.0)
    whole = front_end.before(network)
    y = rng.standard_normal((3, 16_000)) / 9
    batch = lrp_core.explain(whole, y, "epsilon", layers=True)
    assert {"mel", "spectrogram", "sound/mel", "sound/spectrogram", "input"} <= set(batch.layers)
    for one, sample in zip(y, range(3)):
        np.testing.assert_allclose(lrp_core.explain(whole, one).relevance, batch[sample].relevance, rtol=1e-9,
                                   atol=1e-12)


def test_a_graph_that_reads_its_input_twice():
    """Both readers then read the front end's last stage."""
    rng = np.random.default_rng(0)
    network = Network([("left", nets.dense(rng, 8_000, 3)), ("right", nets.dense(rng, 8_000, 3), ("input",)),
                       ("sum", L.Add(), ("left", "right"))], (8_000,))
    whole = FrontEnd.waveform(8_000, 1.0, normalize="standard").before(network, 4_000, 8_000)
    y = np.random.default_rng(1).standard_normal(4_000)
    e = lrp_core.explain(whole, y, "epsilon")
    assert e.relevance.shape == (4_000,) and abs(e.ledger.total.residual) <= 1e-12 * e.ledger.total.turnover
    assert {node.inputs for node in whole.nodes[-3:-1]} == {("sound/standardize",)}


def test_without_any_step_samples_come_first():
    network = Network([("out", nets.dense(np.random.default_rng(0), 300, 3))], (300,))
    whole = FrontEnd.waveform(16_000).before(network)
    y = np.random.default_rng(1).standard_normal(300).astype(np.float32)
    np.testing.assert_array_equal(whole.logits(y), network.logits(y))
    np.testing.assert_allclose(lrp_core.explain(whole, y).relevance, lrp_core.explain(network, y).relevance,
                               rtol=1e-12)
