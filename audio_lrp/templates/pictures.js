"use strict";
// Pictures of what Python has computed, on canvas and in SVG: nothing here decides what is relevant. report_views.js uses them;
// they use numbers.js.

const BOTTOM = 34, TOP = 6;             // margins of a picture in CSS pixels, as .playhead has them: axis, half a line
const common = JSON.parse(document.getElementById("common").textContent);
const {rows: ROWS, columns: COLUMNS} = common;  // pixels of a map
const magma = bytes(common.magma), diverging = bytes(common.diverging);

const minus = text => text.replace(/-/g, "\u2212");
const fixed = (number, digits = 4) => minus((Math.abs(number) < 0.5 * 10 ** -digits ? 0 : number).toFixed(digits));
const short = number => minus(number === 0 ? "0" : Number(number.toPrecision(2)).toString());

// ---- Pictures -------------------------------------------------------------------------------------------------------

// A sharp canvas: its context, and the box [left, top, width, height] inside the axes.
function sharp(canvas, left) {
  const [context, width, height] = sharpened(canvas);
  return [context, [left, TOP, width - left - parseFloat(colourOf("right")), height - TOP - BOTTOM]];
}

// A picture of rows and columns: colour(index) -> [red, green, blue, alpha] for each pixel, top row first.
function imageOf(columns, rows, colour) {
  const image = new OffscreenCanvas(columns, rows), pixels = new ImageData(columns, rows);
  for (let index = 0; index < rows * columns; index++) pixels.data.set(colour(index), 4 * index);
  image.getContext("2d").putImageData(pixels, 0, 0);
  return image;
}

function place(context, [left, top, width, height], image) {
  context.imageSmoothingEnabled = false;
  context.drawImage(image, left, top, width, height);
}

// A map, painted into the box.
function paint(context, box, colour) {
  place(context, box, imageOf(COLUMNS, ROWS, colour));
}

// span: the seconds [from, to] that the box shows.
function timeAxis(context, [left, top, width, height], [from, to] = [0, common.seconds]) {
  context.textBaseline = "top";
  const steps = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300];
  const step = steps.find(one => (to - from) / one <= 8) ?? 600;
  for (let count = Math.ceil(from / step - 1e-9); count * step <= to + 1e-9; count++) {
    const second = Number((count * step).toFixed(3)), x = left + width * (second - from) / (to - from);
    context.fillRect(x - 0.5, top + height, 1, 4);
    context.textAlign = x < left + 12 ? "left" : x > left + width - 12 ? "right" : "center";
    context.fillText(second, x, top + height + 5);
  }
  context.textAlign = "center";
  context.fillText("seconds", left + width * 0.625, top + height + 19);
}

