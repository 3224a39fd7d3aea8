"use strict";
// From samples to the picture that the network takes, and relevance back to the cells of the short-time Fourier transform
// and to the samples.
// features.steps computes the same: Spectrogram, Mel, Decibels, Standardize.

// The fast Fourier transform of complex numbers, in place; their count is a power of 2.
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) { // put the numbers into bit-reversed order
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
  }
  for (let size = 2; size <= n; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const cos = Math.cos(2 * Math.PI * k / size), sin = -Math.sin(2 * Math.PI * k / size);
      for (let a = k; a < n; a += size) {
        const b = a + size / 2, x = re[b] * cos - im[b] * sin, y = re[b] * sin + im[b] * cos;
        [re[b], im[b], re[a], im[a]] = [re[a] - x, im[a] - y, re[a] + x, im[a] + y];
      }
    }
  }
}

const hann = size => Float64Array.from({length: size}, (_, n) => 0.5 - 0.5 * Math.cos(2 * Math.PI * n / size));

// The spectra of overlapping frames, [frames, bins] each of re and im; the middle of frame m is sample m·hop.
function transform(y, {size, hop}) {
  const frames = 1 + Math.floor(y.length / hop), bins = size / 2 + 1, window = hann(size);
  const all = {frames, bins, re: new Float64Array(frames * bins), im: new Float64Array(frames * bins)};
  for (let m = 0; m < frames; m++) {
    const im = new Float64Array(size), re = window.map((w, n) => w * (y[m * hop + n - size / 2] ?? 0));
    fft(re, im);
    all.re.set(re.subarray(0, bins), m * bins);
    all.im.set(im.subarray(0, bins), m * bins);
  }
  return all;
}

// The sound of the cells that keep(cell) chooses: frames back to samples, overlapped and added (Griffin and Lim 1984).
function inverse({frames, bins, re, im}, {size, hop}, samples, keep = () => true) {
  const window = hann(size), y = new Float64Array(samples), weight = new Float64Array(samples);
  for (let m = 0; m < frames; m++) {
    const a = new Float64Array(size), b = new Float64Array(size);
    for (let k = 0; k < bins; k++) {
      if (!keep(m * bins + k)) continue;
      // The forward transform of the conjugate is the conjugate of the inverse: the real part is what we want.
      a[k] = a[(size - k) % size] = re[m * bins + k];
      b[k] = -im[m * bins + k];
      if (k && k < size / 2) b[size - k] = -b[k];
    }
    fft(a, b);
    for (let n = 0; n < size; n++) {
      const at = m * hop + n - size / 2;
      if (at >= 0 && at < samples) { y[at] += window[n] * a[n] / size; weight[at] += window[n] ** 2; }
    }
  }
  return y.map((value, n) => weight[n] > 1e-12 ? value / weight[n] : 0);
}

// Slaney's mel scale: linear below 1 kHz, logarithmic above
const toMel = hertz => hertz < 1000 ? hertz * 3 / 200 : 15 + 27 * Math.log(hertz / 1000) / Math.log(6.4);
const toHertz = mel => mel < 15 ? mel * 200 / 3 : 1000 * Math.exp((mel - 15) * Math.log(6.4) / 27);

// The weights W [bins, bands] of triangles between corners that lie equally far apart in mel; each has the area 1.
function melFilters({rate, size, bands, low}) {
  const bins = size / 2 + 1, W = new Float64Array(bins * bands), first = toMel(low), last = toMel(rate / 2);
  const corner = Array.from({length: bands + 2}, (_, k) => toHertz(first + (last - first) * k / (bands + 1)));
  for (let k = 0; k < bins; k++) {
    for (let band = 0; band < bands; band++) {
      const [left, top, right] = corner.slice(band, band + 3), hertz = k * rate / size;
      const height = Math.max(0, Math.min((hertz - left) / (top - left), (right - hertz) / (right - top)));
      W[k * bands + band] = height * 2 / (right - left);
    }
  }
  return W;
}

// A sound at every stage: spectra, power [frames, bins], mel bands [frames, bands], and the picture [bands, frames] of
// levels, 0 at `range` decibels below the loudest and 1 there, the highest band first.
function hear(y, settings, filters = melFilters(settings)) {
  const spectra = transform(y, settings), {frames, bins} = spectra, {bands, range} = settings;
  const power = spectra.re.map((re, cell) => re ** 2 + spectra.im[cell] ** 2), mel = new Float64Array(frames * bands);
  for (let m = 0; m < frames; m++) {
    mel.set(LINEAR.dense.linear({outputs: bands}, power.subarray(m * bins, (m + 1) * bins), filters, null), m * bands);
  }
  const decibels = mel.map(value => 10 * Math.log10(Math.max(value, 1e-10))), top = Math.max(...decibels);
  const picture = new Float64Array(bands * frames);
  for (let m = 0; m < frames; m++) {
    for (let band = 0; band < bands; band++) {
      const level = Math.max(decibels[m * bands + band] - top, -range);
      picture[(bands - 1 - band) * frames + m] = (level + range) / range;
    }
  }
  return {spectra, power, mel, picture, filters};
}

