"use strict";
// The layers of the lesson's networks: forward, and for the linear ones the transpose. Maps are [rows, columns, channels].

const LINEAR = {
  // z_j = Σ_i x_i W_ij + b_j, W [inputs, outputs]
  dense: {
    linear({outputs: J}, x, W, b) {
      const z = b ? Float64Array.from(b) : new Float64Array(J);
      for (let i = 0; i < x.length; i++) {
        if (x[i] !== 0) for (let j = 0; j < J; j++) z[j] += x[i] * W[i * J + j];
      }
      return z;
    },
    adjoint({inputs: I, outputs: J}, s, W) {
      const r = new Float64Array(I);
      for (let i = 0; i < I; i++) for (let j = 0; j < J; j++) r[i] += W[i * J + j] * s[j];
      return r;
    },
  },

  // A 3x3 convolution over a map padded with zeros, W [3, 3, channels, filters]
  conv: {
    linear({shape: [, , C], filters: K, ...layer}, x, W, b) {
      const z = new Float64Array(layer.pixels * K);
      if (b) for (let n = 0; n < z.length; n++) z[n] = b[n % K];
      eachTap(layer, (from, to, tap) => {
        for (let c = 0; c < C; c++) {
          const value = x[from * C + c], w = (tap * C + c) * K;
          if (value !== 0) for (let k = 0; k < K; k++) z[to * K + k] += value * W[w + k];
        }
      });
      return z;
    },
    adjoint({shape: [, , C], filters: K, ...layer}, s, W) {
      const r = new Float64Array(layer.pixels * C);
      eachTap(layer, (from, to, tap) => {
        for (let c = 0; c < C; c++) {
          let total = 0;
          const w = (tap * C + c) * K;
          for (let k = 0; k < K; k++) total += W[w + k] * s[to * K + k];
          r[from * C + c] += total;
        }
      });
      return r;
    },
  },

  // The mean of each channel over the whole map
  mean: {
    linear({shape: [rows, columns, C]}, x) {
      const z = new Float64Array(C);
      x.forEach((value, n) => { z[n % C] += value / (rows * columns); });
      return z;
    },
    adjoint({shape: [rows, columns, C]}, s) {
      return Float64Array.from({length: rows * columns * C}, (_, n) => s[n % C] / (rows * columns));
    },
  },

  // The mean of each window of a map
  averagepool: {
    linear(layer, x) {
      const z = new Float64Array(pooledSize(layer)), area = layer.size ** 2;
      eachWindow(layer, (place, cells) => { z[place] = sum(cells.map(cell => x[cell])) / area; });
      return z;
    },
    adjoint(layer, s) {
      const [rows, columns, C] = layer.shape, r = new Float64Array(rows * columns * C), area = layer.size ** 2;
      eachWindow(layer, (place, cells) => { for (const cell of cells) r[cell] += s[place] / area; });
      return r;
    },
  },
};

const isLinear = layer => layer.type in LINEAR;
const linear = (layer, x, W, b) => LINEAR[layer.type].linear(layer, x, W, b);
const adjoint = (layer, s, W) => LINEAR[layer.type].adjoint(layer, s, W);

function output(layer, x) {
  if (layer.type === "relu") return positive(x);
  if (layer.type === "maxpool") return winners(layer, x).map(cell => x[cell]);
  return linear(layer, x, layer.W, layer.b);
}

// Every pixel `from` that the convolution's pixel `to` sees, and the window's place (0..8) that it sees it through.
function eachTap({rows, columns}, visit) {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let tap = 0; tap < 9; tap++) {
        const y = row + Math.floor(tap / 3) - 1, x = column + tap % 3 - 1;
        if (y >= 0 && y < rows && x >= 0 && x < columns) visit(y * columns + x, row * columns + column, tap);
      }
    }
  }
}

// ---- Pools -----------------------------------------------------------------------------------------------------------

const pooled = ({shape: [rows, columns], size, stride}) => [rows, columns].map(n => Math.floor((n - size) / stride) + 1);
const pooledSize = layer => pooled(layer).reduce((all, n) => all * n, layer.shape[2]);

// The cells of each window in scan order: left to right, then down.
function eachWindow(layer, visit) {
  const {shape: [, columns, C], size, stride} = layer, [high, wide] = pooled(layer);
  for (let place = 0; place < high * wide * C; place++) {
    const c = place % C, column = Math.floor(place / C) % wide, row = Math.floor(place / C / wide), cells = [];
    for (let n = 0; n < size * size; n++) {
      cells.push(((row * stride + Math.floor(n / size)) * columns + column * stride + n % size) * C + c);
    }
    visit(place, cells);
  }
}

// The cell that wins each window; of equals the first.
function winners(layer, x) {
  const found = new Float64Array(pooledSize(layer));
  eachWindow(layer, (place, cells) => { found[place] = cells.reduce((best, cell) => x[cell] > x[best] ? cell : best); });
  return found;
}

// A max-pool gives all of a window's relevance to its winner; a cell that wins several windows gets it from each.
function toWinners(layer, x, R) {
  const R_in = new Float64Array(x.length);
  winners(layer, x).forEach((cell, place) => { R_in[cell] += R[place]; });
  return R_in;
}

// ---- Layers from numbers ---------------------------------------------------------------------------------------------

const Dense = (name, W, b, inputs, outputs) => ({name, type: "dense", W, b, inputs, outputs});
const Conv = (name, W, b, [rows, columns, C], filters) => ({
  name, type: "conv", W, b, shape: [rows, columns, C], rows, columns, pixels: rows * columns, filters});
const Relu = name => ({name, type: "relu"});
const MaxPool = (name, shape, size, stride = size) => ({name, type: "maxpool", shape, size, stride});
const AveragePool = (name, shape, size, stride = size) => ({name, type: "averagepool", shape, size, stride, W: [], b: null});
const Mean = (name, shape) => ({name, type: "mean", shape, W: [], b: null});

function softmax(scores) {
  const top = Math.max(...scores), powers = scores.map(z => Math.exp(z - top)), all = sum(powers);
  return powers.map(value => value / all);
}
