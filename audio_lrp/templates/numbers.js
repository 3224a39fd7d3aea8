"use strict";
// How pages read the numbers and colours that Python wrote into them, and begin to draw.

function bytes(text) {
  return Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
}

// The numbers that Python packed as 16-bit integers and a scale.
function unpack({scale, data}) {
  const view = new DataView(bytes(data).buffer);
  return Float64Array.from({length: view.byteLength / 2}, (_, index) => scale * view.getInt16(2 * index, true));
}

function colourOf(role) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();
}

let leastRatio = 1; // pixels of a canvas for one of the page, where the screen has fewer

// Draw with at least so many pixels for one of the page.
function drawnFiner(ratio, draw) {
  leastRatio = ratio;
  draw();
  leastRatio = 1;
}

// A canvas made as sharp as the screen: its context in CSS pixels, cleared, and its width and height.
function sharpened(canvas) {
  const {width, height} = canvas.getBoundingClientRect(), ratio = Math.max(devicePixelRatio || 1, leastRatio);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = context.strokeStyle = colourOf("soft");
  return [context, width, height];
}
