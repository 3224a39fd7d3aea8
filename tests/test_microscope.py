"""audio-lrp microscope as a person would call it, the paths that it draws, the sounds that excite a channel.
"""
import csv
import json

import nets
import numpy as np
import pytest
import sound_nets
import soundfile
from report_pages import run, unpack

import audio_lrp
import features
import lrp_core
from audio_lrp import exciting, microscope_data
from audio_lrp.explained import Explained
from features import FrontEnd
from lrp_core import layers as L

RATE = 8_000
FRONT_END = FrontEnd.log_mel(sr=RATE, seconds=1.0, n_fft=256, hop_length=128, n_mels=16, order="ftc")
FILES = ("json", "npz", "png")


def small_network():
    """Two convolutions with a sum around the second, a pool, two dense layers; a front end in its file."""
    rng = np.random.default_rng(0)
    shape = FRONT_END.network().output_shape

    def conv(inputs, outputs):
        return L.Conv2D(0.3 * nets.numbers(rng, 3, 3, inputs, outputs), 0.05 * nets.numbers(rng, outputs),
                        (1, 1), "same")
    return lrp_core.Network([
        ("conv1", conv(1, 5)), ("relu1", L.ReLU()), ("pool", L.MaxPool2D(2)), ("conv/2,b", conv(5, 5)),
        ("sum", L.Add(), ("conv/2,b", "pool")), ("relu2", L.ReLU()), ("mean", L.GlobalAveragePool2D()),
        ("hidden", nets.dense(rng, 5, 4)), ("relu3", L.ReLU()), ("scores", nets.dense(rng, 4, 3)),
        ("softmax", L.Softmax())], shape, class_names=("bark", "drill", "siren"),
        metadata={"front_end": FRONT_END.as_dict()})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.npz"
    small_network().save(path)
    return path


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder of five sounds of 1 s, each noise of its own loudness in a tenth of a second; and of one file
    that is none.
    """
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(3)
    for number, (second, loud) in enumerate(((0.2, 0.1), (0.7, 0.8), (0.4, 0.3), (0.55, 0.02), (0.8, 0.5))):
        y = 1e-4 * rng.standard_normal(RATE)
        place = round(second * RATE)
        y[place:place + RATE // 10] += loud * rng.standard_normal(RATE // 10)
        below = folder / ("bark" if number % 2 else "drill")
        below.mkdir(exist_ok=True)
        soundfile.write(below / f"{number}.wav", np.clip(y, -1, 1), RATE)
    (folder / "bad.wav").write_bytes(b"no sound")
    return folder


def look(model, *arguments, clip=audio_lrp.EMBEDDED_CLIP):
    return run("microscope", *([clip] if clip else []), "--model", model, *arguments)


def explained(network, clip, rules="preset_a_flat", **how):
    e = lrp_core.explain(network, clip.input, rules, layers=True, **how)
    return Explained(clip, e, rules)


# ---- the command

@pytest.mark.parametrize("at, node, unit, stem", [
    ("conv1,3", "conv1", 3, "conv1-3"), ("conv1,4,5,3", "conv1", (4, 5, 3), "conv1-4-5-3"),
    ("input,4,5", "input", (4, 5), "input-4-5-all"), ("hidden,2", "hidden", 2, "hidden-2"),
    ("conv/2,b,1", "conv/2,b", 1, "conv_2,b-1"), ("scores,0", "scores", 0, "scores-0"),
    ("pool,:,2,1", "pool", (slice(None), 2, 1), "pool-all-2-1")])
def test_a_unit_and_what_is_written_of_it(model, tmp_path, at, node, unit, stem):
    result = look(model, "--at", at, "-o", tmp_path, "--target", "bark", "--top", 3, "--rules", "epsilon")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"siren-{stem}.{end}" for end in FILES]
    network = audio_lrp.models.load(model)
    clip = FRONT_END.fitting(network.input_shape).open(audio_lrp.EMBEDDED_CLIP)
    e = lrp_core.explain(network, clip.input, "epsilon", "bark", layers=True)
    m, route = lrp_core.messages(e, node, unit), lrp_core.Microscope(e).route(node, unit)
    for line in m.table(3).split("\n"):
        assert line in result.output
    facts = json.loads((tmp_path / f"siren-{stem}.json").read_text())
    assert facts["target"] == "bark" and facts["node"] == node
    assert facts["relevance"] == pytest.approx(m.relevance) and facts["rule"] == m.rule
    assert facts["unit"] == [None if isinstance(n, slice) else n for n in m.unit]
    for side in ("received", "given"):
        assert [(one["node"], one["relevance"]) for one in facts[side]] == [
            (name, pytest.approx(r)) for name, _, r in m.strongest(side, 100)]
    with np.load(tmp_path / f"siren-{stem}.npz") as arrays:
        for side, group in (("received", m.received), ("given", m.given), ("above", route.above),
                            ("below", route.below)):
            for name, r in group.items():
                np.testing.assert_allclose(arrays[f"{side}/{name}"], r)
        if node != "scores":
            assert arrays["above/scores"].sum() == pytest.approx(m.relevance, abs=1e-9)


def test_a_node_alone_lists_its_strongest_channels(model, tmp_path):
    result = look(model, "--at", "conv1", "--at", "input", "-o", tmp_path, "--format", "svg")
    assert result.exit_code == 0, result.output
    assert len(list(tmp_path.glob("*.svg"))) == 2
    network = audio_lrp.models.load(model)
    clip = FRONT_END.fitting(network.input_shape).open(audio_lrp.EMBEDDED_CLIP)
    e = explained(network, clip).e
    channels, r = lrp_core.rank_channels(e, "conv1")
    order = sorted(range(5), key=lambda k: -abs(r[k]))
    shown = json.loads((tmp_path / "siren-conv1.json").read_text())["channels"]
    assert [one["channel"] for one in shown] == [channels[k] for k in order]
    np.testing.assert_allclose([one["relevance"] for one in shown], r[order])
    np.testing.assert_allclose([one["for"] + one["against"] for one in shown], r[order])
    lines = result.output.split("conv1: 5 channels carry")[1].splitlines()
    assert [line.split()[0] for line in lines[3:8]] == [str(channels[k]) for k in order]


def test_without_a_place_it_lists_the_nodes(model, tmp_path):
    result = look(model)
    assert result.exit_code == 0
    first = [line.split()[0] for line in result.output.splitlines() if line and line[0] != "-"]
    assert first[2:-1] == ["scores", "relu3", "hidden", "mean", "relu2", "sum", "conv/2,b", "pool", "relu1",
                           "conv1", "input"]
    assert "--at NODE" in result.output


@pytest.mark.parametrize("arguments, words", [
    (["--at", "conv3"], "no node is named 'conv3'; did you mean conv1"),
    (["--at", "conv1,5"], "node 'conv1' has the shape"), (["--at", "conv1,1,2,3,4"], "there is no unit"),
    (["--at", "conv1,x"], "'conv1,x': after the node come its indices"),
    (["--at", ""], "no node is named ''"),
    (["--dataset", "."], "--dataset takes no CLIP"), (["--target", "cow", "--at", "conv1"], "no class"),
    (["--top", "0"], "0 is not in the range")])
def test_what_cannot_be_looked_at_is_said(model, arguments, words):
    result = look(model, *arguments)
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    assert words in result.output.replace("\n", " ")


def test_a_file_that_is_no_sound(model, tmp_path):
    result = look(model, "--at", "conv1", clip=tmp_path / "none.wav")
    assert result.exit_code == 1 and "none.wav" in result.stderr


@pytest.mark.parametrize("name", sound_nets.FRONT_ENDS)
def test_any_front_end(name, tmp_path):
    """Samples, spectrograms, any order of axes: a path and a map for a channel and for a node."""
    network = sound_nets.cnn(sound_nets.SHAPES[name])
    network = network.replace(metadata={"front_end": sound_nets.FRONT_ENDS[name].as_dict()})
    network.save(tmp_path / "net.npz")
    result = look(tmp_path / "net.npz", "--at", "conv2,3", "--at", "conv1", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "out" / "siren-conv2-3.npz") as arrays:
        whole = sum(r.sum() for key, r in arrays.items() if key == "below/input")
        # cells of the transform that are silent take nothing
        assert arrays["map"].sum() == pytest.approx(whole, rel=0.3, abs=1e-6)


# ---- paths

@pytest.fixture(scope="module")
def one():
    network = small_network()
    clip = FRONT_END.fitting(network.input_shape).open(audio_lrp.EMBEDDED_CLIP)
    return explained(network, clip, "epsilon")


def by_layer(found):
    """{node: {channel: relevance}}, {(node, channel): Σ of links to it}."""
    channels = {c.node: dict(zip(c.channels, c.relevance)) for c in found.columns}
    given = {}
    for _, _, to, place, r in found.links:
        key = found.columns[to].node, found.columns[to].channels[place]
        given[key] = given.get(key, 0.0) + r
    return channels, given


def test_links_add_up_to_what_each_channel_has(one):
    """With all channels listed: whatever a channel has came from some channel above, also past a sum."""
    channels, given = by_layer(microscope_data.all_paths(lrp_core.Microscope(one.e), top=99))
    assert list(channels) == ["scores", "hidden", "conv/2,b", "conv1", "input"]
    for node, group in channels.items():
        r = one.e.layers[node]
        for channel, relevance in group.items():
            assert relevance == pytest.approx(r.sum() if channel < 0 else r[..., channel].sum())
            if node != "scores":
                assert given[node, channel] == pytest.approx(relevance, abs=1e-10)


@pytest.mark.parametrize("node, unit", [("conv/2,b", 2), ("conv1", (4, 6, 1)), ("pool", 3), ("input", (4, 5)),
                                        ("scores", 1), ("hidden", 0)])
def test_paths_through_a_unit_carry_its_relevance(one, node, unit):
    """Above, each channel's part and each link; nothing that goes past the unit is among them."""
    scope = lrp_core.Microscope(one.e)
    found = microscope_data.paths_through(scope, node, unit, top=99)
    channels, given = by_layer(found)
    m, route = scope.messages(node, unit), scope.route(node, unit)
    names = [c.node for c in found.columns]
    for column in found.columns:
        total = m.relevance if column.node == node else (
            route.above if column.node in route.above else route.below)[column.node].sum()
        assert column.total == pytest.approx(total, abs=1e-10)
        if column.node == names[0] or m.relevance == 0:
            continue
        for channel, relevance in channels[column.node].items():
            assert given.get((column.node, channel), 0) == pytest.approx(relevance, abs=1e-10), column.node
    if node not in ("conv/2,b", "pool", "scores"):  # all relevance crosses these
        assert found.columns[0].total == pytest.approx(m.relevance, abs=1e-10)


