"use strict";
// The parts that all chapters are made of: elements, numbers with a slider, choices, bars, colours; and the two networks.

const lesson = JSON.parse(document.getElementById("lesson").textContent);

// An element with properties, children or text; rich(element, html) takes this page's own sentences with <sub> and <b>.
function make(parent, tag, properties = {}, content = "") {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  if (content) rich(element, content);
  if (parent) parent.append(element);
  return element;
}

// Only what has changed is written: a live region speaks whenever it is.
function rich(element, html) {
  if (element.html !== html) element.innerHTML = html;
  element.html = html;
}

const two = value => fixed(value, 2);
const signed = value => (value < 0 && two(value) !== "0.00" ? "" : "+") + two(value);
const bracket = value => value < 0 && two(value) !== "0.00" ? `(${two(value)})` : two(value);
const percent = value => `${fixed(100 * value, Math.abs(value) < 0.0995 && value ? 1 : 0)} %`;
const small = value => value === 0 ? "0" : minus(value.toExponential(0));
const titled = name => name.replace(/_/g, " ");
const largest = values => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

let ids = 0;

// A number: a slider and a field that show the same. Returns {value, set(value), element}.
function slider(parent, label, [low, high, step, value], changed, name = label) {
  const element = make(parent, "div", {className: "slider"}), id = `input-${ids++}`;
  if (label) make(element, "label", {htmlFor: id}, label);
  const plain = name.replace(/<[^>]*>/g, "");
  const range = make(element, "input", {type: "range", id, min: low, max: high, step, value, "aria-label": plain});
  const field = make(element, "input", {type: "number", min: low, max: high, step: "any", value,
                                        "aria-label": `${plain}, as a number`});
  const control = {value, element, set(next) {
    control.value = next;
    range.value = next;
    field.value = Number(next.toFixed(4));
  }};
  const take = input => {
    const next = input.valueAsNumber;
    if (!Number.isFinite(next)) return;
    control.value = Math.min(high, Math.max(low, next));
    if (input === range) field.value = Number(control.value.toFixed(4));
    else range.value = control.value;
    changed(control.value);
  };
  range.addEventListener("input", () => take(range));
  field.addEventListener("input", () => take(field));
  field.addEventListener("change", () => control.set(control.value));
  return control;
}

// One of several: radio buttons that look like one strip. choices: [[value, label]]. Returns {value, set(value)}.
function choose(parent, legend, choices, value, changed) {
  const group = make(parent, "fieldset", {className: "chips"});
  make(group, "legend", {}, legend);
  const name = `choice-${ids++}`, control = {value, element: group}, inputs = new Map();
  for (const [key, text] of choices) {
    const label = make(group, "label");
    const input = make(label, "input", {type: "radio", name, value: key, checked: key === value});
    make(label, "span", {}, text);
    inputs.set(key, input);
    input.addEventListener("change", () => { control.value = key; changed(key); });
  }
  control.set = next => { control.value = next; inputs.get(next).checked = true; };
  return control;
}

function tick(parent, label, checked, changed) {
  const element = make(parent, "label", {className: "tick"});
  const input = make(element, "input", {type: "checkbox", checked});
  make(element, "span", {}, label);
  input.addEventListener("change", () => changed(input.checked));
  return input;
}

function press(parent, text, pressed, properties = {}) {
  const button = make(parent, "button", {type: "button", ...properties}, text);
  button.addEventListener("click", pressed);
  return button;
}

// A bar from the middle: to the right what is for, to the left what is against.
function bar(parent, value, most) {
  const element = make(parent, "span", {className: value < 0 ? "bar against" : "bar for", "aria-hidden": "true"});
  element.style.setProperty("--size", Math.min(1, most ? Math.abs(value) / most : 0));
  return element;
}

// The colour of a relevance among those up to `limit`, and that of text on it.
function tint(value, limit) {
  const [r, g, b] = limit ? rgb(diverging, shade(value, limit)) : [247, 247, 247];
  return [`rgb(${r}, ${g}, ${b})`, 0.3 * r + 0.59 * g + 0.11 * b > 120 ? "#1d1c1b" : "#ffffff"];
}

function dress(element, value, limit) {
  [element.style.backgroundColor, element.style.color] = tint(value, limit);
}

// A table from rows of cells; the first cell of a row is its heading.
function rows(body, lines) {
  body.replaceChildren();
  for (const [cells, className = ""] of lines) {
    const row = make(body, "tr", {className});
    cells.forEach((cell, n) => {
      const place = make(row, n ? "td" : "th", n ? {} : {scope: "row"});
      if (cell instanceof Node) place.append(cell);
      else rich(place, cell);
    });
  }
}

function table(parent, label, headings) {
  const around = make(parent, "div", {className: "scroll", role: "region", tabIndex: 0, "aria-label": label});
  const element = make(around, "table"), head = make(make(element, "thead"), "tr");
  for (const text of headings) make(head, "th", {scope: "col"}, text);
  return make(element, "tbody");
}

// ---- The networks ----------------------------------------------------------------------------------------------------

function floats(text) {
  const view = new DataView(bytes(text).buffer);
  return Float64Array.from({length: view.byteLength / 4}, (_, n) => view.getFloat32(4 * n, true));
}

const LAYERS = {
  Dense: layer => Dense(layer.name, floats(layer.W), floats(layer.b), layer.shape[0], layer.outputs),
  Conv2D: layer => Conv(layer.name, floats(layer.W), floats(layer.b), layer.shape, layer.outputs),
  ReLU: layer => Relu(layer.name),
  MaxPool2D: layer => MaxPool(layer.name, layer.shape, 2),
  GlobalAveragePool2D: layer => Mean(layer.name, layer.shape),
};
const networkOf = data => data.layers.map(layer => LAYERS[layer.type](layer));
const TONES = networkOf(lesson.tones), SOUNDS = networkOf(lesson.sounds);
const without = network => network.map(layer => layer.b ? {...layer, b: layer.b.map(() => 0)} : layer);

// A tone in 4 bands, the highest first, over 4 moments
const PICTURES = {
  rising: [0, 0, 0, .9, 0, 0, .9, 0, 0, .9, 0, 0, .9, 0, 0, 0],
  steady: [0, 0, 0, 0, .9, .9, .9, .9, 0, 0, 0, 0, 0, 0, 0, 0],
  falling: [.9, 0, 0, 0, 0, .9, 0, 0, 0, 0, .9, 0, 0, 0, 0, .9],
  both: [.9, 0, 0, .9, 0, .9, .9, 0, 0, .9, .9, 0, .9, 0, 0, .9],
  noisy: [.1, .3, .2, .8, .2, .1, .7, .3, .3, .8, .1, .2, .9, .2, .3, .1],
};

// Every widget that a chapter shows: redrawn when the chapter comes into view or the light changes.
const widgets = [];
function widget(name, begin) {
  for (const root of document.querySelectorAll(`[data-widget=${name}]`)) widgets.push({root, show: begin(root)});
}
