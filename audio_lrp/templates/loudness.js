"use strict";
// How loud a sound is (ITU-R BS.1770-4), and what makes a part as loud as another: `features.listen` in the
// browser, so that Python need not make the sound of every part of a page with many explanations.

const SILENT = -70, LOUDEST_GAIN = 40, PEAK = 0.99; // LUFS, dB, of full scale

// y_n = (b0 x_n + b1 x_{n-1} + b2 x_{n-2} - a1 y_{n-1} - a2 y_{n-2}) / a0
function biquad(x, [b0, b1, b2], [a0, a1, a2]) {
  const y = new Float64Array(x.length);
  for (let n = 0, x1 = 0, x2 = 0, y1 = 0, y2 = 0; n < x.length; n++) {
    y[n] = (b0 * x[n] + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2) / a0;
    x2 = x1; x1 = x[n]; y2 = y1; y1 = y[n];
  }
  return y;
}

// The sound as an ear weighs it: a shelf of +4 dB above 1.5 kHz, then a high pass at 38 Hz, both by
// Bristow-Johnson's formulas, as pyloudnorm has them.
function weighted(x, rate) {
  const A = 10 ** (4 / 40), shelf = 2 * Math.PI * 1500 / rate, c = Math.cos(shelf);
  const slope = 2 * Math.sqrt(A) * Math.sin(shelf) * Math.SQRT1_2;
  const high = 2 * Math.PI * 38 / rate, k = Math.cos(high), alpha = Math.sin(high);
  const shelved = biquad(
    x, [A * (A + 1 + (A - 1) * c + slope), -2 * A * (A - 1 + (A + 1) * c), A * (A + 1 + (A - 1) * c - slope)],
    [A + 1 - (A - 1) * c + slope, 2 * (A - 1 - (A + 1) * c), A + 1 - (A - 1) * c - slope]);
  return biquad(shelved, [(1 + k) / 2, -(1 + k), (1 + k) / 2], [1 + alpha, -2 * k, 1 - alpha]);
}

// The mean square of each block of 0.4 s, one beginning every 0.1 s; a shorter sound is continued by silence.
function powerOfBlocks(samples, rate) {
  const x = new Float64Array(Math.max(samples.length, Math.ceil(0.4 * rate) + 1));
  x.set(samples);
  const y = weighted(x, rate), count = Math.round((x.length / rate - 0.4) / 0.1) + 1;
  return Array.from({length: count}, (_, block) => y
    .subarray(Math.trunc(0.4 * (block * 0.25) * rate), Math.trunc(0.4 * (block * 0.25 + 1) * rate))
    .reduce((sum, value) => sum + value * value, 0) / (0.4 * rate));
}

const level = power => -0.691 + 10 * Math.log10(power);
const mean = values => values.reduce((total, value) => total + value, 0) / values.length;

// LUFS of blocks: the mean power of those above -70 LUFS and no more than 10 below the mean of these.
function gated(powers) {
  const loud = powers.filter(power => level(power) >= SILENT);
  return loud.length ? level(mean(loud.filter(power => power > mean(loud) / 10))) : -Infinity;
}

const loudness = (samples, rate) => gated(powerOfBlocks(samples, rate));

// What to multiply a sound by so that it is `target` LUFS loud, as far as 40 dB and its peak allow. What counts
// as silence changes with the gain: it is gated again at the level that will be heard.
function gainTo(target, samples, rate) {
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const most = Math.min(10 ** (LOUDEST_GAIN / 20), PEAK / Math.max(peak, Number.MIN_VALUE));
  const powers = powerOfBlocks(samples, rate), at = gain => gated(powers.map(power => gain * gain * power));
  if (target < SILENT || at(most) < SILENT) return Math.min(most, 1);
  let gain = most;
  for (let turn = 0; turn < 4; turn++) gain = Math.min(gain * 10 ** ((target - at(gain)) / 20), most);
  return gain;
}