function hertzAxis(context, [left, top, , height]) {
  context.textAlign = "right";
  context.textBaseline = "middle";
  let last = -Infinity;
  for (const [label, place] of [...common.ticks].reverse()) {
    const y = top + height * (1 - place);
    if (y < last + 13) continue; // no room for its label
    last = y;
    context.fillRect(left - 4, y - 0.5, 4, 1);
    context.fillText(label, left - 6, y);
  }
  context.save();
  context.translate(7, top + height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText("hertz", 0, 0);
  context.restore();
}

// How far the colours reach, and where a value lies among the 256 of them.
const shade = (value, limit) => Math.round(255 * Math.min(1, Math.max(0, (value / limit + 1) / 2)));
const rgb = (map, index) => map.subarray(3 * index, 3 * index + 3);

function scaleStrip(scale, map, low, high) {
  const [before, canvas, after] = scale.children, pixels = new ImageData(256, 1);
  for (let index = 0; index < 256; index++) pixels.data.set([...rgb(map, index), 255], 4 * index);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  before.textContent = low;
  after.textContent = high;
}

// Draw inside the box only.
function within(context, box, draw) {
  context.save();
  context.beginPath();
  context.rect(...box);
  context.clip();
  draw();
  context.restore();
}

// Bars from zero for what speaks for (plus) and against (minus); upright over time, or lying along the bands.
// whole: the box of the whole profile, of which `box` shows a part.
function drawProfile(context, box, plus, minusses, lying, whole = box) {
  const high = Math.max(...plus), low = Math.min(...minusses), span = high - low || 1, count = plus.length;
  const [left, top, width, height] = box;
  const along = lying ? height / count : whole[2] / count, across = lying ? width : height;
  const zero = lying ? left - low / span * across : top + high / span * across;
  within(context, box, () => [[plus, "for"], [minusses, "against"]].forEach(([values, role]) => {
    context.fillStyle = colourOf(role);
    values.forEach((value, index) => {
      const length = value / span * across, from = Math.round(index * along), thick = Math.round((index + 1) * along) - from;
      if (lying) context.fillRect(zero, top + height - from - thick, length, thick);
      else context.fillRect(whole[0] + from, zero, thick, -length);
    });
  }));
  context.fillStyle = colourOf("soft");
  if (lying) context.fillRect(zero - 0.5, top, 1, height);
  else context.fillRect(left, zero - 0.5, width, 1);
  // Ends that lie on zero, or so near that the numbers would overlap, are told by zero alone.
  const ends = [[high, lying ? left + width : top], [low, lying ? left : top + height]];
  for (const [value, place] of [...ends.filter(end => Math.abs(end[1] - zero) > (lying ? 40 : 12)), [0, zero]]) {
    context.textAlign = !lying ? "right" : place <= left + 12 ? "left" : place >= left + width - 12 ? "right" : "center";
    context.textBaseline = lying ? "top" : "middle";
    if (lying) context.fillText(short(value), place, top + height + 5);
    else context.fillText(short(value), left - 6, place);
  }
}

// The lowest and the highest samples of a sound, int8, over time. whole: as of drawProfile.
function drawWaveform(context, box, low, high, whole) {
  const [, top, , height] = box, middle = top + height / 2, each = whole[2] / low.length;
  within(context, box, () => {
    context.fillStyle = colourOf("accent");
    for (let index = 0; index < low.length; index++) {
      const before = Math.max(index - 1, 0); // each bar reaches the one before it: few samples make a line, not dots
      const up = Math.max(high[index], low[before]) / 127 * height / 2;
      const down = Math.min(low[index], high[before]) / 127 * height / 2;
      context.fillRect(whole[0] + index * each, middle - up, Math.max(each, 1), Math.max(up - down, 1));
    }
  });
}

// ---- The ledger -----------------------------------------------------------------------------------------------------

function svg(parent, name, attributes, text) {
  const element = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// rows: [[layer, passed, bias, stabilizer, gated]]: at the left what each hands on, at the right what it absorbs.
function drawLedger(picture, rows) {
  const width = picture.getBoundingClientRect().width, line = 22, height = line * (rows.length + 1);
  const names = Math.min(130, width * 0.28), numbers = 58, half = (width - names - numbers - 16) / 2;
  const low = Math.min(0, ...rows.map(row => row[1])), high = Math.max(0, ...rows.map(row => row[1]), low + 1e-30);
  const most = Math.max(1e-30, ...rows.flatMap(([, , ...taken]) => [1, -1].map(
    sign => taken.reduce((sum, value) => sum + Math.max(0, sign * value), 0))));
  const passed = value => names + (value - low) / (high - low) * half;
  const middle = names + half + 16 + half / 2, right = middle + half / 2 + numbers;
  picture.replaceChildren();
  picture.setAttribute("height", height);
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg(picture, "text", {x: passed(0), y: 13, class: "soft"}, `handed on, of ${fixed(rows[0][1], 2)}`);
  svg(picture, "text", {x: right, y: 13, class: "soft", "text-anchor": "end"}, "absorbed");
  rows.forEach(([name, handed, ...taken], index) => {
    const y = line * (index + 1), thick = line - 7;
    svg(picture, "text", {x: 0, y: y + 12}, name);
    const bar = (from, to, role) => svg(picture, "rect", {
      x: Math.min(from, to), y, width: Math.abs(to - from), height: thick, class: role});
    bar(passed(0), passed(handed), "passed");
    const ends = {true: middle, false: middle};
    taken.forEach((value, which) => {
      const from = ends[value > 0];
      ends[value > 0] += value / most * half / 2;
      bar(from, ends[value > 0], ["bias", "stabilizer", "gated"][which]);
    });
    const sum = taken.reduce((total, value) => total + value, 0);
    if (taken.some(value => value)) svg(picture, "text", {x: right, y: y + 12, "text-anchor": "end"}, fixed(sum, 3));
  });
  for (const x of [passed(0), middle]) svg(picture, "line", {x1: x, x2: x, y1: line - 3, y2: height});
}

function tableRow(parent, cells, absorbs) {
  const row = parent.appendChild(document.createElement("tr"));
  row.className = absorbs ? "" : "whole";
  cells.forEach((text, column) => {
    const cell = row.appendChild(document.createElement(column ? "td" : "th"));
    if (!column) cell.scope = "row";
    cell.textContent = text;
  });
}