def test_a_page_gets_all_of_it(one):
    """Numbers that JSON holds; the maps of all channels of a layer add up to the explanation's."""
    data = json.loads(json.dumps(microscope_data.page_data(one, top=99)))
    whole = unpack(data["map"])
    assert len(whole) == data["rows"] * data["across"]
    assert whole.sum() == pytest.approx(one.map.sum(), rel=1e-3)
    for column in data["columns"][:-1]:
        maps = sum(unpack(channel["map"]) for channel in column["channels"])
        if column["node"] != "conv/2,b":  # the sum goes around it
            np.testing.assert_allclose(maps, whole, atol=2e-3 * np.abs(whole).max())
        for channel in column["channels"]:
            assert channel["name"] == (one.e.class_names[channel["channel"]] if column["node"] == "scores"
                                       else str(channel["channel"]))
    few = microscope_data.page_data(one, top=2)
    carrying = [min(2, len(column["channels"])) for column in data["columns"]]
    assert [len(column["channels"]) for column in few["columns"]] == carrying and max(carrying) == 2
    for column, other in zip(few["columns"], data["columns"]):
        listed = sum(channel["relevance"] for channel in column["channels"])
        assert listed + column["rest"] == pytest.approx(column["total"], abs=1e-4)
        assert column["total"] == pytest.approx(other["total"])


