"""python -m benchmarks: how fast the engine explains, in how much memory, and how well."""
import pathlib

import click

import features
import lrp_core
from lrp_core.chunks import default_threads

from . import (
    arrival,
    environments,
    equality,
    files,
    layers,
    limit,
    looks,
    memory,
    networks,
    report,
    scaling,
    sound,
    startup,
    study,
    throughput,
)
from .crew import at_work
from .machine import busy, circumstances
from .progress import say

OUTPUT = click.option("--output", metavar="DIR", type=click.Path(file_okay=False, path_type=pathlib.Path),
                      default=report.RESULTS, help="Folder of NAME.json and NAME.svg.  [default: "
                                                   "benchmarks/results]")
WITHOUT_PEERS = click.option("--without-peers", is_flag=True,
                             help="Time this project alone; needs nothing beside it.")
ENVIRONMENTS = click.option("--environments", "folder", metavar="DIR", default=str(environments.DEFAULT),
                            show_default=True,
                            type=click.Path(file_okay=False),
                            help="Where the peers' environments lie or are made: about 4 GB.")
PYTHON310 = click.option("--python310", metavar="PATH",
                         help="A Python 3.9 or 3.10 for iNNvestigate, which runs on no later one; looked for "
                              "on PATH and "
                              "in pyenv's folder where it is not given.")


COMMANDS = {networks.NAME: throughput.NAME}  # of benchmarks that have none of their own


def repeats(default):
    """The option --repeats of one benchmark."""
    return click.option("--repeats", default=default, show_default=True, type=click.IntRange(1),
                        help="Rounds; medians and quartiles of them are shown.")


def publish(benchmark, result, output, options=""):
    """Store and show a result under its name, with the command and the circumstances it was made in."""
    command = f"python -m benchmarks {COMMANDS.get(benchmark.NAME, benchmark.NAME)}{options}"
    report.publish({"name": benchmark.NAME, **circumstances(command), **result}, output)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main():
    """Time the engine. Compare rows of one run with each other; another machine or hour gives other numbers.

    Each command prints a table, writes it to benchmarks/results as NAME.json with a plot, NAME.svg, and
    writes the page benchmarks/RESULTS.md anew from all results that lie there.

    \b
    python -m benchmarks throughput --without-peers   a few minutes, nothing to install
    python -m benchmarks throughput                   beside iNNvestigate, zennit and others; more networks
    python -m benchmarks all                          everything: an hour on a machine left alone

    On first use the peers' environments are made with venv and pip under ~/.cache/audio-lrp-benchmarks. A
    peer that cannot be had is named in the table with the reason, and the others run.
    """
    if warning := busy():
        say(warning)


STUDY = "study"
NETWORK = click.option("--network", "chosen", multiple=True, type=click.Choice((STUDY, *networks.NETWORKS)),
                       help="Measure these only, and keep what is stored of the others.  [default: all]")


@main.command(name="throughput")
@repeats(7)
@NETWORK
@click.option("--preset", "presets", multiple=True, type=click.Choice(networks.PRESETS),
              help="Of networks that people use, measure these only.  [default: all]")
@WITHOUT_PEERS
@ENVIRONMENTS
@PYTHON310
@OUTPUT
def run_throughput(repeats, chosen, presets, without_peers, folder, python310, output):
    """Explanations per second, forward and backward, by preset and batch, beside the peers and the limit: the
    study's network, and some that people use (made by torch in the peers' environment).

    Before anything is timed, the relevance of 100 clips is compared with the peers'. Exits with 1, after the
    tables, where too few agree with iNNvestigate: fewer than 95 of 100 within 1e-4 (relative L2), or any
    beyond 1e-1. Where its own float32 strays more often than that from its own float64, ours may stray from
    it on 10 clips in 100 more. Networks that people use must agree with zennit in double precision.
    """
    chosen = chosen or (STUDY, *networks.NETWORKS)
    rates, options = limit.measured(default_threads()), " --without-peers" * without_peers
    missed = []
    if STUDY in chosen:
        missed += throughput_of_study(repeats, () if without_peers else throughput.TOOLS, folder, python310,
                                      rates, output, options)
    if others := [name for name in networks.NETWORKS if name in chosen]:
        tools = () if without_peers else networks.TOOLS
        missed += throughput_of_others(others, presets or networks.PRESETS, tools, folder, min(repeats, 3),
                                       rates, output, options)
    if missed:
        raise click.ClickException("the relevance is not the peer's, so the times above compare nothing:\n  "
                                   + "\n  ".join(missed))


def throughput_of_study(repeats, tools, folder, python310, rates, output, options):
    """Measure and publish the study's network with both weights: what is too different from the peer."""
    x, what = study.inputs()
    result = {"rows": [], "equality": [], "classes": [], "peers": {}}
    for weights, network, chosen in ((throughput.EMBEDDED, study.network(), tools),
                                     ("random weights", study.random_network(), tools[:-1])):
        with at_work(chosen, network, x, folder=folder, python310=python310) as (peers, reasons):
            found = throughput.measure(network, x, peers, reasons, rates=rates, weights=weights,
                                       repeats=repeats)
        result = {key: found[key] | value if isinstance(value, dict) else value + found[key]
                  for key, value in result.items()}
    publish(throughput, {"inputs": what, **result}, output, options)
    for sentence in equality.cost_of_rounding(result["equality"]):
        click.echo(sentence)
    return equality.shortfalls(result["equality"])


