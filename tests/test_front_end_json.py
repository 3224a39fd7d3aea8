"""Front ends as data: what is written is read again, and what is no front end is refused in words."""
import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import FrontEnd, steps

MANY = {
    "study": FrontEnd.study(),
    "waveform": FrontEnd.waveform(16_000),
    "waveform of a second": FrontEnd.waveform(8_000, 1.0, normalize="standard", short="loop"),
    "stretched waveform": FrontEnd.waveform(44_100, 0.25, normalize="stretch", short="twice"),
    "log-mel": FrontEnd.log_mel(),
    "log-mel, all settings": FrontEnd.log_mel(
        sr=16_000, seconds=2.5, n_fft=400, hop_length=160, win_length=300, window="hamming", center=False,
        pad_mode="reflect", power=1.0, n_mels=40, fmin=50.0, fmax=7_000.0, htk=True, norm=None, short="loop",
        scale="db", ref="max", amin=1e-7, top_db=None, normalize=(-4.2, 4.5), resize=(32, 16), order="cft",
        channels=3),
    "torchaudio": FrontEnd.log_mel(16_000, n_fft=400, hop_length=200, htk=True, norm=None,
                                   pad_mode="reflect"),
    "log1p": FrontEnd.log_mel(scale="log", offset=1.0, order="-ftc"),
    "log10": FrontEnd.log_mel(scale="log10", normalize="standard"),
    "no scale": FrontEnd.log_mel(scale=None, normalize="stretch"),
    "one number a band": FrontEnd.log_mel(n_mels=3, normalize=([1.0, 2.0, 3.0], [0.5, 1.0, 2.0])),
    "spectrogram": FrontEnd.spectrogram(),
    "some bins": FrontEnd.spectrogram(16_000, n_fft=512, fmin=100.0, fmax=4_000.0, power=1.0, scale="log"),
    "nothing but a length": FrontEnd(16_000, 1.0),
    "whole numbers": FrontEnd(16_000, 1, (steps.Log(1, 0, 10), steps.Standardize(0, 1))),
}


@pytest.mark.parametrize("name", MANY)
def test_what_is_described_is_the_same_again(name, tmp_path):
    front_end, path = MANY[name], tmp_path / "a front end.json"
    said = front_end.as_dict()
    front_end.save(path)
    for again in (FrontEnd.from_dict(said), FrontEnd.from_dict(json.loads(json.dumps(said))),
                  FrontEnd.load(path), FrontEnd.load(str(path))):
        assert again == front_end and hash(again) == hash(front_end) and again.as_dict() == said
    assert said["front_end"] == 1 and json.loads(path.read_text(encoding="utf-8")) == said
    assert [one["step"] for one in said["steps"]] == [step.type for step in front_end.steps]
    assert not [other for other in tmp_path.iterdir() if other != path], "written whole or not at all"


def test_front_ends_that_differ_say_so():
    said = [json.dumps(front_end.as_dict(), sort_keys=True) for front_end in MANY.values()]
    assert len(set(said)) == len(set(MANY.values())) == len(MANY)


def test_only_what_is_no_default_is_written():
    assert FrontEnd.study().as_dict() == {
        "front_end": 1, "sample_rate": 44_100, "seconds": 4.0, "short": "twice", "steps": [
            {"step": "Spectrogram", "sample_rate": 44_100}, {"step": "Mel", "sample_rate": 44_100},
            {"step": "Decibels", "ref": "max"}, {"step": "Stretch"}, {"step": "AreaResize"},
            {"step": "Colours"}, {"step": "Arrange", "order": "-ftc"}]}


