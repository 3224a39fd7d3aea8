"use strict";
// A sound and its parts, as samples to play. Python chose the cells of the short-time Fourier transform that are
// relevant; here they are taken out of the sound. Uses numbers.js and
// loudness.js.

// The numbers of the cells in a mask of `report_data.run_lengths`.
function keptCells(text) {
  const cells = [];
  let at = 0, kept = false, length = 0, digit = 1;
  for (const byte of bytes(text)) {
    length += byte % 128 * digit;
    digit *= 128;
    if (byte >= 128) continue;
    if (kept) for (let cell = at; cell < at + length; cell++) cells.push(cell);
    at += length;
    [kept, length, digit] = [!kept, 0, 1];
  }
  return cells;
}

// The sound, continued on both sides as the transform does.
function padded(samples, {pad, mode}) {
  const y = new Float64Array(samples.length + 2 * pad), last = samples.length - 1;
  y.set(samples, pad);
  if (mode === "constant") return y;
  for (let n = 1; n <= pad; n++) {
    y[pad - n] = samples[mode === "reflect" ? n : 0];
    y[pad + last + n] = samples[mode === "reflect" ? last - n : last];
  }
  return y;
}

// w_n = sum_i terms_i cos(2 pi i n / length), in the middle of a frame.
function windowOf({size, length, terms}) {
  const left = Math.floor((size - length) / 2), w = new Float64Array(size);
  for (let n = 0; n < length; n++)
    w[left + n] = length === 1 ? 1 : terms.reduce((sum, a, i) => sum + a * Math.cos(2 * Math.PI * i * n / length), 0);
  return w;
}

// The samples that some cells make: y_n = sum_m w_{n-mH} irfft(kept Y_m)_{n-mH} / sum_m w^2_{n-mH}, one sine a cell.
// settings: common.cells.
function partOf(samples, cells, settings) {
  const {size, hop, pad, bins, frames} = settings, w = windowOf(settings);
  const x = padded(samples, settings), y = new Float64Array(x.length), weight = new Float64Array(x.length);
  const cos = Float64Array.from({length: size}, (_, n) => Math.cos(2 * Math.PI * n / size));
  const sin = Float64Array.from({length: size}, (_, n) => Math.sin(2 * Math.PI * n / size));
  for (let frame = 0; frame < frames; frame++)
    for (let n = 0; n < size; n++) weight[frame * hop + n] += w[n] * w[n];
  for (const cell of cells) {
    const start = Math.floor(cell / bins) * hop, k = cell % bins;
    let re = 0, im = 0;
    for (let n = 0, turn = 0; n < size; n++, turn = (turn + k) % size) {
      re += w[n] * x[start + n] * cos[turn];
      im += w[n] * x[start + n] * sin[turn];
    }
    const twice = (k === 0 || 2 * k === size ? 1 : 2) / size;
    for (let n = 0, turn = 0; n < size; n++, turn = (turn + k) % size)
      y[start + n] += twice * w[n] * (re * cos[turn] + im * sin[turn]);
  }
  const least = 1e-12 * w.reduce((most, value) => Math.max(most, value * value), 0);
  return Float32Array.from(samples, (_, n) => weight[n + pad] > least ? y[n + pad] / weight[n + pad] : 0);
}

// What the buttons of one clip play, decoded or made when first asked for.
class Parts {
  constructor(original, settings) {
    Object.assign(this, {original, settings, made: new WeakMap()});
  }

  decoded() {
    const audio = new OfflineAudioContext(1, 1, this.settings.rate); // decodes to this rate
    return this.samples ??= audio.decodeAudioData(bytes(this.original).buffer).then(found => found.getChannelData(0));
  }

  // "original", "part" (as loud as the original) or "rest" (as loud as it is in the original) of an explanation.
  async get(which, explained) {
    const samples = await this.decoded();
    if (which === "original") return this.buffer(samples, 1);
    if (!this.made.has(explained)) this.made.set(explained, this.cut(samples, explained));
    const {part, gain} = this.made.get(explained);
    if (which === "part") return this.buffer(part, gain);
    return this.buffer(samples.map((value, n) => value - part[n]), 1);
  }

  cut(samples, explained) {
    const part = partOf(samples, keptCells(explained.part), this.settings), {rate} = this.settings;
    return {part, gain: gainTo(this.loud ??= loudness(samples, rate), part, rate)};
  }

  buffer(samples, gain) {
    const found = new AudioBuffer({length: samples.length, sampleRate: this.settings.rate});
    found.copyToChannel(samples.map(value => Math.min(1, Math.max(-1, gain * value))), 0);
    return found;
  }
}
