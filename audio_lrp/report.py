"""audio-lrp report: explanations as one page that opens offline, to see, hear and compare."""
import base64
import hashlib
import importlib.resources
import json
import pathlib
import sys

import click
import jinja2
import markupsafe
import soundfile

import lrp_core
from lrp_core.files import replacing

from . import EMBEDDED_CLIP
from .common import (
    PRESET_NAMES,
    check_engine,
    explain_or_complain,
    load_image_model,
    make_folder,
    open_or_complain,
    options,
)
from .names import shortest_names
from .report_data import clip_data, common_data
from .results import HEADINGS
from .terminal import say

PRESETS = ("epsilon", "preset_a_flat", "preset_b")
TEMPLATES = importlib.resources.files(__package__) / "templates"


def embedded(*names):
    """(text, its hash as a Content-Security-Policy names it) of styles or scripts that stand inside the page.
    """
    content = "\n".join(TEMPLATES.joinpath(name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return markupsafe.Markup(content), f"'sha256-{digest}'"


def as_json(data):
    """JSON that may stand inside a <script>: no `<`, so nothing in it can end the element."""
    return markupsafe.Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))


def rules_of(preset):
    """What a preset does, in a few words for its button: the rules of its layers with weights, and the
    study's name of it.
    """
    written = list(dict.fromkeys(rule for _, kind, rule in preset["pages"]
                                 if kind != "front end"
                                 and rule not in ("Pass()", "winner takes all", "LRP-0")))
    study = [f"the study's {HEADINGS[preset['name']]}"] if preset["name"] in HEADINGS else []
    return "; ".join([*study, ", ".join(written)])


def render(common, clips):
    """The page as text.

    common: of `report_data.common_data`. clips: a list of `report_data.clip_data`. The same data give the
    same text.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)
    template = environment.from_string(TEMPLATES.joinpath("report.html.j2").read_text(encoding="utf-8"))
    (style, style_hash), (script, script_hash) = embedded("report.css"), embedded("pictures.js", "report.js")
    # Nothing may be loaded, and nothing may run but these: not even a script that a clip's name would bring
    # along.
    policy = (f"default-src 'none'; script-src {script_hash}; style-src {style_hash}; media-src blob:; "
              "img-src data:; "
              "base-uri 'none'; form-action 'none'")
    return template.render(common=common, clips=clips, style=style, script=script, policy=policy,
                           as_json=as_json, rules_of=rules_of)


def presets_asked(names):
    """The presets without aliases and repetitions, in the order they were asked for."""
    return list(dict.fromkeys(lrp_core.ALIASES.get(name, name) for name in names))


@click.command()
@click.argument("clips", nargs=-1, metavar="[CLIP ...]")
@click.option("-o", "--output", "path", default="report.html", show_default=True,
              type=click.Path(dir_okay=False, path_type=pathlib.Path), help="The page to write.")
@click.option("--rules", "names", type=click.Choice(PRESET_NAMES), multiple=True, default=PRESETS,
              show_default=True,
              help="A preset to switch to in the page; repeat the option for several.")
@options("model", "engine", "dtype")
@click.option("--share", default=0.5, show_default=True, type=click.FloatRange(0, 1, min_open=True),
              help="How much of the relevance the part to hear carries.")
def report(clips, path, names, model_path, engine, dtype, share):
    """Write explanations as one page that opens in any browser, offline: to see, to hear, to compare.

    For each CLIP it holds the spectrogram and the relevance of every class by every preset, with a cursor
    that follows the sound; the original and the relevant part, to hear in turn; the relevance per moment and
    per frequency; and the ledger, layer by layer, as a table and as a picture. Nothing is loaded from
    anywhere: the one file is all there is (about 2 MB per clip with three presets). A file that cannot be
    read is named and left out; the exit code is then 1.

    \b
    audio-lrp report                                       the embedded clip
    audio-lrp report dog.wav -o dog.html                   a sound of yours
    audio-lrp report *.wav --rules epsilon                 many sounds, one preset: a smaller page
    audio-lrp report dog.wav --rules flat --rules preset_b --share 0.8
    """
    if not share > 0:  # NaN passes click's range
        raise click.BadParameter(f"{share} is no share", param_hint="--share")
    network, presets = load_image_model(model_path), presets_asked(names)
    check_engine(engine)
    # What cannot be written should be known before the work, not after it.
    make_folder(path.parent)
    if "MP3" not in soundfile.available_formats():
        raise click.ClickException(f"libsndfile {soundfile.__libsndfile_version__} cannot write MP3; 1.1 and "
                                   "newer can")
    paths = clips or (str(EMBEDDED_CLIP),)
    found, pages = [], {}
    steps = len(presets) * len(network.class_names)
    with click.progressbar(length=len(paths) * steps, label="explaining", file=sys.stderr) as bar:
        for source, name in zip(paths, shortest_names(paths)):
            clip = open_or_complain(source)
            if clip is None:
                bar.update(steps)
                continue
            data, pages = explain_or_complain(model_path, clip_data, network, clip, name, presets, share,
                                              lambda: bar.update(1),
                                              engine=engine, dtype=dtype)
            found.append(data)
    if found:
        page = render(common_data(network, pages, share), found).encode()
        try:
            with replacing(path) as partial:
                partial.write_bytes(page)
        except OSError as error:
            raise click.ClickException(f"{path}: cannot be written ({error.strerror})") from None
        say(f"{len(found)} clip{'s' * (len(found) > 1)}, {len(presets)} preset{'s' * (len(presets) > 1)}: "
            f"{path} ({len(page) / 1e6:.1f} MB)")
    if len(found) < len(paths):
        say(f"{len(paths) - len(found)} of {len(paths)} files could not be explained", err=True)
        raise SystemExit(1)
