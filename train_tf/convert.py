"""What each Keras layer becomes: a list of our layers, with suffixes for their names."""
import keras
import numpy as np

from lrp_core import layers as L

K = keras.layers


class ExportError(ValueError):
    """A Keras model that cannot be exported; the message names the layer and what to do."""


def require(layer, **settings):
    """Refuse a layer whose setting is not the one that we support."""
    for name, wanted in settings.items():
        found = getattr(layer, name, wanted)
        if found != wanted and not (isinstance(found, (tuple, list)) and set(found) == {wanted}):
            raise ExportError(f"layer {layer.name!r} ({type(layer).__name__}): {name}={found!r} is not "
                              "supported, "
                              f"only {wanted!r}")


def as_array(variable, dtype):
    """A Keras variable's value."""
    return keras.ops.convert_to_numpy(variable).astype(dtype)


def weights(layer, kernel="kernel"):
    """{"kernel": ..., "bias": ...} of a Keras layer."""
    arrays = {"kernel": as_array(getattr(layer, kernel), np.float32)}
    if layer.use_bias:
        arrays["bias"] = as_array(layer.bias, np.float32)
    return arrays


def conv2d(layer):
    require(layer, data_format="channels_last")
    return L.Conv2D(**weights(layer), strides=layer.strides, padding=layer.padding,
                    dilation=layer.dilation_rate,
                    groups=layer.groups)


def conv1d(layer):
    require(layer, data_format="channels_last", groups=1)
    if layer.padding == "causal":
        raise ExportError(f"layer {layer.name!r} (Conv1D): padding='causal' is not supported, only 'valid' "
                          "and 'same'")
    return L.Conv1D(**weights(layer), strides=layer.strides[0], padding=layer.padding,
                    dilation=layer.dilation_rate[0])


def depthwise(layer):
    require(layer, data_format="channels_last")
    return L.DepthwiseConv2D(**weights(layer), strides=layer.strides, padding=layer.padding,
                             dilation=layer.dilation_rate)


def separable(layer):
    """A depthwise convolution without a bias, then a 1x1 convolution: two layers, each with its own rule."""
    require(layer, data_format="channels_last")
    first = L.DepthwiseConv2D(as_array(layer.depthwise_kernel, np.float32), strides=layer.strides,
                              padding=layer.padding,
                              dilation=layer.dilation_rate)
    return [("_depthwise", first), ("", L.Conv2D(**weights(layer, "pointwise_kernel")))]


def transposed(layer):
    require(layer, data_format="channels_last", dilation_rate=1, output_padding=None)
    return L.Conv2DTranspose(**weights(layer), strides=layer.strides, padding=layer.padding)