def test_channels_carried_down_together_are_those_carried_alone(one, monkeypatch):
    """Each channel's map is what one pass from it brings to the input; one channel at a time, or all."""
    scope = lrp_core.Microscope(one.e)
    columns = microscope_data.all_paths(scope, top=99).columns[:-1]
    together = microscope_data.maps_through(scope, one, columns)
    monkeypatch.setattr(microscope_data, "CACHED", 1)
    singly = microscope_data.maps_through(scope, one, columns)
    for column in columns:
        for channel, *pictures in zip(column.channels, together[column.node], singly[column.node]):
            below = scope.route(column.node, channel).below["input"]
            part = microscope_data.part_of(one.clip, one.e, below, one.rules, column.node)
            wanted = microscope_data.pooled(microscope_data.as_picture(part.map))
            for picture in pictures:
                np.testing.assert_allclose(picture, wanted, rtol=0, atol=1e-12 * np.abs(one.map).max())


# ---- the sounds that excite a channel

def by_hand(network, folder, node):
    """{file's name: (relevance of each channel, largest activation of each)}, one sound at a time."""
    front_end = FRONT_END.fitting(network.input_shape)
    found = {}
    for path in sorted(folder.rglob("[0-9].wav")):
        clip = front_end.open(path)
        r = explained(network, clip).e.layers[node]
        y = network.scoring.forward(clip.input[None].astype(np.float64)).outputs[node][0]
        found[path.name] = r.reshape(-1, r.shape[-1]).sum(axis=0), y.reshape(-1, y.shape[-1]).max(axis=0)
    return found


