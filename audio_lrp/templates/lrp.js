"use strict";
// Layer-wise relevance propagation in plain JavaScript, to be read. It computes what lrp_core computes (rules.py, flow.py,
// ledger.py) with the same letters; the tests compare the two to 1e-9. Arrays are Float64Array; a layer knows how to carry
// numbers forward, linear(layer, x, W, b) = W x + b, and back, adjoint(layer, s, W) = Wᵀ s (lrp_layers.js).

const SMALLEST = 1e-30; // below this a denominator is no number to share by

const sum = x => { let total = 0; for (const value of x) total += value; return total; };
const turnover = x => { let total = 0; for (const value of x) total += Math.abs(value); return total; };
const positive = x => x && x.map(value => Math.max(value, 0));
const negative = x => x && x.map(value => Math.min(value, 0));
const ones = x => x.map(() => 1);
const whole = x => x;
const stabilize = (z, epsilon) => z >= 0 ? z + epsilon : z - epsilon; // sign(0) = +1

// ---- Rules: in proportion to what is relevance shared? ---------------------------------------------------------------
//
// A rule turns a layer's W and b into groups. Each has a coefficient c, perhaps a gate m, and terms (part x', W', b'):
//     z = Σ_terms W' x' + b'          s = m R / stabilize(z)          R_in += c Σ_terms x' (W'ᵀ s)

const Zero = () => ({name: "LRP-0", epsilon: 0, groups: asForward});

const Epsilon = epsilon => ({name: "LRP-ε", epsilon, groups: asForward});

function asForward({W, b}) {
  return [{c: 1, terms: [{part: whole, W, b}]}];
}

// (x W)⁺ = x⁺W⁺ + x⁻W⁻ gets α, (x W)⁻ = x⁺W⁻ + x⁻W⁺ gets -β. bias: "whole" in both sums, "split" by sign, or "ignore".
const AlphaBeta = (alpha, beta, bias = "whole") => ({
  name: "LRP-αβ", epsilon: 0,
  groups({W, b}) {
    const up = positive(W), down = negative(W);
    const [for_, against] = bias === "ignore" ? [null, null] : bias === "whole" ? [b, b] : [positive(b), negative(b)];
    const groups = [{c: alpha, terms: [{part: positive, W: up, b: for_}, {part: negative, W: down, b: null}]}];
    if (beta) groups.push({c: -beta, terms: [{part: positive, W: down, b: against}, {part: negative, W: up, b: null}]});
    return groups;
  },
});

const ZPlus = (bias = "ignore") => ({...AlphaBeta(1, 0, bias), name: "z⁺"});

// What speaks for the output counts 1 + γ times; one group for outputs above zero, its mirror image for those below.
const Gamma = gamma => ({
  name: "LRP-γ", epsilon: 0,
  groups({W, b}) {
    const favour = (array, part) => array && part(array).map((value, i) => array[i] + gamma * value);
    const up = favour(W, positive), down = favour(W, negative);
    return [
      {c: 1, gate: y => y > 0, terms: [{part: positive, W: up, b: favour(b, positive)}, {part: negative, W: down, b: null}]},
      {c: 1, gate: y => y < 0, terms: [{part: positive, W: down, b: favour(b, negative)}, {part: negative, W: up, b: null}]}];
  },
});

// Every input that an output can see gets the same.
const Flat = () => ({
  name: "flat", epsilon: 0,
  groups: ({W}) => [{c: 1, terms: [{part: ones, W: ones(W), b: null}]}],
});

// ---- One linear layer ------------------------------------------------------------------------------------------------

// Each group of the rule with its denominators z, stabilized, and s = R / z. x, y: the layer's input and output.
function divided(layer, rule, x, y, R) {
  return rule.groups(layer).map(({c, gate, terms}) => {
    const parts = terms.map(term => ({...term, x: term.part(x)}));
    const z = new Float64Array(y.length), s = new Float64Array(y.length);
    for (const term of parts) linear(layer, term.x, term.W, term.b).forEach((value, j) => { z[j] += value; });
    const stable = z.map(value => rule.epsilon ? stabilize(value, rule.epsilon) : value);
    const open = stable.map(value => Math.abs(value) >= SMALLEST ? 1 : 0);
    const share = gate ? R.map((value, j) => gate(y[j]) ? value : 0) : R;
    for (let j = 0; j < s.length; j++) s[j] = open[j] ? share[j] / stable[j] : 0;
    return {c, parts, z, stable, open, share, s};
  });
}