def throughput_of_others(names, presets, tools, folder, repeats, rates, output, options):
    """Measure and publish networks that people use: where they are too different from the peer."""
    found, failed = {}, []
    for name in names:
        try:
            found[name] = networks.measure(name, rates=rates, presets=presets, tools=tools, folder=folder,
                                           repeats=repeats)
        except networks.ExportError as error:
            failed.append(str(error))
    kept = report.stored(networks.NAME, output).get("networks", {})
    kept |= {name: networks.merged(kept.get(name), one) for name, one in found.items()}
    result = {"networks": {name: kept[name] for name in networks.NETWORKS if name in kept},
              "peers": {tool: versions for one in kept.values() for tool, versions in one["peers"].items()}}
    if found:
        publish(networks, result, output, options)
    return failed + networks.shortfalls({"networks": found})


@main.command(name="layers")
@repeats(20)
@OUTPUT
def run_layers(repeats, output):
    """Milliseconds and GFLOP/s of each layer on one thread, forward and backward, beside the matrix product's
    rate.
    """
    x, what = study.inputs()
    publish(layers, {"inputs": what, **layers.measure(study.network(), x, repeats=repeats)}, output)


@main.command(name="startup")
@repeats(3)
@WITHOUT_PEERS
@ENVIRONMENTS
@PYTHON310
@OUTPUT
def run_startup(repeats, without_peers, folder, python310, output):
    """Seconds from a new process to its first explanation, with warm, cold and no kernel cache, beside
    TensorFlow's.
    """
    x, what = study.inputs()
    tools = () if without_peers else (environments.INNVESTIGATE,)
    result = startup.measure(study.network(), x, repeats=repeats, tools=tools, folder=folder,
                             python310=python310)
    publish(startup, {"inputs": what, **result}, output, " --without-peers" * without_peers)


@main.command(name="memory")
@repeats(3)
@OUTPUT
def run_memory(repeats, output):
    """Peak resident size of fresh processes that explain 1, 32, 256 and 1024 clips."""
    x, what = study.inputs()
    publish(memory, {"inputs": what, **memory.measure(x, repeats=repeats)}, output)


@main.command(name="scaling")
@repeats(5)
@OUTPUT
def run_scaling(repeats, output):
    """Explanations per second by threads and by batch, from 1 to 1024 clips."""
    x, what = study.inputs()
    publish(scaling, {"inputs": what, **scaling.measure(study.network(), x, repeats=repeats)}, output)


@main.command(name="files")
@OUTPUT
def run_files(output):
    """From sound files to stored relevance: a clip's way stage by stage, whole commands, an hour's recording.
    """
    clips, what = study.clips()
    publish(files, {"inputs": what, **files.measure(study.network(), clips)}, output)


@main.command(name="sound")
@OUTPUT
def run_sound(output):
    """Where relevance falls in mixtures with a known answer, and whether the network hears the same in the
    relevant cells.
    """
    clips, what = study.clips()
    opened = [features.open_clip(y, rate) for y, rate, _ in clips]
    publish(sound, {"inputs": what, **sound.measure(study.network(), opened)}, output)


@main.command(name="arrival")
@OUTPUT
def run_arrival(output):
    """How many clips the network names right at other rates, levels and channels, as MP3, and without their
    upper bands.
    """
    clips, what = study.clips()
    publish(arrival, {"inputs": what, **arrival.measure(study.network(), clips)}, output)


@main.command(name="looks")
@click.option("--before", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
              help="The model file of an older network to stand beside the embedded one.")
@OUTPUT
def run_looks(before, output):
    """What the network looks at, class by class, and whether it leans on silence, seams, noise or what
    recorders cut off.
    """
    network = study.network()
    fold, what = looks.held_out(network)
    result = looks.measure(network, fold, before=lrp_core.load(before) if before else None)
    publish(looks, {"inputs": what, **result}, output, f" --before {pathlib.Path(before).name}" if before
            else "")


@main.command(name="all")
@WITHOUT_PEERS
@ENVIRONMENTS
@PYTHON310
@OUTPUT
@click.pass_context
def run_all(context, output, **peers):
    """Everything, one after the other. Exits with 1 where one of them does, after the others have run."""
    failed = []
    for command in (run_throughput, run_layers, run_startup, run_memory, run_scaling, run_files, run_sound,
                    run_arrival, run_looks):
        say(f"\n{command.name}")
        try:
            context.invoke(command, output=output,
                           **(peers if command in (run_throughput, run_startup) else {}))
        except click.ClickException as error:
            error.show()
            failed.append(command.name)
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