def batch_norm(layer):
    """y = γ (x - mean) / sqrt(variance + ε) + β as a x + b."""
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    if axis not in (-1, len(layer.input.shape) - 1):
        raise ExportError(f"layer {layer.name!r} (BatchNormalization): axis={layer.axis} is not supported, "
                          "only the last")
    mean, variance = as_array(layer.moving_mean, np.float64), as_array(layer.moving_variance, np.float64)
    a = (as_array(layer.gamma, np.float64) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    b = (as_array(layer.beta, np.float64) if layer.center else 0.0) - a * mean
    return L.BatchNorm(a.astype(np.float32), b.astype(np.float32))


def layer_norm(layer):
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    if axis not in (-1, len(layer.input.shape) - 1):
        raise ExportError(f"layer {layer.name!r} (LayerNormalization): axis={layer.axis} is not supported, "
                          "only the last")
    channels = layer.input.shape[-1]
    gamma = as_array(layer.gamma, np.float32) if layer.scale else np.ones(channels, np.float32)
    beta = as_array(layer.beta, np.float32) if layer.center else np.zeros(channels, np.float32)
    return L.LayerNorm(gamma, beta, float(layer.epsilon))


def pool2d(ours):
    def convert_pool(layer):
        require(layer, data_format="channels_last")
        return ours(tuple(layer.pool_size), tuple(layer.strides), layer.padding)
    return convert_pool


def pool1d(ours):
    def convert_pool(layer):
        require(layer, data_format="channels_last")
        return ours(*(int(np.ravel(value)[0]) for value in (layer.pool_size, layer.strides)), layer.padding)
    return convert_pool


def over_all(ours):
    def convert_pool(layer):
        require(layer, data_format="channels_last", keepdims=False)
        return ours()
    return convert_pool


def relu(layer):
    require(layer, threshold=0.0)
    slope, top = float(layer.negative_slope), layer.max_value
    if top is not None and (float(top) != 6 or slope):
        raise ExportError(f"layer {layer.name!r} (ReLU): max_value={top} with negative_slope={slope} is not "
                          "supported")
    return L.ReLU6() if top is not None else L.LeakyReLU(slope) if slope else L.ReLU()


def softmax(layer):
    require(layer, axis=-1)
    return L.Softmax()


def plain(ours, **settings):
    def convert_plain(layer):
        require(layer, **settings)
        return ours()
    return convert_plain


def upsampling(layer):
    require(layer, data_format="channels_last", interpolation="nearest")
    return L.UpSampling2D(tuple(layer.size))


def as_map(ours, option):
    """A layer for sequences as its 2-D twin on a map of one row, between two reshapes."""
    def convert_row(layer):
        length, channels = layer.input.shape[1:]
        inner = ours(option(layer))
        _, longer, _ = inner.output_shape((1, length, channels))
        return [("_map", L.Reshape((1, length, channels))), ("", inner),
                ("_row", L.Reshape((longer, channels)))]
    return convert_row


def concatenate(layer):
    if layer.axis == 0:
        raise ExportError(f"layer {layer.name!r} (Concatenate): the batch axis cannot be concatenated")
    return L.Concatenate(layer.axis)


def rescaling(layer):
    require(layer, offset=0.0)
    return L.Scale(float(layer.scale))


# Each Keras class with what it becomes, before its activation.
CONVERSIONS = {
    K.Dense: lambda layer: L.Dense(**weights(layer)),
    K.Conv2D: conv2d,
    K.Conv1D: conv1d,
    K.DepthwiseConv2D: depthwise,
    K.SeparableConv2D: separable,
    K.Conv2DTranspose: transposed,
    K.BatchNormalization: batch_norm,
    K.LayerNormalization: layer_norm,
    K.MaxPooling2D: pool2d(L.MaxPool2D),
    K.AveragePooling2D: pool2d(L.AveragePool2D),
    K.MaxPooling1D: pool1d(L.MaxPool1D),
    K.AveragePooling1D: pool1d(L.AveragePool1D),
    K.GlobalMaxPooling2D: over_all(L.GlobalMaxPool2D),
    K.GlobalAveragePooling2D: over_all(L.GlobalAveragePool2D),
    K.GlobalMaxPooling1D: over_all(L.GlobalMaxPool1D),
    K.GlobalAveragePooling1D: over_all(L.GlobalAveragePool1D),
    K.Add: plain(L.Add),
    K.Subtract: plain(L.Subtract),
    K.Concatenate: concatenate,
    K.Flatten: plain(L.Flatten, data_format="channels_last"),
    K.Reshape: lambda layer: L.Reshape(layer.output.shape[1:]),
    K.Permute: lambda layer: L.Permute(tuple(layer.dims)),
    K.ZeroPadding2D: lambda layer: L.ZeroPadding2D(layer.padding),
    K.Cropping2D: lambda layer: L.Cropping2D(layer.cropping),
    K.ZeroPadding1D: as_map(
        L.ZeroPadding2D, lambda layer: ((0, 0), tuple(np.broadcast_to(layer.padding, 2).tolist()))
    ),
    K.Cropping1D: as_map(
        L.Cropping2D, lambda layer: ((0, 0), tuple(np.broadcast_to(layer.cropping, 2).tolist()))
    ),
    K.UpSampling1D: as_map(L.UpSampling2D, lambda layer: (1, int(layer.size))),
    K.UpSampling2D: upsampling,
    K.Rescaling: rescaling,
    K.ReLU: relu,
    K.LeakyReLU: lambda layer: L.LeakyReLU(float(layer.negative_slope)),
    K.ELU: lambda layer: L.ELU(float(layer.alpha)),
    K.Softmax: softmax,
    K.Activation: lambda layer: [],
    K.Dropout: lambda layer: L.Dropout(float(layer.rate)),
    K.SpatialDropout1D: lambda layer: L.Dropout(float(layer.rate)),
    K.SpatialDropout2D: lambda layer: L.Dropout(float(layer.rate)),
    K.GaussianNoise: lambda layer: [],
    K.GaussianDropout: lambda layer: [],
    K.ActivityRegularization: lambda layer: [],
}

# What an activation given by name becomes. Keras's `gelu` is the exact one unless asked otherwise.
ACTIVATIONS = {"relu": L.ReLU(), "relu6": L.ReLU6(), "leaky_relu": L.LeakyReLU(0.2), "elu": L.ELU(),
               "gelu": L.GELU(),
               "silu": L.SiLU(), "tanh": L.Tanh(), "sigmoid": L.Sigmoid(), "softmax": L.Softmax()}


def convert(layer):
    """The (suffix, our layer) pairs of one Keras layer: the layer itself, then its activation if it has one.
    """
    if type(layer) not in CONVERSIONS:
        known = ", ".join(sorted(cls.__name__ for cls in CONVERSIONS))
        raise ExportError(f"layer {layer.name!r}: {type(layer).__name__} is not supported; supported are "
                          f"{known}")
    made = CONVERSIONS[type(layer)](layer)
    made = list(made) if isinstance(made, list) else [("", made)]
    activation = "linear" if isinstance(layer, K.ELU | K.LeakyReLU | K.ReLU) else \
        getattr(getattr(layer, "activation", None), "__name__", "linear")
    if activation != "linear":
        if activation not in ACTIVATIONS:
            raise ExportError(f"layer {layer.name!r}: the activation {activation!r} is not supported, "
                              f"only {', '.join(ACTIVATIONS)}")
        made.append((f"_{activation}" if made else "", ACTIVATIONS[activation]))
    return made
