"""What onnxruntime makes of a model and an input, to compare with."""
import os

import numpy as np

from ..files import ModelFileError
from .source import package

DTYPES = {"tensor(double)": np.float64, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
          "tensor(int32)": np.int32, "tensor(bool)": np.bool_}


def onnxruntime_scores(source, x, *, input=None, output=None, constants=None):
    """The value that `from_onnx` explains, as onnxruntime computes it for each sample of x [n, ...]: an array
    [n, ...], its batch axis of 1 taken off.

    The arguments are those of `from_onnx`, its bound inputs included. Raises ImportError where onnxruntime is
    not installed, ModelFileError where it refuses the model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"onnxruntime is not installed ({error}): pip install onnxruntime") from error
    from . import bound_inputs
    onnx = package()
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    model = source if path is None else onnx.load(path)
    if isinstance(model, bytes):
        model = onnx.load_from_string(model)
    name, whole, feeds, output = bound_inputs(model, input=input, output=output, shape=x.shape[1:],
                                              constants=constants)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    outputs = [value.name for value in model.graph.output]
    try:
        if path is not None and output in outputs:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        else:
            cut = onnx.ModelProto()
            cut.CopyFrom(model)
            if output not in outputs:
                cut.graph.output.append(onnx.helper.make_empty_tensor_value_info(output))
            session = onnxruntime.InferenceSession(cut.SerializeToString(), options,
                                                   providers=["CPUExecutionProvider"])
        given = {value.name: feeds.get(value.name, unread(value)) for value in session.get_inputs()}
        rows = []
        for sample in x:
            given[name] = sample.reshape(whole).astype(given[name].dtype)
            rows.append(np.asarray(session.run([output], given)[0], np.float64))
    except Exception as error:  # onnxruntime raises kinds of its own
        raise ModelFileError(f"onnxruntime refuses the model: {error}") from None
    return np.stack([row.reshape(row.shape[1:] if row.ndim > 1 and len(row) == 1 else row.shape or (1,))
                     for row in rows])


def unread(value):
    """Zeros for an input of a session that is neither explained nor bound, as nothing reads it."""
    dtype = DTYPES.get(value.type, np.float32)
    return np.zeros([n if isinstance(n, int) else 1 for n in value.shape], dtype)
