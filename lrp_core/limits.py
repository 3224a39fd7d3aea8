"""Bounds for numbers that come from files or callers, checked before memory is taken or time spent. All of
them.

The first are what arrays can be at all: within them nothing overflows, whoever made the network. The others
are for
networks from files, which strangers may have made: no network worth explaining needs more for a sample
(VGG-16 at 224x224 takes 2^22, 2^25, 2^25 and 2^34 of the four from MAX_SAMPLE on), and a file that declares
more would only fill the memory, or never end.
"""
MAX_AXES = 16            # of an array, without the batch axis
MAX_EXTENT = 1 << 16     # of a window, its strides, its dilation, a margin
MAX_ELEMENTS = 1 << 31   # numbers in an array of one sample

MAX_NODES = 100_000      # layers
MAX_PARAMETERS = 1 << 30  # numbers in the parameters and reference inputs together
MAX_SAMPLE = 1 << 26     # numbers in the output of a layer, or in its input with the padding around it
MAX_NUMBERS = 1 << 29    # numbers in the outputs of all layers
MAX_UNROLLED = 1 << 30   # numbers in all windows that a layer looks at
MAX_PRODUCTS = 1 << 40   # multiplications in all layers
# positions in the windows of all layers: NumPy takes them one by one, and group by group
MAX_TAPS = 1 << 19

MAX_DESCRIPTION = 1 << 24  # bytes of the description in a model file
# entries of an ONNX file's messages: 100 bytes each once they are read, for two in the file
MAX_FIELDS = 1 << 21
MAX_FILE = 1 << 31       # bytes of an ONNX file, by its own definition
MAX_DIGITS = 20          # of a whole number: longer ones count nothing, and take quadratic time to read