NUMBERS = st.floats(-1e6, 1e6)
STEPS = st.one_of(
    st.builds(steps.Spectrogram, n_fft=st.integers(2, 4096), center=st.booleans(), power=st.floats(0.1, 10),
              hop_length=st.one_of(st.none(), st.integers(1, 999)),
              window=st.sampled_from(["hann", "hamming", "blackman", "ones"]),
              pad_mode=st.sampled_from(["constant", "reflect", "edge", "replicate"])),
    st.builds(steps.Mel, n_mels=st.integers(1, 4096), fmin=st.floats(0, 900), htk=st.booleans(),
              fmax=st.one_of(st.none(), st.floats(1000, 1e5)), norm=st.sampled_from(["slaney", None])),
    st.builds(steps.Bins, first=st.integers(0, 99), last=st.one_of(st.none(), st.integers(100, 999))),
    st.builds(steps.Decibels, ref=st.one_of(st.just("max"), st.floats(0, 1e9)), kind=st.sampled_from(
        ["power", "amplitude"]), top_db=st.one_of(st.none(), st.floats(0, 200))),
    st.builds(steps.Log, offset=st.floats(1e-9, 10), floor=st.floats(0, 1), base=st.floats(1.5, 20)),
    st.builds(steps.Standardize, mean=st.one_of(st.none(), NUMBERS, st.tuples(NUMBERS, NUMBERS)),
              std=st.one_of(st.none(), st.floats(1e-9, 9), st.tuples(st.floats(1e-9, 9)))),
    st.builds(steps.AreaResize, frames=st.integers(1, 999), bands=st.integers(1, 999)),
    st.builds(steps.Arrange, order=st.sampled_from(["tf", "ft", "-ft", "ctf", "ftc"]),
              channels=st.integers(1, 64)),
    st.builds(steps.Stretch), st.builds(steps.Colours))


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.builds(FrontEnd, sample_rate=st.integers(1_000, 768_000), steps=st.lists(STEPS, max_size=8),
                 seconds=st.one_of(st.none(), st.floats(1, 3600)),
                 short=st.sampled_from(["twice", "loop", "zeros"])))
def test_any_description_is_the_same_again(front_end):
    """To the last bit of every number, whether or not the steps fit together."""
    assert FrontEnd.from_dict(json.loads(json.dumps(front_end.as_dict()))) == front_end


@pytest.mark.parametrize("made", [
    lambda: FrontEnd.log_mel(np.int64(16_000), n_fft=np.int64(512), n_mels=np.int32(40)),
    lambda: FrontEnd.log_mel(16_000, fmin=np.float32(50), fmax=np.float64(7_000)),
    lambda: FrontEnd.waveform(16_000, np.float32(1.0))], ids=["whole numbers", "numbers", "seconds"])
def test_numbers_of_numpy_are_numbers(made, tmp_path):
    """Settings are often computed: what is accepted can be written, too."""
    made().save(tmp_path / "f.json")
    assert FrontEnd.load(tmp_path / "f.json") == made()


# ---- what is no front end

def written(path, **changes):
    """A file that describes a front end, but for these changes."""
    said = {**MANY["log-mel"].as_dict(), **changes}
    path.write_text(json.dumps({name: value for name, value in said.items() if value is not ...}))
    return path


