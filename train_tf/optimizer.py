"""The optimizer: Muon for the kernels of convolutions, AdamW for all else (Jordan et al. 2024; Liu et al.
2025, arXiv 2502.16982).
"""
import keras
import tensorflow as tf

MOMENTUM = 0.95
SCALE = 0.2  # the size of an update's entries, as large as AdamW's are
# A quintic with these coefficients pushes all singular values towards 1 within five rounds (Jordan et al.
# 2024).
ROUNDS, A, B, C = 5, 3.4445, -4.7750, 2.0315


def orthogonal(matrix):
    """U Vᵀ of a matrix U S Vᵀ, roughly: X <- A·X + (B·X Xᵀ + C·(X Xᵀ)²) X, from X = M/‖M‖. Shape and type as
    given.

    Singular values above about 1 % of ‖M‖ end between 0.6 and 1.2, which is why bfloat16 is enough; smaller
    ones are raised as far as five rounds take them.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = tf.cast(tf.transpose(matrix) if tall else matrix, tf.bfloat16)
    x /= tf.norm(x) + 1e-7
    for _ in range(ROUNDS):
        square = x @ tf.transpose(x)
        x = A * x + (B * square + C * square @ square) @ x
    return tf.cast(tf.transpose(x) if tall else x, matrix.dtype)


@keras.saving.register_keras_serializable("audio_lrp")
class ConvMuon(keras.optimizers.AdamW):
    """AdamW in which the kernels of convolutions take steps of equal size in all directions.

        M <- μ·M + (1 - μ)·G
        W <- (1 - η·decay)·W - η·ratio·0.2·sqrt(max(n, m))·orthogonal(μ·M + (1 - μ)·G)

    W [n, m] is a kernel with window and channels as rows, filters as columns; G its gradient, η the learning
    rate. A gradient has a few large singular values, the loudness of an image above all; made orthogonal, a
    step moves along the weak ones as far.

    muon_ratio: learning rate of these kernels over that of the rest.
    """

    def __init__(self, learning_rate=1e-3, *, muon_ratio=2.0, name="conv_muon", **settings):
        super().__init__(learning_rate, name=name, **settings)
        self.muon_ratio = muon_ratio

    def build(self, variables):
        """One more array for each kernel: the running mean of its gradients."""
        if self.built:
            return
        super().build(variables)
        self.directions = [self.add_variable_from_reference(variable, name="direction")
                           if len(variable.shape) == 4 else None
                           for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        """A kernel's step as above; AdamW's for every other variable."""
        if len(variable.shape) != 4:
            super().update_step(gradient, variable, learning_rate)
            return
        mean = self.directions[self._get_variable_index(variable)]
        self.assign_add(mean, (1 - MOMENTUM) * (gradient - mean))
        ahead = (1 - MOMENTUM) * gradient + MOMENTUM * mean  # Nesterov's
        rows, filters = variable.shape[0] * variable.shape[1] * variable.shape[2], variable.shape[3]
        step = tf.reshape(orthogonal(tf.reshape(ahead, (rows, filters))), variable.shape)
        self.assign_sub(variable, learning_rate * self.muon_ratio * SCALE * max(rows, filters) ** 0.5 * step)

    def get_config(self):
        """What a checkpoint needs to make the optimizer again."""
        return {**super().get_config(), "muon_ratio": self.muon_ratio}
