"use strict";
// What a unit of the graph tells when it is chosen: what it got from each unit above, what it gave to each below, and how.

function tellUnit(graph) {
  const {detail, chosen: [depth, i]} = graph, value = graph.values[depth][i], R = graph.relevance[depth][i];
  const focused = detail.contains(document.activeElement) ? document.activeElement.type : null;
  detail.replaceChildren();
  make(detail, "h2", {}, unitName(depth, i));
  if (depth) make(detail, "p", {className: "formula"}, forwardWords(graph, depth, i));
  else inputSlider(graph, i, focused);
  if (!graph.arrived(depth)) {
    make(detail, "p", {className: "note"}, "No relevance has come here yet: hand it on.");
    return;
  }
  make(detail, "p", {}, `Its relevance: R = <b>${two(R)}</b>${depth === 3 ? ", where it all begins." : "."}`);
  const columns = make(detail, "div", {className: "columns"});
  if (depth < 3) given(graph, columns, depth, i);
  if (depth && graph.arrived(depth - 1)) gives(graph, columns, depth, i);
  else if (depth) make(columns, "p", {className: "note"}, "It has not given anything yet: hand relevance on.");
}

function inputSlider(graph, i, focused) {
  const changed = level => { graph.x[i] = level; graph.show(); };
  const made = slider(graph.detail, "Level", [0, 1, 0.01, graph.x[i]], changed, unitName(0, i));
  if (focused) made.element.querySelector(`[type=${focused}]`)?.focus();
  make(graph.detail, "p", {className: "note"}, "A second click on it in the picture turns it on or off.");
}

function forwardWords(graph, depth, j) {
  const layer = graph.network[UNITS[depth].layer], z = graph.e.values[UNITS[depth].layer + 1][j], x = graph.values[depth - 1];
  const parts = [...x.keys()].filter(i => x[i]).map(i => `${two(x[i])}·${bracket(layer.W[i * layer.outputs + j])}`);
  return `z = Σ x<sub>i</sub>w<sub>i</sub> + b = ${parts.join(" + ") || "0"} + ${bracket(layer.b[j])} = <b>${two(z)}</b>`
    + (depth < 3 ? `; the ReLU makes it <b>${two(Math.max(0, z))}</b>` : "");
}

// From whom: the messages of the layer above.
function given(graph, parent, depth, i) {
  const above = UNITS[depth + 1].count, found = Array.from({length: above}, (_, j) => graph.messages[depth][i * above + j]);
  const box = make(parent, "div"), most = largest(found);
  make(box, "h3", {}, "It got, from above");
  const body = table(box, "What it got", ["from", "R<sub>i←j</sub>"]);
  rows(body, [...found.map((message, j) => [[unitName(depth + 1, j), withBar(message, most)]]),
              [["all", withBar(sum(found), 0)], "total"]]);
}

// To whom, with the formula of its largest share.
function gives(graph, parent, depth, j) {
  const layer = graph.network[UNITS[depth].layer], J = layer.outputs, below = UNITS[depth - 1], x = graph.values[depth - 1];
  const only = graph.relevance[depth].map((value, k) => k === j ? value : 0), {rule, settings} = graph.picker;
  const y = graph.e.values[UNITS[depth].layer + 1], {book} = throughLinear(layer, rule, x, y, only);
  const found = Array.from(x, (_, i) => graph.messages[depth - 1][i * J + j]), most = largest([...found, ...Object.values(book)]);
  const shown = [...found.keys()].filter(i => found[i]), box = make(parent, "div");
  make(box, "h3", {}, "It gives, downwards");
  const best = shown.reduce((one, i) => Math.abs(found[i]) > Math.abs(found[one] ?? 0) ? i : one, -1);
  const share = {x, y, R: only, i: best, j, name: shareName(depth, best)};
  if (best >= 0) make(box, "p", {className: "formula"}, shareWords(layer, rule, settings, share));
  const letters = ["x<sub>i</sub>", "w<sub>ij</sub>", "x<sub>i</sub>w<sub>ij</sub>", "R<sub>i←j</sub>"];
  const body = table(box, "What it gives", ["to", ...letters]);
  const lost = [["the bias", book.bias], ["the stabilizer", book.stabilizer], ["gated", book.gated]]
    .filter(([, value]) => Math.abs(value) > 5e-13);
  const line = (i, w) => [shareName(depth, i), two(x[i]), two(w), two(x[i] * w), withBar(found[i], most)];
  rows(body, [
    ...shown.map(i => [line(i, layer.W[i * J + j])]),
    ...lost.map(([name, value]) => [[name, "", "", name === "the bias" ? two(layer.b[j]) : "", withBar(value, most)], "lost"]),
    [["all", "", "", two(y[j]), withBar(sum(found) + sum(Object.values(book)), 0)], "total"]]);
  if (below.count > shown.length) make(box, "p", {className: "note"}, "Those that get nothing are left out.");
}

const shareName = (depth, i) => depth === 1 ? `row ${1 + Math.floor(i / 4)}, moment ${1 + i % 4}` : `unit ${i + 1}`;

function withBar(value, most) {
  const cell = make(null, "span", {className: "share"}, two(value));
  bar(cell, value, most);
  return cell;
}

// R_{i<-j} with the numbers in it: a fraction for each group of the rule that gives to i.
const FRACTION = {zero: ["x_i w_ij", "z_j"], epsilon: ["x_i w_ij", "(z_j ± ε)"], gamma: ["x_i (w_ij + γw_ij⁺)", "z_j^γ"],
                  zplus: ["(x_i w_ij)⁺", "z⁺_j"], flat: ["1", "Σ 1"]};

function shareWords(layer, rule, settings, {x, y, R, i, j, name}) {
  const J = layer.outputs, found = [];
  divided(layer, rule, x, y, R).forEach(({c, parts, stable, s}, n) => {
    const part = parts.reduce((all, term) => all + term.x[i] * term.W[i * J + j], 0);
    if (!part || !s[j]) return;
    const [top, below] = FRACTION[settings.name] ?? [n ? "(x_i w_ij)⁻" : "(x_i w_ij)⁺", n ? "z⁻_j" : "z⁺_j"];
    const factor = settings.name === "alphabeta" ? n ? "−β · " : "α · " : "", number = factor ? `${two(c)} · ` : "";
    const numbers = `${number}${bracket(part)} / ${bracket(stable[j])} · ${bracket(R[j])}`;
    found.push([`${factor}${top} / ${below} · R_j`, numbers, c * part * s[j]]);
  });
  const letters = text => text.replace(/_(ij|[ij])/g, "<sub>$1</sub>").replace("^γ", "<sup>γ</sup>");
  const total = found.reduce((all, [, , value]) => all + value, 0);
  return `to ${name}: ${found.map(([text, numbers]) => `${letters(text)} = ${numbers}`).join(", ")} = <b>${two(total)}</b>`;
}
