"""The study's convolutional network: 1,958,730 parameters over 64x64x3 images (Colussi and Ntalampiras 2021).
"""
import keras

INPUT_SHAPE = (64, 64, 3)


def build_cnn(classes=10, precision="float32"):
    """Three blocks of two 3x3 convolutions and an overlapping max-pool, then two dense layers.

    Convolutions are 'valid', pools 3x3 with stride 2 and padding 'same' (60 -> 30, 26 -> 13, 9 -> 5).
    precision: what Keras computes in, a name of its dtype policies; the weights and the probabilities are
    float32 under each of them.
    """
    layers = [keras.layers.Input(INPUT_SHAPE)]
    for block, channels in enumerate((32, 64, 128), start=1):
        second = 64 if channels == 32 else channels
        for part, filters in (("a", channels), ("b", second)):
            layers.append(keras.layers.Conv2D(filters, 3, activation="relu", kernel_initializer="he_uniform",
                                              dtype=precision, name=f"conv{block}{part}"))
        layers.append(keras.layers.MaxPooling2D(3, strides=2, padding="same", dtype=precision,
                                                name=f"pool{block}"))
        layers.append(keras.layers.Dropout(0.1, dtype=precision, name=f"drop{block}"))
    layers += [
        keras.layers.Flatten(dtype=precision, name="flatten"),
        keras.layers.Dense(512, activation="relu", kernel_initializer="he_uniform", dtype=precision,
                           name="dense1"),
        keras.layers.Dropout(0.5, dtype=precision, name="drop4"),
        keras.layers.Dense(classes, activation="softmax", dtype="float32", name="dense2"),
    ]
    return keras.Sequential(layers, name="urban_sound_cnn")
