"""What other programs' relevance is for the small architectures, beside their scores (make_architectures.py).

    torch-env/bin/python tests/data/make_relevance.py          # torch and lxt, after make_architectures.py

zero: LRP-0 by torch's autograd, hand-written: gradient x input in float64 of a surrogate whose gates,
    softmaxes and deviations are constants (detach), and whose activations are x times a constant f(x)/x.
attnlrp: lxt's explicit rules (Achtibat et al. 2024), epsilon 1e-12, in float64, for the spectrogram
    transformer.
"""
import numpy as np
import torch
import torch.nn.functional as F
from make_architectures import FOLDER, MODELS, settled
from torch.overrides import TorchFunctionMode

WITHOUT = ("crnn_gru", "crnn_lstm")  # torch's own recurrent kernels cannot be taken apart here


def passing(function):
    """f(x) as x · (f(x) / x), the factor held fixed: one in, one out."""
    def surrogate(x, *arguments, **options):
        with torch.no_grad():
            factor = function(x, *arguments, **options) / x
        return x * torch.nan_to_num(factor, 0.0, 0.0, 0.0)
    return surrogate


def constant(function):
    """A gate: held fixed."""
    return lambda *arguments, **options: function(*arguments, **options).detach()


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    centred = x - x.mean(-1, keepdim=True)
    deviation = torch.sqrt(centred.square().mean(-1, keepdim=True) + eps).detach()
    return centred / deviation * weight + bias


def variance(x, dim, keepdim=False, unbiased=True, correction=None):
    centred = x - x.mean(dim, keepdim=True)
    count = x.shape[dim] - (1 if unbiased else 0)
    return (centred * centred.detach()).sum(dim, keepdim=keepdim) / count


def attention(query, key, value, width, heads, weight, bias, *arguments, **options):
    """nn.MultiheadAttention's sum, [t, n, width], the softmax held fixed."""
    out_weight, out_bias = arguments[4:6]
    q, k, v = ((x @ w.T + b).reshape(len(x), -1, heads, width // heads).permute(1, 2, 0, 3)
               for x, w, b in zip((query, key, value), weight.chunk(3), bias.chunk(3)))
    y = torch.softmax(q @ k.transpose(-1, -2) / (width // heads) ** 0.5, -1).detach() @ v
    return y.permute(2, 0, 1, 3).reshape(query.shape) @ out_weight.T + out_bias, None


def glu(x, dim=-1):
    a, b = x.chunk(2, dim)
    return a * torch.sigmoid(b).detach()


def power(x, exponent):
    return x * x.detach() if exponent == 2 else passing(torch.pow)(x, exponent)


SURROGATES = {
    torch.sigmoid: constant(torch.sigmoid), torch.softmax: constant(torch.softmax),
    torch.Tensor.softmax: constant(torch.Tensor.softmax), F.hardsigmoid: constant(F.hardsigmoid),
    F.hardswish: passing(F.hardswish), F.gelu: passing(F.gelu), F.silu: passing(F.silu),
    torch.sqrt: passing(torch.sqrt), torch.log: passing(torch.log), torch.tanh: passing(torch.tanh),
    torch.Tensor.pow: power, torch.Tensor.__pow__: power, torch.Tensor.var: variance,
    F.layer_norm: layer_norm, F.glu: glu, F.multi_head_attention_forward: attention,
}


class Surrogate(TorchFunctionMode):
    """Puts the surrogates in the place of torch's functions."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        surrogate = SURROGATES.get(function)
        if surrogate is None:
            return function(*arguments, **(options or {}))
        with torch._C.DisableTorchFunction():
            return surrogate(*arguments, **(options or {}))


def zero(model, x, score):
    """LRP-0 of score(y), by gradient x input of the surrogate."""
    x = x.double().requires_grad_()
    with Surrogate():
        y = model(x)
    score(y).backward()
    return (x * x.grad).detach().numpy()


class Identity(torch.autograd.Function):
    """An activation that relevance passes."""

    @staticmethod
    def forward(context, x, function):
        return function(x)

    @staticmethod
    def backward(context, r):
        return r, None


def attnlrp(model, x, score):
    """The spectrogram transformer by lxt's explicit rules."""
    import lxt.explicit.functional as lf
    tiny = 1e-12

    def linear(layer, x):
        return lf.linear_epsilon(x, layer.weight, layer.bias, tiny)

    def norm(layer, x):
        return lf.layer_norm_grad_fn.apply(x, layer.weight, layer.bias, layer.eps, tiny)

    x = x.double().requires_grad_()
    patches = F.unfold(x, 4, stride=4).transpose(1, 2)
    y = lf.linear_epsilon(patches, model.patches.weight.flatten(1), model.patches.bias, tiny)
    y = torch.cat([model.token.expand(len(y), -1, -1), y], 1)
    y = lf.add2(y, model.positions, False, tiny)
    for block in model.blocks:
        n = norm(block.norm1, y)
        b, count, width = n.shape
        heads = block.attention.heads
        q, k, v = linear(block.attention.qkv, n).reshape(b, count, 3, heads, -1).permute(2, 0, 3, 1, 4)
        s = lf.mul2(lf.matmul(q, k.transpose(-2, -1), False, tiny), (width // heads) ** -0.5)
        a = lf.matmul(lf.softmax(s, -1), v, False, tiny)
        y = lf.add2(y, linear(block.attention.out, a.transpose(1, 2).reshape(b, count, width)), False, tiny)
        inner = Identity.apply(linear(block.mlp[0], norm(block.norm2, y)), F.gelu)
        y = lf.add2(y, linear(block.mlp[2], inner), False, tiny)
    z = linear(model.head, norm(model.norm, y)[:, 0])
    chosen = score(z)
    (r,) = torch.autograd.grad(z, x, torch.autograd.grad(chosen, z, retain_graph=True)[0] * z.detach())
    return r.detach().numpy()


def main():
    for number, (name, (make, _)) in enumerate(MODELS.items()):
        if name in WITHOUT:
            continue
        torch.manual_seed(number)
        model = settled(make()).double()
        path = FOLDER / f"{name}.npz"
        with np.load(path) as stored:
            arrays = {key: stored[key] for key in ("x", "y")}
        x, maps = torch.from_numpy(arrays["x"]), arrays["y"].ndim > 2

        def score(y):
            return y.sum() if maps else y.max(1).values.sum()
        arrays["zero"] = zero(model, x, score)
        if name == "ast":
            arrays["attnlrp"] = attnlrp(model, x, score)
        np.savez(path, **arrays)
        print(name, {key: float(np.abs(value).max()) for key, value in arrays.items()})


if __name__ == "__main__":
    main()
