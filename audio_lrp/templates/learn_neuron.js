"use strict";
// One neuron, with everything that can be turned: inputs, weights, bias, the relevance that arrives, the rule.
//
// <div data-widget="neuron" data-x="1 2 -1" data-w="1 0.5 1" data-b="0.5" data-rules="zero epsilon" data-r="1">; data-compare: all
// rules beside each other; data-r: the relevance that arrives, where it is not z.

const list = text => text.split(" ").map(Number);

class Neuron {
  constructor(root) {
    const {x, w, b, rules: names = "zero", compare, begin = "zero", epsilon = "0.5", r} = root.dataset;
    this.compare = compare !== undefined;
    this.picker = this.compare ? this.numbers(root) : names === "zero" ? null
      : rulePicker(root, () => this.show(), {names: names.split(" "), begin, epsilon: Number(epsilon)});
    const body = table(root, "The neuron, input by input", ["", "x<sub>i</sub>", "w<sub>i</sub>", "x<sub>i</sub>w<sub>i</sub>",
      ...this.columns().map(([, title]) => title)]);
    this.lines = list(x).map((value, i) => {
      const cells = [0, 1].map(() => document.createElement("div")), other = this.cells(body, `input ${i + 1}`, cells);
      return {x: slider(cells[0], "", [-3, 3, 0.1, value], () => this.show(), `input ${i + 1}`),
              w: slider(cells[1], "", [-3, 3, 0.1, list(w)[i]], () => this.show(), `weight ${i + 1}`), other};
    });
    const cell = document.createElement("div");
    this.bias = {b: slider(cell, "", [-3, 3, 0.1, Number(b)], () => this.show(), "bias"),
                 other: this.cells(body, "bias b", ["", cell])};
    this.all = this.cells(body, "sum", ["", ""], "total");
    const more = make(root, "div", {className: "row"});
    this.own = tick(more, "R = z: explain the neuron's own output", r === undefined, () => this.show());
    this.R = slider(more, "R", [-5, 5, 0.1, Number(r ?? 1)], () => {
      this.own.checked = false;
      this.show();
    }, "relevance that arrives");
    this.formula = make(root, "div", {className: "formula", role: "status"});
  }

  // Where all rules stand beside each other: the numbers of γ and αβ.
  numbers(root) {
    const settings = {gamma: 0.25, alpha: 2, bias: "split"};
    const take = key => value => { settings[key] = value; this.show(); };
    slider(root, "γ", [0, 5, 0.05, 0.25], take("gamma"), "gamma");
    slider(root, "α (β = α − 1)", [1, 3, 0.1, 2], take("alpha"), "alpha");
    return {settings};
  }

  columns() { return this.compare ? RULES.filter(([name]) => name !== "epsilon") : [[null, "R<sub>i</sub>"]]; }

  // A row: its heading, two cells that stay, and cells that show() fills.
  cells(body, heading, [first, second], className = "") {
    const row = make(body, "tr", {className});
    make(row, "th", {scope: "row"}, heading);
    for (const cell of [first, second]) make(row, "td").append(cell);
    return Array.from({length: 1 + this.columns().length}, () => make(row, "td", {className: "share"}));
  }

  show() {
    const x = Float64Array.from(this.lines, line => line.x.value), w = Float64Array.from(this.lines, line => line.w.value);
    const b = this.bias.b.value, layer = Dense("neuron", w, Float64Array.of(b), x.length, 1), z = output(layer, x);
    if (this.own.checked) this.R.set(z[0]);
    const R = Float64Array.of(this.own.checked ? z[0] : this.R.value), parts = x.map((value, i) => value * w[i]);
    const found = this.columns().map(([name]) => {
      const rule = name ? ruleFrom({...this.picker.settings, name}) : this.picker ? this.picker.rule : Zero();
      return {rule, ...throughLinear(layer, rule, x, z, R)};
    });
    const most = largest(found.flatMap(({R, book}) => [...R, ...Object.values(book)]));
    const show = (cells, part, values) => [part, ...values].forEach((value, n) => {
      rich(cells[n], value === null ? "" : two(value));
      if (n && value !== null) bar(cells[n], value, most);
    });
    const clear = cells => cells.forEach(cell => { cell.html = undefined; });
    [...this.lines, this.bias].forEach(line => clear(line.other));
    this.lines.forEach((line, i) => show(line.other, parts[i], found.map(({R}) => R[i])));
    show(this.bias.other, b, found.map(({book}) => book.bias));
    rich(this.all[0], two(z[0]));
    found.forEach(({R}, n) => rich(this.all[n + 1], `${two(sum(R))} <small>of the inputs</small>`));
    rich(this.formula, this.words(x, w, b, z[0], R[0], found[0]));
  }

  words(x, w, b, z, R, {rule, R: R_in, book}) {
    const terms = Array.from(x, (value, i) => `${bracket(value)}·${bracket(w[i])}`).join(" + ");
    const forwards = `<p>z = Σ x<sub>i</sub>w<sub>i</sub> + b = ${terms} + ${bracket(b)} = <b>${two(z)}</b></p>`;
    if (this.compare) return forwards;
    const stable = rule.epsilon ? stabilize(z, rule.epsilon) : z;
    const below = rule.epsilon ? `(${two(z)} ${z >= 0 ? "+" : "−"} ${two(rule.epsilon)})` : two(z);
    const share = this.picker && !["zero", "epsilon"].includes(this.picker.settings.name) ? ""
      : Math.abs(stable) < SMALLEST ? "<p>z is 0: no input to give it to. The relevance is <em>gated</em>.</p>"
      : `<p>R<sub>1</sub> = x<sub>1</sub>w<sub>1</sub> / ${rule.epsilon ? "(z ± ε)" : "z"} · R = `
        + `${two(x[0] * w[0])} / ${below} · ${bracket(R)} = <b>${two(R_in[0])}</b></p>`;
    const lost = [["the bias takes", book.bias], ["the stabilizer takes", book.stabilizer], ["gated", book.gated]]
      .filter(([, value]) => Math.abs(value) > 5e-13)
      .map(([name, value]) => ` + ${bracket(value)} <small>${name}</small>`).join("");
    return `${forwards}${share}<p>${two(R)} <small>arrives</small> = ${bracket(sum(R_in))}`
      + ` <small>to the inputs</small>${lost}</p>`;
  }
}

widget("neuron", root => {
  const neuron = new Neuron(root);
  return () => neuron.show();
});
