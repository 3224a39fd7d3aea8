"use strict";
// Choosing a rule and its numbers; and the pictures of one input by five rules.

const RULES = [["zero", "LRP-0"], ["epsilon", "LRP-ε"], ["gamma", "LRP-γ"], ["alphabeta", "LRP-αβ"],
               ["zplus", "z⁺"], ["flat", "flat"]];
const WORDS = {
  zero: "each input gets what it contributed",
  epsilon: "LRP-0 with ε added to the denominator: weak contributions are absorbed",
  gamma: "positive contributions count 1 + γ times",
  alphabeta: "positive contributions share α R, negative ones −β R; β = α − 1",
  zplus: "only positive contributions count, without the bias",
  flat: "every input gets the same, whatever it was",
};

function ruleFrom({name, epsilon, gamma, alpha, bias}) {
  return {zero: Zero, epsilon: () => Epsilon(epsilon), gamma: () => Gamma(gamma), zplus: ZPlus, flat: Flat,
          alphabeta: () => AlphaBeta(alpha, alpha - 1, bias)}[name]();
}

// Returns {rule, words, settings}; changed() is called when another rule is chosen.
function rulePicker(parent, changed, {names = RULES.map(([name]) => name), begin = "zero", epsilon = 0.5} = {}) {
  const box = make(parent, "div", {className: "picker"});
  const settings = {name: begin, epsilon, gamma: 0.25, alpha: 2, bias: "split"};
  const picker = {settings, get rule() { return ruleFrom(settings); }, get words() { return WORDS[settings.name]; }};
  const take = (key, value) => { settings[key] = value; show(); changed(); };
  picker.choice = choose(box, "Rule", RULES.filter(([name]) => names.includes(name)), begin, name => take("name", name));
  const numbers = {
    epsilon: slider(box, "ε", [0.01, 5, 0.01, epsilon], value => take("epsilon", value), "epsilon").element,
    gamma: slider(box, "γ", [0, 5, 0.05, 0.25], value => take("gamma", value), "gamma").element,
    alpha: slider(box, "α (β = α − 1)", [1, 3, 0.1, 2], value => take("alpha", value), "alpha").element,
    bias: choose(box, "Bias in z⁺ and z⁻", [["split", "by its sign"], ["whole", "whole, in both"], ["ignore", "left out"]],
                 "split", value => take("bias", value)).element,
  };
  const words = make(box, "p", {className: "note"});
  const shown = {epsilon: ["epsilon"], gamma: ["gamma"], alphabeta: ["alpha", "bias"]};
  function show() {
    for (const [key, element] of Object.entries(numbers)) element.hidden = !(shown[settings.name] ?? []).includes(key);
    rich(words, `${RULES.find(([name]) => name === settings.name)[1]}: ${WORDS[settings.name]}.`);
  }
  picker.set = name => { settings.name = name; picker.choice.set(name); show(); };
  show();
  return picker;
}

// A map of 4 x 4 relevances as small squares.
function tinyMap(parent, values, label) {
  const limit = largest(values), grid = make(parent, "div", {className: "tiny", role: "img", "aria-label": label});
  for (const value of values) dress(make(grid, "span"), value, limit);
  return grid;
}

// The same input by several rules, beside each other, with what arrives at the inputs.
widget("maps", root => {
  let picture = "noisy";
  choose(root, "Input", Object.keys(PICTURES).map(name => [name, name]), picture, name => { picture = name; show(); });
  const gamma = slider(root, "γ", [0, 5, 0.05, 0.25], show, "gamma"), alpha = slider(root, "α", [1, 3, 0.1, 2], show, "alpha");
  const place = make(root, "div", {className: "maps"}), words = make(root, "p", {className: "words", role: "status"});
  function show() {
    place.replaceChildren();
    const input = make(place, "figure");
    make(input, "figcaption", {}, "<b>input</b>");
    const grid = make(input, "div", {className: "tiny", role: "img", "aria-label": `The input: ${picture}`});
    for (const value of PICTURES[picture]) make(grid, "span", {className: "level"}).style.setProperty("--level", value);
    let said = "";
    for (const [name, title] of RULES.filter(([name]) => name !== "epsilon")) {
      const rule = ruleFrom({name, gamma: gamma.value, alpha: alpha.value, bias: "split"}), first = name === "flat" ? rule : null;
      const scores = forward(TONES, PICTURES[picture]).at(-1), target = scores.indexOf(Math.max(...scores));
      // "flat" is for the first layer; the layers above it take z⁺ then.
      const {relevance, total} = explain(TONES, PICTURES[picture], target,
        layer => layer.name === "hidden1" && first ? first : first ? ZPlus() : layer.name === "scores" ? Zero() : rule);
      const figure = make(place, "figure"), against = -sum(negative(relevance[0]));
      make(figure, "figcaption", {}, `<b>${title}</b>`);
      tinyMap(figure, relevance[0], `${title}: ${two(total.passed)} arrives at the inputs`);
      const part = against > 0.005 ? two(against) : "none";
      make(figure, "small", {}, `${two(total.passed)} arrives<br>${part} against`);
      said = `${lesson.tones.names[target]}, score ${two(total.received)}`;
    }
    rich(words, `Explained: ${said}. The last layer takes LRP-0 in each picture; `
      + "“flat” is in the first layer only, with z⁺ above it.");
  }
  return show;
});
