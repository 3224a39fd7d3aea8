"""The gaps of exercise 2, filled."""


def ledger_line(x, W, b, R, R_in):
    s = R / (x @ W + b)
    received = R.sum()
    passed = R_in.sum()
    bias = (s * b).sum()
    residual = received - passed - bias
    return {"received": received, "passed": passed, "bias": bias, "residual": residual}