// Relevance of the picture's pixels shared out to the cells of the spectrogram [frames, bins], by LRP-0 of the mel bands.
function toCells({power, mel, filters, spectra: {frames, bins}}, {bands}, R) {
  const cells = new Float64Array(frames * bins);
  for (let m = 0; m < frames; m++) {
    const s = Float64Array.from({length: bands}, (_, band) => {
      const z = mel[m * bands + band];
      return Math.abs(z) >= SMALLEST ? R[(bands - 1 - band) * frames + m] / z : 0;
    });
    const back = LINEAR.dense.adjoint({inputs: bins, outputs: bands}, s, filters);
    for (let k = 0; k < bins; k++) cells[m * bins + k] = power[m * bins + k] * back[k];
  }
  return cells;
}

// Relevance of the cells shared out to the samples, by LRP-0 of the power, which is linear in the sound once one of Y·Y* is
// held:  R_n = y_n Σ_m w_{n-mH} Σ_k Re[c_{m,k} Y_{m,k} e^{iθ}],  c = R / |Y|²,  θ = 2πk(n-mH) / size.
function toSamples({power, spectra: {frames, bins, re, im}}, {size, hop}, y, R) {
  const window = hann(size), back = new Float64Array(y.length);
  for (let m = 0; m < frames; m++) {
    const a = new Float64Array(size), b = new Float64Array(size);
    for (let k = 0; k < bins; k++) {
      const cell = m * bins + k, c = power[cell] >= SMALLEST ? R[cell] / power[cell] : 0;
      a[k] = c * re[cell];
      b[k] = -c * im[cell]; // the forward transform of the conjugate, as in `inverse`
    }
    fft(a, b);
    for (let n = 0; n < size; n++) {
      const at = m * hop + n - size / 2;
      if (at >= 0 && at < y.length) back[at] += window[n] * a[n];
    }
  }
  return back.map((value, n) => y[n] * value);
}

// The relevance R of the picture carried on through what made it: {cells, samples}, and a line of the ledger for each step
// that shares it out; the others hand on what they get. What lies where nothing sounds is gated.
function intoSound(heard, settings, y, R) {
  const {mel, power, spectra: {frames}} = heard, {bands} = settings;
  const cells = toCells(heard, settings, R), samples = toSamples(heard, settings, y, cells);
  const silent = (values, relevance) => sum(relevance.filter((_, n) => !(Math.abs(values[n]) >= SMALLEST)));
  const inOrder = R.map((_, n) => R[(bands - 1 - n % bands) * frames + Math.floor(n / bands)]); // as `mel` has its numbers
  const line = (name, from, to, gated) => entry(name, "LRP-0", from, to, {...emptyBook(), gated});
  return {cells, samples, ledger: [line("mel", R, cells, silent(mel, inOrder)),
                                   line("spectrogram", cells, samples, silent(power, cells))]};
}

// The fewest cells that carry `share` of the positive relevance: 1 where a cell is one of them.
function strongest(cells, share) {
  const order = Array.from(cells.keys()).filter(cell => cells[cell] > 0).sort((a, b) => cells[b] - cells[a] || a - b);
  const wanted = share * sum(order.map(cell => cells[cell])), chosen = new Uint8Array(cells.length);
  let carried = 0;
  for (const cell of order) {
    if (carried >= wanted) break;
    chosen[cell] = 1;
    carried += cells[cell];
  }
  return chosen;
}

// A sound as a WAV file of 16 bits, mono.
function wav(y, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * y.length));
  const letters = (at, text) => [...text].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  letters(0, "RIFF");
  view.setUint32(4, 36 + 2 * y.length, true);
  letters(8, "WAVEfmt ");
  [16, 0x10001, rate, 2 * rate, 0x100002].forEach((value, n) => view.setUint32(16 + 4 * n, value, true));
  letters(36, "data");
  view.setUint32(40, 2 * y.length, true);
  y.forEach((value, n) => view.setInt16(44 + 2 * n, Math.round(32767 * Math.max(-1, Math.min(1, value))), true));
  return new Blob([view], {type: "audio/wav"});
}
