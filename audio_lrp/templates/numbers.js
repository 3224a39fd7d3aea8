"use strict";
// How pages read the numbers and colours that Python wrote into them.

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
