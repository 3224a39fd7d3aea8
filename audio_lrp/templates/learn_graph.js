"use strict";
// The network of 33 units as a graph: relevance is handed back layer by layer, a unit tells what it got and gave.

const NAMES = lesson.tones.names;
// Layers of units as one sees them; where their values and the dense layer under them stand in the network.
const UNITS = [{title: "input", count: 16, at: 0}, {title: "hidden layer 1", count: 8, at: 2, layer: 0},
               {title: "hidden layer 2", count: 6, at: 4, layer: 2}, {title: "score", count: 3, at: 5, layer: 4}];
const PLACES = ["the scores", "hidden layer 2", "hidden layer 1", "the inputs"];

function unitName(depth, i) {
  if (depth === 3) return `score “${NAMES[i]}”`;
  return depth ? `${UNITS[depth].title}, unit ${i + 1}` : `input in row ${1 + Math.floor(i / 4)}, moment ${1 + i % 4}`;
}

class Graph {
  constructor(root) {
    this.root = root;
    this.x = Float64Array.from(PICTURES.rising);
    this.step = 0;
    this.chosen = [3, 0];
    this.target = "winner";
    const side = make(root, "div", {className: "settings"});
    this.picture = choose(side, "Input", Object.keys(PICTURES).map(name => [name, name]), "rising", name => {
      this.x = Float64Array.from(PICTURES[name]);
      this.show();
    });
    choose(side, "Explain", [["winner", "the winner"], ...NAMES.map((name, k) => [k, name])], "winner", value => {
      this.target = value;
      this.chosen = [3, this.explainedScore()];
      this.show();
    });
    this.picker = rulePicker(side, () => this.show());
    this.biased = tick(side, "biases", true, () => this.show());
    this.buttons(make(root, "div", {className: "row steps", role: "group", "aria-label": "Steps"}));
    this.status = make(root, "p", {className: "words", role: "status"});
    this.field = make(root, "div", {className: "graph", role: "group", "aria-label":
      "The network: 16 inputs, two hidden layers, 3 scores. Arrow keys move between units, Enter chooses one."});
    this.wires = svg(this.field, "svg", {"aria-hidden": "true"});
    this.units = UNITS.map(({count}, depth) => Array.from({length: count}, (_, i) => this.unit(depth, i)));
    this.scale = make(root, "p", {className: "scale"});
    for (const tag of ["span", "canvas", "span"]) make(this.scale, tag, tag === "canvas" ? {width: 256, height: 1} : {});
    this.detail = make(root, "section", {className: "detail", "aria-label": "The chosen unit"});
    this.book = new LedgerView(make(root, "div", {className: "book"}));
    this.field.addEventListener("keydown", event => this.keyed(event));
    new ResizeObserver(() => this.place()).observe(this.field);
  }

  buttons(row) {
    const go = step => { this.step = Math.max(0, Math.min(3, step)); this.show(); };
    this.moves = [press(row, "← Hand relevance on", () => go(this.step + 1), {className: "main"}),
                  press(row, "Take it back →", () => go(this.step - 1)), press(row, "All the way", () => go(3)),
                  press(row, "Start again", () => go(0))];
  }

  unit(depth, i) {
    const button = make(this.field, "button", {type: "button", className: depth ? "unit" : "unit pixel", tabIndex: -1});
    button.addEventListener("click", () => {
      // A second click on an input turns it on or off.
      if (!depth && this.chosen[0] === 0 && this.chosen[1] === i) this.x[i] = this.x[i] > 0.45 ? 0 : 0.9;
      this.choose(depth, i);
    });
    return button;
  }

  choose(depth, i, focus = false) {
    this.chosen = [depth, i];
    this.show();
    if (focus) this.units[depth][i].focus();
  }

  keyed(event) {
    const [depth, i] = this.focused(event.target), grid = depth === 0;
    if (depth === null || event.ctrlKey || event.altKey || event.metaKey) return;
    const next = {
      ArrowUp: [depth, i - (grid ? 4 : 1)], ArrowDown: [depth, i + (grid ? 4 : 1)],
      ArrowLeft: grid ? [0, i - 1] : this.beside(depth - 1, depth, i),
      ArrowRight: grid && i % 4 < 3 ? [0, i + 1] : this.beside(depth + 1, depth, i),
      Home: [depth, 0], End: [depth, UNITS[depth].count - 1],
    }[event.key];
    if (!next) return;
    event.preventDefault();
    const edge = grid && event.key === "ArrowLeft" && i % 4 === 0;
    if (next[0] >= 0 && next[0] < 4 && next[1] >= 0 && next[1] < UNITS[next[0]].count && !edge) this.choose(...next, true);
  }

  focused(element) {
    for (const [depth, units] of this.units.entries()) if (units.includes(element)) return [depth, units.indexOf(element)];
    return [null, null];
  }

  // The unit at about the same height in a neighbouring layer.
  beside(to, from, i) {
    if (!UNITS[to]) return [to, 0];
    const height = from ? (i + 0.5) / UNITS[from].count : (Math.floor(i / 4) + 0.5) / 4;
    return to ? [to, Math.min(UNITS[to].count - 1, Math.floor(height * UNITS[to].count))] : [0, 4 * Math.floor(height * 4) + 3];
  }

  get network() { return this.biased.checked ? TONES : without(TONES); }

