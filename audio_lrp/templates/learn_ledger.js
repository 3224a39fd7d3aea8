"use strict";
// The ledger of an explanation as a picture and a table, and what in it is alarming.

class LedgerView {
  constructor(root) {
    const figure = make(root, "figure", {className: "absorbed"});
    make(figure, "figcaption", {}, '<span><b>The ledger</b>, from the score down</span> <span class="key">'
      + '<span class="passed">handed on</span> <span class="bias">bias</span> '
      + '<span class="stabilizer">stabilizer</span> <span class="gated">gated</span></span>');
    this.picture = svg(figure, "svg", {role: "img"});
    this.body = table(root, "The ledger as a table", ["layer", "R out", "R in", "bias", "stabilizer", "gated", "residual"]);
    this.lines = [];
    new ResizeObserver(() => this.draw()).observe(figure);
  }

  // lines: entries, output first; total: of all; complete: has relevance arrived at the end?
  show(lines, total, complete, end = "the inputs") {
    Object.assign(this, {lines, total, complete, end});
    this.draw();
    const keys = ["received", "passed", "bias", "stabilizer", "gated"];
    const numbers = line => [...keys.map(key => two(line[key])), small(line.residual)];
    rows(this.body, [...lines.map(line => [[line.name, ...numbers(line)], isWrong(line) ? "wrong" : ""]),
                     ...(complete ? [[["all", ...numbers(total)], isWrong(total) ? "total wrong" : "total"]] : [])]);
  }

  draw() {
    if (!this.total || !this.picture.getBoundingClientRect().width) return;
    const {lines, total, complete, end} = this, row = line => [line.name, line.passed, line.bias, line.stabilizer, line.gated];
    const first = ["score", total.received, 0, 0, 0], last = [end, total.passed, 0, 0, 0];
    drawLedger(this.picture, [first, ...lines.map(row), ...(complete ? [last] : [])]);
    this.picture.setAttribute("aria-label", `Of the score ${two(total.received)}, ${two(total.passed)} arrives at ${end}; `
      + `biases take ${two(total.bias)}, stabilizers ${two(total.stabilizer)}, gates ${two(total.gated)}.`);
  }
}

// What in a ledger should make one stop: [[alarming?, sentence]].
function judged(ledger, total) {
  const score = Math.abs(total.received) || 1, wrong = ledger.find(isWrong), part = value => percent(Math.abs(value) / score);
  const crowd = Math.max(...ledger.map(line => line.turnover / (Math.abs(line.received) + Math.abs(line.passed) || 1)));
  const gates = largest(ledger.map(line => line.gated));
  return [
    [Boolean(wrong), wrong
      ? `Residual: ${two(wrong.residual)} is missing in ${wrong.name}. The sum is wrong: do not believe this map.`
      : "Residual: rounding only. Every part is accounted for."],
    [Math.abs(total.bias) > 0.5 * score, `Bias: ${part(total.bias)} of the score. ${Math.abs(total.bias) > 0.5 * score
      ? "The map explains only what is left of it." : "The inputs explain most of it."}`],
    [Math.abs(total.stabilizer) > 0.25 * score, `Stabilizer: ${part(total.stabilizer)}. ${Math.abs(total.stabilizer) > 0.25 * score
      ? "ε is large for the outputs of this network." : "ε is small enough not to matter."}`],
    [gates > 0.05 * score, `Gates: at most ${part(gates)} in a layer. ${gates > 0.05 * score
      ? "Some units had no input to give a part of their relevance to, or αβ had none for −β R."
      : "All units could hand on what they had."}`],
    [crowd > 5, `Cancellation: without signs, the relevance of a layer adds up to at most ${two(crowd)} times its sum. ${crowd > 5
      ? "Large numbers for and against cancel: small errors will show." : "Little cancels."}`],
  ];
}

const SITUATIONS = {
  sound: ["as trained, LRP-0", {}],
  alpha: ["αβ, bias whole in both", {rule: AlphaBeta(2, 1, "whole")}],
  split: ["αβ, bias by its sign", {rule: AlphaBeta(2, 1, "split")}],
  large: ["ε = 5", {rule: Epsilon(5)}],
  bias: ["a large bias", {bias: 20}],
  closed: ["z⁺ on a dark picture", {rule: ZPlus(), picture: new Array(16).fill(0)}],
};

widget("ledger", root => {
  let chosen = "sound";
  const situations = Object.entries(SITUATIONS).map(([key, [text]]) => [key, text]);
  choose(root, "Situation", situations, chosen, key => { chosen = key; show(); });
  const view = new LedgerView(make(root, "div", {className: "book"}));
  const verdicts = make(root, "ul", {className: "judged", role: "status"});
  function show() {
    const {rule = Zero(), picture = PICTURES.noisy, bias = 0} = SITUATIONS[chosen][1];
    const network = TONES.map(layer => layer.name === "scores" ? {...layer, b: layer.b.map(b => b + bias)} : layer);
    const scores = forward(network, picture).at(-1);
    const {ledger, total} = explain(network, picture, scores.indexOf(Math.max(...scores)), () => rule);
    view.show(ledger.filter(line => line.rule), total, true);
    const item = ([bad, text]) => `<li class="${bad ? "bad" : "good"}"><b>${bad ? "Alarming" : "Fine"}.</b> ${text}</li>`;
    rich(verdicts, judged(ledger, total).map(item).join(""));
  }
  return show;
});
