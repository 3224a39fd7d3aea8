"""What each Keras layer becomes, family by family; `train_tf.convert` has them all in one table.

Two kinds of functions convert. CHAINS: f(layer, shape) gives our layer, or the (suffix, layer) pairs of
several that follow each other, for one input of that shape (without the batch axis). CALLS: f(build, layer,
...) is given the builder and what the layer was called with, and returns the tensors that come out.
"""
