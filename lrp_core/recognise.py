"""What a file is that some function cannot use: recognised by its content, and which command or function
takes it.
"""
import zipfile

from .files import UNREADABLE
from .protobuf import BYTES, NUMBER, varint
from .text import listing

OURS, ONNX = "a model file of this program", "an ONNX model"

EXPORT_KERAS = "convert it with `python -m train_tf export {} -o net.npz`"
EXPORT_TORCH = "export the model to ONNX (torch.onnx.export), which `lrp_core.from_onnx` reads"
NOT_READ = {
    "keras": f"a Keras model: {EXPORT_KERAS.format('model.keras')}",
    "hdf5": f"an HDF5 file; if it is a Keras model: {EXPORT_KERAS.format('model.h5')}",
    "torch": f"a PyTorch file; it holds Python objects, which are not unpickled here: {EXPORT_TORCH}",
    "pickle": f"a pickle, as PyTorch and others write; pickles are not read here: {EXPORT_TORCH}",
    "safetensors": f"a safetensors file, which holds weights without the network: {EXPORT_TORCH}",
    "tflite": "a TensorFlow Lite model, which is not read here: export the Keras model it was made from",
    "npy": "a NumPy array (.npy), not a network",
}
MAGIC = ((0, b"\x89HDF\r\n\x1a\n", "hdf5"), (0, b"\x93NUMPY", "npy"), (4, b"TFL3", "tflite"),
         (8, b'{"', "safetensors"), *((0, bytes([0x80, version]), "pickle") for version in range(2, 6)))
HEAD = 4096

# Fields that an ONNX ModelProto begins with, and their wire types.
VERSION, GRAPH = 1, 7
MODEL_FIELDS = {VERSION: NUMBER, 2: BYTES, 3: BYTES, 4: BYTES, 5: NUMBER, 6: BYTES, GRAPH: BYTES, 8: BYTES,
                14: BYTES}


def recognise(file):
    """OURS, ONNX, another description of the open file, or None where it is nothing known."""
    file.seek(0)
    head = file.read(HEAD)
    if head.startswith(b"PK"):
        return _archive(file)
    for position, magic, kind in MAGIC:
        if head[position:].startswith(magic):
            return NOT_READ[kind]
    return ONNX if _is_onnx(head) else None


def _archive(file):
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except UNREADABLE:  # nothing known; whoever reads it says what is wrong
        return None
    if "network.npy" in names:
        return OURS
    if "config.json" in names and any(name.endswith(".h5") for name in names):
        return NOT_READ["keras"]
    if any(name.endswith("data.pkl") for name in names):
        return NOT_READ["torch"]
    what = "a NumPy archive (.npz)" if names and all(name.endswith(".npy")
                                                     for name in names) else "a zip archive"
    return f"{what} without a network; it holds {listing(names, 5) or 'nothing'}"


def _is_onnx(head):
    """Does a file that begins with these bytes look like a protobuf message of ONNX's kind?"""
    position, seen = 0, set()
    while position < len(head):
        field, wire = head[position] >> 3, head[position] & 7
        if MODEL_FIELDS.get(field) != wire:
            return False
        if field == GRAPH:
            return VERSION in seen
        number, position = varint(head, position + 1)
        seen.add(field)
        position += number if wire == BYTES else 0
    return position > len(head) == HEAD and VERSION in seen  # a long description reaches beyond the head