@pytest.mark.parametrize("at, channels", [("relu1", None), ("conv1,2", [2])])
def test_the_sounds_in_which_channels_matter_most(model, sounds, tmp_path, at, channels):
    result = look(model, "--at", at, "--dataset", sounds, "-o", tmp_path, "--top", 2, clip=None)
    assert result.exit_code == 0, result.output
    assert "skipped" in result.stderr and "bad.wav" in result.stderr
    node = at.split(",")[0]
    wanted = by_hand(audio_lrp.models.load(model), sounds, node)
    size = np.mean([np.abs(r) for r, _ in wanted.values()], axis=0)
    channels = channels or np.argsort(-size)[:5].tolist()
    (table,) = tmp_path.glob("*.csv")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(channels) * 2 * 2
    for channel in channels:
        for number, kind in enumerate(("relevance", "activation")):
            ranked = sorted(wanted, key=lambda name: -wanted[name][number][channel])[:2]
            found = [row for row in rows if int(row["channel"]) == channel and row["by"] == kind]
            assert [row["sound"].split("/")[-1] for row in found] == ranked
            np.testing.assert_allclose([float(row["value"]) for row in found],
                                       [wanted[name][number][channel] for name in ranked], rtol=1e-6)
    assert f"channel {channels[0]}: relevance" in result.output


def test_the_moment_is_where_the_sound_is(sounds):
    """Each sound is loud in one tenth of a second. A channel that is the larger, the louder it is, is largest
    there.
    """
    layer = L.Conv2D(np.full((3, 3, 1, 2), 0.1, np.float32), np.full(2, 500, np.float32))
    shape = FRONT_END.network().output_shape
    network = lrp_core.Network([("conv", layer), ("relu1", L.ReLU()), ("mean", L.GlobalAveragePool2D()),
                                ("out", nets.dense(np.random.default_rng(1), 2, 3))], shape)
    front_end = FRONT_END.fitting(network.input_shape)
    paths = sorted(sounds.rglob("[0-9].wav"))
    begins = {"0": 0.2, "1": 0.7, "2": 0.4, "3": 0.55, "4": 0.8}
    found = exciting.exciting(network, front_end, paths, "relu1", channels=2, top=5)
    seen = [(begins[row.path.split("/")[-1][0]], row.second) for rows in found.found.values()
            for row in rows if row.kind == "activation"]
    assert len(seen) == 10
    assert all(begin - 0.05 <= second <= begin + 0.15 for begin, second in seen)


def test_a_data_set_is_read_a_few_sounds_at_a_time(sounds, monkeypatch):
    network = small_network()
    sizes, explain = [], lrp_core.explain

    def counted(network, x, *arguments, **options):
        sizes.append(np.shape(x)[:-3])
        return explain(network, x, *arguments, **options)
    monkeypatch.setattr(exciting.lrp_core, "explain", counted)
    done = []
    paths = sorted(sounds.rglob("[0-9].wav")) * 3
    found = exciting.exciting(network, FRONT_END.fitting(network.input_shape), paths, "relu1", channels=1,
                              top=1, progress=done.append)
    assert max(sizes) <= (exciting.TOGETHER,) and sum(done) == len(paths) == found.count == 15


@pytest.mark.parametrize("arguments, words", [
    (["--at", "scores"], "holds the scores themselves"), (["--at", "conv1,3,4,1"], "looks at whole channels"),
    ([], "one --at NODE"), (["--at", "conv1", "--at", "pool"], "one --at NODE")])
def test_data_sets_that_cannot_be_ranked(model, sounds, tmp_path, arguments, words):
    result = look(model, "--dataset", sounds, "-o", tmp_path, *arguments, clip=None)
    assert result.exit_code != 0 and words in result.output.replace("\n", " ")
    empty = look(model, "--dataset", tmp_path, "--at", "conv1", "-o", tmp_path, clip=None)
    assert empty.exit_code == 1 and "holds no sounds" in empty.output


def test_the_embedded_model(tmp_path):
    """With no options at all, as the help shows it."""
    result = run("microscope", "--at", "conv3a,107", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert "conv3a[:, :, 107]" in result.output
    assert "half of what speaks for siren through it" in result.output
    assert features.IMAGE_SHAPE == (64, 64, 3)
    assert "--at conv3a,4,6,7" in run("microscope", "--help").output
