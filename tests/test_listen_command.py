"""audio-lrp listen, as a person would call it: what it writes, says and refuses."""
import click.testing
import numpy as np
import pytest
import soundfile

import audio_lrp
import audio_lrp.listen as command
import features
import lrp_core
from audio_lrp.cli import main
from audio_lrp.explained import Explained
from features import listen

RATE, SAMPLES = 44_100, 176_400


def run(*arguments):
    """audio-lrp listen, as a person would call it."""
    return click.testing.CliRunner().invoke(main, ["listen", *(str(a) for a in arguments)])


def cells_of(clip, network):
    """Relevance of a clip's cells by the command's own preset."""
    return Explained(clip, lrp_core.explain(network, clip.image, "preset_a_flat"), "preset_a_flat").cells


@pytest.fixture(scope="module")
def clips_and_output(tmp_path_factory):
    """A short low tone with noise, the embedded clip, what is no sound, what is missing: the folder, result
    and paths.
    """
    folder = tmp_path_factory.mktemp("listen")
    t = np.arange(22_050) / 22_050
    tone = folder / "tone.wav"
    soundfile.write(tone, 0.3 * np.sin(2 * np.pi * 500 * t)
                    + 0.01 * np.random.default_rng(3).standard_normal(len(t)), 22_050)
    bad = folder / "bad.wav"
    bad.write_bytes(b"no sound at all")
    paths = [tone, bad, folder / "missing.wav", audio_lrp.EMBEDDED_CLIP]
    return folder, run(*paths, "--check", "2", "-o", folder / "heard"), paths


NAMES = [f"{stem}-{part}.wav" for stem in ("siren", "tone")
         for part in ("against", "original", "relevant", "remainder")]


def test_the_command_writes_four_sounds_for_each_clip_and_names_the_bad_ones(clips_and_output):
    folder, result, _ = clips_and_output
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "bad.wav" in result.stderr and "missing.wav" in result.stderr
    assert sorted(path.name for path in (folder / "heard").iterdir()) == NAMES
    for name in NAMES:
        facts = soundfile.info(folder / "heard" / name)
        assert (facts.format, facts.subtype, facts.channels) == ("WAV", "PCM_16", 1)
        assert (facts.samplerate, facts.frames) == (RATE, SAMPLES)
        assert name in result.stdout


def test_what_the_command_writes_are_the_parts(clips_and_output, urban_sounds):
    folder, _, paths = clips_and_output
    for path in (paths[0], paths[3]):
        clip = features.open_clip(path)
        made = listen.parts(clip, cells_of(clip, urban_sounds), share=0.5)
        expected = {"original": clip.sound, "relevant": made.relevant, "against": made.against,
                    "remainder": made.remainder}
        for part, y in expected.items():
            written, _ = soundfile.read(folder / "heard" / f"{path.stem}-{part}.wav")
            assert np.abs(written - y).max() <= 1.01 / 2**15, (path.name, part)


def test_the_command_prints_what_it_found(clips_and_output, urban_sounds):
    folder, result, paths = clips_and_output
    clip = features.open_clip(paths[3])
    relevant, against = (mask.mean() for mask in listen.divide(cells_of(clip, urban_sounds), share=0.5)[:2])
    block = next(block for block in result.stdout.split("\n\n") if "siren.flac" in block)
    assert f"siren: 50% of what speaks for it lies in {relevant:.2%} of the cells" in block
    assert f"against it in {against:.2%}" in block
    assert "of 1 clips" in block and "2 draws" in block
    assert "all clips:" in result.stdout.splitlines()[-1] and "of 2 clips" in result.stdout.splitlines()[-1]


def test_a_second_run_writes_the_same_bytes(clips_and_output):
    folder, first, paths = clips_and_output
    again = run(*paths, "--check", "2", "-o", folder / "second")
    assert again.stdout.replace("second", "heard") == first.stdout
    for name in NAMES:
        assert (folder / "second" / name).read_bytes() == (folder / "heard" / name).read_bytes(), name


def test_without_a_check_nothing_is_asked_and_a_good_clip_succeeds(clips_and_output, tmp_path):
    _, _, paths = clips_and_output
    result = run(paths[0], "-o", tmp_path, "--share", "0.9", "--target", "drilling", "--rules", "epsilon")
    assert result.exit_code == 0 and not result.stderr
    assert "drilling: 90%" in result.stdout and "draws" not in result.stdout and "keep" not in result.stdout


@pytest.mark.parametrize("share", ["0", "-1", "1.5", "half", "nan"])
def test_a_bad_share_is_a_usage_error(tmp_path, share):
    result = run("--share", share, "-o", tmp_path / "out")
    assert result.exit_code == 2 and "--share" in result.stderr and isinstance(result.exception, SystemExit)


def test_what_cannot_be_written_is_said_in_words_and_does_not_stop_the_others(clips_and_output, tmp_path,
                                                                              monkeypatch):
    """A full or forbidden disk: one clip's trouble is not the next one's."""
    _, _, paths = clips_and_output
    real = command.replacing

    def forbidden(path):
        if "tone" in path.name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(command, "replacing", forbidden)
    result = run(paths[0], paths[3], "-o", tmp_path)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "tone" in result.stderr and "not written" in result.stderr and "1 of 2" in result.stderr
    assert sorted(path.name
                  for path in tmp_path.iterdir()) == NAMES[:4] and "siren-relevant.wav" in result.stdout


def test_a_sound_beyond_full_scale_is_heard_softer_not_cut(tmp_path):
    """A float file whose peak is 3: the original keeps its shape, and the parts are as loud as that."""
    t = np.arange(4 * RATE) / RATE
    loud = 3 * np.sin(2 * np.pi * 440 * t) * np.exp(-t)
    soundfile.write(tmp_path / "loud.wav", loud, RATE, subtype="FLOAT")
    result = run(tmp_path / "loud.wav", "-o", tmp_path / "heard", "--share", "1")
    assert result.exit_code == 0, result.output
    written = {part: soundfile.read(tmp_path / "heard" / f"loud-{part}.wav")[0]
               for part in ("original", "relevant", "remainder")}
    np.testing.assert_allclose(written["original"], loud * 0.99 / np.abs(loud).max(), atol=1e-4)
    assert abs(listen.loudness(written["relevant"], RATE) - listen.loudness(written["original"], RATE)) < 0.5
    np.testing.assert_array_equal(listen.audible(np.array([0.5, -1.0])), [0.5, -1.0])


def test_a_part_is_never_written_over_a_sound_to_take_apart(tmp_path):
    for name in ("a.wav", "a-original.wav"):
        soundfile.write(tmp_path / name, 0.1 * np.random.default_rng(0).standard_normal(9000), RATE)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = run(tmp_path / "a.wav", tmp_path / "a-original.wav", "-o", tmp_path)
    assert result.exit_code == 2 and "a-original.wav would be overwritten" in result.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_silence_is_warned_of_and_not_counted_as_kept(tmp_path):
    soundfile.write(tmp_path / "nothing.wav", np.zeros(RATE), RATE)
    result = run(tmp_path / "nothing.wav", "-o", tmp_path / "heard", "--check", "1")
    assert (result.exit_code == 0 and "warning: the clip is silent" in result.stdout
            and "unsure" in result.stdout)
    assert "is heard as the class of" not in result.stdout