  explainedScore() {
    if (this.target !== "winner") return this.target;
    const scores = forward(this.network, this.x).at(-1);
    return scores.indexOf(Math.max(...scores));
  }

  show() {
    const {network, picker: {rule}} = this;
    this.k = this.explainedScore();
    this.e = explain(network, this.x, this.k, () => rule);
    this.values = UNITS.map(({at}) => this.e.values[at]);
    this.relevance = UNITS.map(({at}) => this.e.relevance[at]);
    this.limit = this.relevance.map(largest);
    // messages[d]: from the units of depth d + 1 to those of depth d, [count d * count d + 1]
    this.messages = UNITS.slice(1).map(({layer, at}, d) =>
      messages(network[layer], rule, this.values[d], this.e.values[layer + 1], this.e.relevance[at]));
    this.arrived = depth => depth >= 3 - this.step;
    this.moves[0].disabled = this.moves[2].disabled = this.step === 3;
    this.moves[1].disabled = this.moves[3].disabled = this.step === 0;
    this.label();
    this.place();
    this.say();
    tellUnit(this);
    const lines = this.e.ledger.filter(line => line.rule).slice(0, this.step);
    this.book.show([...lines], this.e.total, this.step === 3);
  }

  label() {
    this.units.forEach((units, depth) => units.forEach((button, i) => {
      const value = this.values[depth][i], R = this.relevance[depth][i], here = this.arrived(depth);
      const chosen = this.chosen[0] === depth && this.chosen[1] === i;
      button.setAttribute("aria-label", `${unitName(depth, i)}: value ${two(value)}${here ? `, relevance ${two(R)}` : ""}`);
      button.setAttribute("aria-pressed", chosen);
      button.tabIndex = chosen ? 0 : -1;
      button.style.setProperty("--level", Math.max(0, Math.min(1, depth ? value / (largest(this.values[depth]) || 1) : value)));
      const text = fixed(here ? R : value, 1);
      const number = text === "0.0" ? '<span class="none">0</span>' : `<span>${text}</span>`;
      rich(button, depth === 3 ? `${number}<small>${NAMES[i]}</small>` : number);
      if (here) dress(button, R, this.limit[depth]);
      else button.style.backgroundColor = button.style.color = "";
      button.classList.toggle("reached", here);
    }));
    const limit = Math.max(...this.limit);
    scaleStrip(this.scale, diverging, "against", "for");
    this.scale.hidden = !limit;
  }

  // Units and lines where there is space for them.
  place() {
    const wide = this.field.clientWidth, narrow = wide < 560, size = narrow ? 30 : 46;
    if (!wide || !this.messages) return;
    const high = narrow ? 350 : 440, pixel = narrow ? 31 : 54;
    this.field.style.height = `${high}px`;
    const columns = narrow ? [0, 0.54, 0.74, 0.93].map(part => part * wide) : [0, 0.5, 0.72, 0.92].map(part => part * wide);
    this.spot = (depth, i) => depth ? [columns[depth], (i + 0.5) / UNITS[depth].count * high]
      : [(i % 4 + 0.5) * (pixel + 2), (high - 4 * (pixel + 2)) / 2 + (Math.floor(i / 4) + 0.5) * (pixel + 2)];
    this.units.forEach((units, depth) => units.forEach((button, i) => {
      const [x, y] = this.spot(depth, i), side = depth ? size : pixel;
      for (const [key, value] of Object.entries({left: x - side / 2, top: y - side / 2, width: side, height: side})) {
        button.style[key] = `${value}px`;
      }
    }));
    this.draw(wide, high);
  }

  draw(wide, high) {
    this.wires.replaceChildren();
    this.wires.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    const [depth, unit] = this.chosen;
    this.messages.forEach((all, d) => {
      const above = UNITS[d + 1].count, limit = largest(all), here = this.arrived(d);
      all.forEach((message, n) => {
        const i = Math.floor(n / above), j = n % above, mine = (depth === d && unit === i) || (depth === d + 1 && unit === j);
        const strength = here && limit ? Math.abs(message) / limit : 0;
        if (here && strength < 0.004) return;
        const [x1, y1] = this.spot(d, i), [x2, y2] = this.spot(d + 1, j);
        const line = svg(this.wires, "line", {x1, y1, x2, y2, class: here ? message < 0 ? "against" : "for" : "wire"});
        line.style.strokeWidth = here ? 0.5 + 6.5 * strength : 0.5;
        line.style.opacity = here ? (mine ? 0.95 : 0.28 + 0.25 * strength) : mine ? 1 : 0.6;
      });
    });
  }

  say() {
    const {step, e} = this, at = UNITS[3 - step], R = sum(this.relevance[3 - step]);
    const lost = e.ledger.filter(line => line.rule).slice(0, step);
    const [bias, rest] = [sum(lost.map(line => line.bias)), sum(lost.map(line => line.stabilizer + line.gated))];
    rich(this.status, step === 0
      ? `The network says “${NAMES[e.scores.indexOf(Math.max(...e.scores))]}”. `
        + `Relevance begins at the score “${NAMES[this.k]}”: ${two(R)}.`
      : `Relevance has reached ${PLACES[step]}: ${two(R)} in ${at.count} units. On the way biases took ${two(bias)}`
        + `${Math.abs(rest) > 5e-13 ? `, stabilizer and gates ${two(rest)}` : ""}.`);
  }
}

widget("graph", root => {
  const graph = new Graph(root);
  return () => graph.show();
});