HUGE = 10**400
REFUSED = {
    "no front end": ({"front_end": ...}, "front_end"),
    "another format": ({"front_end": 2}, "format 2"),
    "format as text": ({"front_end": "1"}, "format '1'"),
    "an unknown setting": ({"sample_rte": 8}, "'sample_rte'"),
    "no rate": ({"sample_rate": ...}, "sample_rate must be .*found 0"),
    "rate as text": ({"sample_rate": "16000"}, "sample_rate must be a whole number .*found '16000'"),
    "half a sample": ({"sample_rate": 16_000.5}, "sample_rate must be a whole number"),
    "a rate of no sound": ({"sample_rate": 10}, r"sample_rate must be .*1000\.\.768000, found 10"),
    "a rate that is true": ({"sample_rate": True}, "sample_rate .*found True"),
    "a huge rate": ({"sample_rate": HUGE}, "sample_rate"),
    "seconds as text": ({"seconds": "1"}, "seconds must be a number .*found '1'"),
    "no second": ({"seconds": 0}, "seconds .*found 0"),
    "endless": ({"seconds": float("inf")}, "seconds .*found inf"),
    "no number": ({"seconds": float("nan")}, "seconds .*found nan"),
    "hours": ({"seconds": 1e9}, "seconds"),
    "huge seconds": ({"seconds": HUGE}, "seconds"),
    "an unknown way": ({"short": "often"}, "short must be one of 'twice', 'loop', 'zeros', found 'often'"),
    "a way that is a list": ({"short": ["twice"]}, "short must be one of"),
    "steps as text": ({"steps": "Mel"}, "steps.*list"),
    "steps as an object": ({"steps": {"step": "Mel"}}, "steps.*list"),
    "too many steps": ({"steps": [{"step": "Stretch"}] * 33}, "32"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_front_end_is_refused_by_name(case, tmp_path):
    changes, message = REFUSED[case]
    path = written(tmp_path / "f.json", **changes)
    with pytest.raises(ValueError, match=rf"f\.json: not a front end: .*{message}"):
        FrontEnd.load(path)


STEPS_REFUSED = {
    "no step": (3, "step.*found 3"),
    "no name": ({}, "step.*found"),
    "a name that is none": ({"step": ["Mel"]}, "step.*found"),
    "an unknown step": ({"step": "Cepstrum"}, "Spectrogram, Mel, .*Cepstrum"),
    "a layer that is no step": ({"step": "Dense"}, "step.*found"),
    "resampling": ({"step": "Resample", "source": 8_000, "target": 16_000}, "step.*found"),
    "an unknown setting": ({"step": "Mel", "mels": 3}, "Mel.*'mels'.*n_mels"),
    "none to set": ({"step": "Stretch", "x": 1}, "Stretch.*'x'"),
    "n_fft 1": ({"step": "Spectrogram", "n_fft": 1}, "Spectrogram: n_fft .*found 1"),
    "n_fft as text": ({"step": "Spectrogram", "n_fft": "512"}, "Spectrogram: n_fft .*found '512'"),
    "n_fft true": ({"step": "Spectrogram", "n_fft": True}, "n_fft .*found True"),
    "n_fft a fraction": ({"step": "Spectrogram", "n_fft": 512.5}, "n_fft must be a whole number"),
    "n_fft huge": ({"step": "Spectrogram", "n_fft": HUGE}, "Spectrogram"),
    "hop 0": ({"step": "Spectrogram", "hop_length": 0}, "hop_length .*found 0"),
    "window too long": ({"step": "Spectrogram", "n_fft": 512, "win_length": 513}, "win_length .*513"),
    "unknown window": ({"step": "Spectrogram", "window": "tukey"}, "window must be one of 'hann', .*'tukey'"),
    "unknown padding": ({"step": "Spectrogram", "pad_mode": "wrap"}, "pad_mode must be one of .*'wrap'"),
    "center 1": ({"step": "Spectrogram", "center": 1}, "center must be true or false, found 1"),
    "power 0": ({"step": "Spectrogram", "power": 0}, "power .*found 0"),
    "rate of the picture": ({"step": "Spectrogram", "sample_rate": "x"}, "sample_rate"),
    "no rate of the picture": ({"step": "Spectrogram", "sample_rate": 0}, "sample_rate"),
    "no bands": ({"step": "Mel", "n_mels": 0}, "n_mels .*found 0"),
    "bands as a list": ({"step": "Mel", "n_mels": [3]}, "n_mels"),
    "fmin below 0": ({"step": "Mel", "fmin": -1}, "fmin .*found -1"),
    "fmax below fmin": ({"step": "Mel", "fmin": 900, "fmax": 800}, "fmax must lie above fmin"),
    "fmax as text": ({"step": "Mel", "fmax": "high"}, "fmax .*'high'"),
    "unknown norm": ({"step": "Mel", "norm": "l2"}, "norm must be one of .*'l2'"),
    "htk as text": ({"step": "Mel", "htk": "no"}, "htk .*'no'"),
    "rate of bands as text": ({"step": "Mel", "sample_rate": "44100"}, "Mel: sample_rate"),
    "rate of bands no number": ({"step": "Mel", "sample_rate": float("nan")}, "Mel: sample_rate"),
    "rate of bands below 0": ({"step": "Mel", "sample_rate": -44_100}, "Mel: sample_rate"),
    "bins of bands as text": ({"step": "Mel", "n_fft": "x"}, "Mel: n_fft"),
    "bins of bands no number": ({"step": "Mel", "n_fft": float("nan")}, "Mel: n_fft"),
    "first after last": ({"step": "Bins", "first": 5, "last": 5}, "last .*found 5"),
    "first as text": ({"step": "Bins", "first": "0"}, "first .*found '0'"),
    "unknown ref": ({"step": "Decibels", "ref": "min"}, "ref must be a number .* or 'max', found 'min'"),
    "amin 0": ({"step": "Decibels", "amin": 0}, "amin .*found 0"),
    "top_db below 0": ({"step": "Decibels", "top_db": -1}, "top_db .*found -1"),
    "unknown kind": ({"step": "Decibels", "kind": "loudness"}, "kind must be one of 'power', 'amplitude'"),
    "logarithm of 0": ({"step": "Log", "offset": 0}, "offset or a floor above 0"),
    "base 1": ({"step": "Log", "base": 1}, "base .*found 1"),
    "deviation 0": ({"step": "Standardize", "std": 0}, "std .*found 0"),
    "a mean as text": ({"step": "Standardize", "mean": ["a"]}, "mean .*found 'a'"),
    "a mean that is missing": ({"step": "Standardize", "mean": [None, 1.0]}, "mean"),
    "a deviation that is missing": ({"step": "Standardize", "std": [1.0, None]}, "std"),
    "no frames": ({"step": "AreaResize", "frames": 0}, "frames .*found 0"),
    "an order of nothing": ({"step": "Arrange", "order": ""}, "order must be made of"),
    "an order of others": ({"step": "Arrange", "order": "hwc"}, "order must be made of .*'hwc'"),
    "time backwards": ({"step": "Arrange", "order": "-tf"}, "order must be made of"),
    "an order as a number": ({"step": "Arrange", "order": 3}, "order must be made of .*found 3"),
    "channels 0": ({"step": "Arrange", "channels": 0}, "channels .*found 0"),
}


@pytest.mark.parametrize("case", STEPS_REFUSED)
def test_a_step_that_is_none_is_refused_by_name(case, tmp_path):
    step, message = STEPS_REFUSED[case]
    with pytest.raises(ValueError, match=rf"f\.json: not a front end: .*{message}"):
        FrontEnd.load(written(tmp_path / "f.json", steps=[step]))


NO_JSON = {"nothing": b"", "no JSON": b"{", "bytes": b"\xff\xfe\x00abc", "a number": b"1", "a list": b"[]",
           "null": b"null", "deep": b"[" * 100_000, "deep steps":
           b'{"front_end":1,"sample_rate":16000,"steps":[' + b"[" * 990 + b"]" * 990 + b"]}",
           "deep objects": b'{"front_end":' * 50_000,
           "digits": b'{"front_end":1,"sample_rate":' + b"9" * 5000 + b"}",
           "too large": b" " * (1 << 20) + b"{}"}


@pytest.mark.parametrize("case", NO_JSON)
def test_files_of_others_are_refused_by_name(case, tmp_path):
    path = tmp_path / "f.json"
    path.write_bytes(NO_JSON[case])
    with pytest.raises(ValueError, match=r"f\.json: not a front end: ") as refused:
        FrontEnd.load(path)
    assert len(str(refused.value)) < 2000
    assert ("1,048,576 bytes" in str(refused.value)) == (case == "too large")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OSError):
        FrontEnd.load(tmp_path / "none.json")
    with pytest.raises(OSError):
        FrontEnd.load(tmp_path)


def test_a_file_of_the_largest_size_is_read(tmp_path):
    path = tmp_path / "f.json"
    MANY["study"].save(path)
    path.write_bytes(path.read_bytes().ljust(1 << 20))
    assert FrontEnd.load(path) == FrontEnd.study()


def test_steps_of_others_are_refused():
    """A description could not say them: a subclass, a layer, Resample, a text."""
    class MyMel(steps.Mel):
        pass
    for step in (MyMel(), steps.Resample(8_000, 16_000), steps.Fit(3), steps.InverseSTFT(samples=9), "Mel",
                 None):
        with pytest.raises(ValueError, match=r"features\.steps"):
            FrontEnd(16_000, 1.0, (step,))


def test_steps_that_do_not_fit_are_named_where_they_are_put_together():
    for wrong, message in (((steps.Mel(),), "'mel'.*spectrogram"),
                           ((steps.Spectrogram(), steps.Spectrogram()), "'spectrogram2'.*sound"),
                           ((steps.Spectrogram(512), steps.Mel()), "'mel'.*1025 bins, found 257"),
                           ((steps.Spectrogram(512), steps.Bins(0, 300)), "'bins'.*not so many"),
                           ((steps.Standardize((1.0, 2.0)),), "'standardize'.*2 numbers as mean"),
                           ((steps.Arrange("ft"),), "'arrange'.*cannot arrange")):
        with pytest.raises(ValueError, match=message):
            FrontEnd(16_000, 1.0, wrong).network()
    with pytest.raises(ValueError, match="no length of its own"):
        FrontEnd.log_mel().network()
    assert dataclasses.replace(FrontEnd.log_mel(), seconds=1.0).network().output_shape == (44, 128)


@pytest.mark.parametrize(("options", "message"), [
    ({"sr": 0}, "sample_rate|sr"), ({"n_fft": 0}, "n_fft"), ({"scale": "dB"}, "scale must be one of"),
    ({"normalize": "std"}, "normalize must be"), ({"normalize": (1, 2, 3)}, "normalize must be"),
    ({"resize": (64,)}, r"resize must be \(frames, bands\)"), ({"resize": 64}, "resize must be"),
    ({"fmin": float("inf")}, "fmin"), ({"fmax": float("nan")}, "fmax"), ({"fmax": "high"}, "fmax"),
    ({"fmin": 900.0, "fmax": 800.0}, "fmax"), ({"fmin": -5.0}, "fmin"), ({"order": "hw"}, "order")], ids=str)
@pytest.mark.parametrize("make", [FrontEnd.spectrogram, FrontEnd.log_mel], ids=["spectrogram", "log_mel"])
def test_settings_are_refused_by_name(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
