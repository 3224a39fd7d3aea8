"use strict";
// Three ways to be misled: scores that the softmax cannot tell apart, a bias that holds the score, and a sum that is wrong.

const winner = scores => scores.indexOf(Math.max(...scores));
const changed = (network, change) => network.map(layer => layer.name === "scores" ? {...layer, ...change(layer)} : layer);

// The same number, or the same weights, added to all classes: probabilities stay, scores and maps do not.
widget("shift", root => {
  const c = slider(root, "add c to every score's bias", [-30, 30, 0.5, 0], show, "c");
  const d = slider(root, "add d to each weight from unit 5 of hidden layer 2", [-5, 5, 0.1, 0], show, "d");
  const ruleName = choose(root, "Rule", [["zero", "LRP-0"], ["zplus", "z⁺"]], "zero", () => show());
  const body = table(root, "Scores and probabilities", ["", ...NAMES]), place = make(root, "div", {className: "maps"});
  const words = make(root, "p", {className: "words", role: "status"});
  function show() {
    const network = changed(TONES, ({W, b}) => ({b: b.map(value => value + c.value),
                                                 W: W.map((value, n) => Math.floor(n / 3) === 4 ? value + d.value : value)}));
    const rule = ruleName.value === "zero" ? Zero() : ZPlus(), x = PICTURES.steady, k = winner(forward(network, x).at(-1));
    const [before, now] = [TONES, network].map(one => explain(one, x, k, () => rule));
    rows(body, [[["score", ...Array.from(now.scores, two)]], [["probability", ...Array.from(softmax(now.scores), percent)]]]);
    place.replaceChildren();
    for (const [title, e] of [["as trained", before], ["shifted", now]]) {
      const figure = make(place, "figure");
      make(figure, "figcaption", {}, `<b>${title}</b>`);
      tinyMap(figure, e.relevance[0], `${title}: ${two(e.total.passed)} arrives`);
      make(figure, "small", {}, `score ${two(e.total.received)}<br>${two(e.total.passed)} arrives`);
    }
    rich(words, `“${NAMES[k]}” keeps its ${percent(softmax(now.scores)[k])}. `
      + `Its score is ${two(now.total.received)} instead of ${two(before.total.received)}, and `
      + ` ${two(now.total.passed)} arrives at the inputs instead of ${two(before.total.passed)}.`);
  }
  return show;
});

// A network without an opinion: all of the score is a bias.
widget("biased", root => {
  const b = slider(root, "bias of the score “rising”", [0, 60, 0.5, 40], show, "bias");
  const view = new LedgerView(make(root, "div", {className: "book"}));
  const words = make(root, "p", {className: "words", role: "status"});
  function show() {
    const network = changed(TONES, layer => ({b: layer.b.map((value, k) => k ? value : b.value)}));
    const {ledger, total, scores} = explain(network, PICTURES.falling, 0, () => Zero());
    view.show(ledger.filter(line => line.rule), total, true);
    rich(words, `The picture shows a falling tone. The network says “${NAMES[winner(scores)]}”; `
      + `the score “rising” is ${two(total.received)}, `
      + `of which biases hold ${two(total.bias)} and the inputs ${two(total.passed)}.`);
  }
  return show;
});

// Rules with a mistake in them, such as one makes; the ledger does not know of it, and so finds it.
const MISTAKES = {
  none: ["no mistake", R => R],
  forgotten: ["the last unit is forgotten", R => R.map((value, i) => i === R.length - 1 ? 0 : value)],
  absolute: ["divided by |z|", null],
  scaled: ["normalised to its maximum", R => R.map(value => value / (largest(R) || 1))],
};

function mistaken(kind) {
  const spoil = MISTAKES[kind][1];
  return (layer, rule, x, y, R) => {
    if (!isLinear(layer)) return through(layer, rule, x, y, R);
    const crossed = throughLinear(layer, rule, x, y, R), turned = R.map((value, j) => y[j] < 0 ? -value : value);
    if (!spoil) return {R: throughLinear(layer, rule, x, y, turned).R, book: crossed.book};
    return layer.name === "hidden2" ? {R: spoil(crossed.R), book: crossed.book} : crossed;
  };
}

widget("mistake", root => {
  let chosen = "forgotten";
  choose(root, "Mistake", Object.entries(MISTAKES).map(([key, [text]]) => [key, text]), chosen, key => { chosen = key; show(); });
  const maps = make(root, "div", {className: "maps"}), view = new LedgerView(make(root, "div", {className: "book"}));
  const words = make(root, "p", {className: "words", role: "status"});
  function show() {
    // The score of "steady" is below zero for this picture, so that dividing by |z| makes a difference.
    const [right, {relevance: [R], ledger, total}] = [through, mistaken(chosen)].map(
      cross => explain(TONES, PICTURES.rising, 1, () => Zero(), cross));
    maps.replaceChildren();
    for (const [title, values] of [["right", right.relevance[0]], [MISTAKES[chosen][0], R]]) {
      const figure = make(maps, "figure");
      make(figure, "figcaption", {}, `<b>${title}</b>`);
      tinyMap(figure, values, `${title}: ${two(sum(values))} arrives`);
    }
    view.show(ledger.filter(line => line.rule), total, true);
    const wrong = ledger.filter(isWrong);
    rich(words, wrong.length ? `The ledger does not add up: ${two(wrong[0].residual)} of the relevance is unaccounted for `
      + `in ${wrong[0].name}. lrp_core refuses to return such an explanation.` : "Every line adds up: the residual is rounding.");
  }
  return show;
});
