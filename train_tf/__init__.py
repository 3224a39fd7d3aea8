"""TensorFlow trains the CNN and exports its weights; nothing else in Audio-LRP imports this package."""