// R_in from R, and what was lost on the way: {R, book}.
function throughLinear(layer, rule, x, y, R) {
  const R_in = new Float64Array(x.length), book = emptyBook();
  book.gated = sum(R);
  for (const {c, parts, z, stable, open, share, s} of divided(layer, rule, x, y, R)) {
    for (const term of parts) {
      const back = adjoint(layer, s, term.W);
      for (let i = 0; i < R_in.length; i++) R_in[i] += c * term.x[i] * back[i];
      if (term.b) book.bias += c * sum(s.map((value, j) => value * term.b[j % term.b.length]));
    }
    book.stabilizer += c * sum(s.map((value, j) => value * (stable[j] - z[j])));
    book.gated -= c * sum(share.map((value, j) => value * open[j]));
  }
  return {R: R_in, book};
}

// The messages R_{i<-j} of a dense layer, [inputs * outputs]: what input i gets from output j. Over j they sum to R_in.
function messages(layer, rule, x, y, R) {
  const J = y.length, found = new Float64Array(x.length * J);
  for (const {c, parts, s} of divided(layer, rule, x, y, R)) {
    for (const term of parts) {
      for (let i = 0; i < x.length; i++) {
        for (let j = 0; j < J; j++) found[i * J + j] += c * term.x[i] * term.W[i * J + j] * s[j];
      }
    }
  }
  return found;
}

// ---- A network -------------------------------------------------------------------------------------------------------

// A network is a list of layers. All values on the way: the input first, the scores last.
function forward(network, x) {
  const values = [Float64Array.from(x)];
  for (const layer of network) values.push(output(layer, values.at(-1)));
  return values;
}

// One layer back, whatever it is: {R, book}.
function through(layer, rule, x, y, R) {
  if (layer.type === "relu") return {R: R.slice(), book: emptyBook()};
  if (layer.type === "maxpool") return {R: toWinners(layer, x, R), book: emptyBook()};
  return throughLinear(layer, rule, x, y, R);
}

// The explanation of one score: the relevance at every value of `forward`, in its order, and the ledger, output first.
// ruleOf(layer) -> the rule for a layer; cross: how one layer is crossed.
function explain(network, x, target, ruleOf, cross = through) {
  const values = forward(network, x), scores = values.at(-1), relevance = [scores.map((z, k) => k === target ? z : 0)];
  const ledger = [];
  for (let n = network.length - 1; n >= 0; n--) {
    const layer = network[n], rule = ruleOf(layer), R = relevance[0];
    const crossed = cross(layer, rule, values[n], values[n + 1], R);
    relevance.unshift(crossed.R);
    ledger.push(entry(layer.name, isLinear(layer) ? rule.name : "", R, crossed.R, crossed.book));
  }
  return {values, scores, relevance, ledger, total: totalOf(ledger, scores[target], sum(relevance[0]))};
}

// ---- The ledger ------------------------------------------------------------------------------------------------------

const emptyBook = () => ({bias: 0, stabilizer: 0, gated: 0});

// R out = R in + bias + stabilizer + gated; what is left of it is the residual: rounding, or a mistake.
function entry(name, rule, R_out, R_in, {bias, stabilizer, gated}) {
  const received = sum(R_out), passed = sum(R_in);
  return {name, rule, received, passed, bias, stabilizer, gated, turnover: turnover(R_out) + turnover(R_in),
          residual: received - passed - bias - stabilizer - gated};
}

function totalOf(ledger, start, arrived) {
  const all = name => sum(ledger.map(line => line[name]));
  const [bias, stabilizer, gated] = ["bias", "stabilizer", "gated"].map(all);
  return {name: "all", rule: "", received: start, passed: arrived, bias, stabilizer, gated, turnover: all("turnover"),
          residual: start - arrived - bias - stabilizer - gated};
}

// Is a line's residual more than rounding explains?
const isWrong = line => !(Math.abs(line.residual) <= 1e-9 * line.turnover + 1e-300);
