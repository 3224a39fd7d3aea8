"use strict";
// What is shown of a sound as files: the pictures as PNG, the map as CSV. Uses pictures.js.

const HEAD = 64;    // pixels above the exported pictures, for their title
const FINENESS = 2; // pixels of the file, at least, for one of the page

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// "dog-preset_b-siren.csv": the clip without its ending, the rules, the class; what no file system takes is "_".
function fileName(clip, rules, className, ending) {
  const stem = clip.split("/").at(-1).replace(/\.[^.]+$/, "");
  return `${[stem, rules, className].join("-").replace(/[^\p{L}\p{N}._-]/gu, "_")}.${ending}`;
}

// The cells that are shown, a row each, from the highest band down: where the middle of each lies, and its relevance in
// the map, and in the one it is compared with.
function asTable(maps, [from, to]) {
  const step = common.seconds / COLUMNS, digits = value => Number(value.toPrecision(6));
  const lines = [["seconds", "hertz", ...["relevance", "compared"].slice(0, maps.length)].join()];
  for (let row = 0; row < ROWS; row++)
    for (let column = 0; column < COLUMNS; column++)
      if ((column + 1) * step > from && column * step < to)
        lines.push([digits((column + 0.5) * step), common.row_hertz[row],
                    ...maps.map(map => digits(map[row * COLUMNS + column]))].join());
  return `${lines.join("\n")}\n`;
}

// All pictures of a sound with their titles, as they stand on the page, on one canvas. views: the element around them.
function asPicture(views, title, words) {
  const outer = views.getBoundingClientRect(), ratio = Math.max(FINENESS, devicePixelRatio);
  const canvas = new OffscreenCanvas(Math.ceil(outer.width * ratio), Math.ceil((outer.height + HEAD) * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = colourOf("card");
  context.fillRect(0, 0, outer.width, outer.height + HEAD);
  context.textBaseline = "middle";
  const write = (text, x, y, font, role = "text") => {
    context.font = `${font} system-ui, sans-serif`;
    context.fillStyle = colourOf(role);
    context.fillText(text, x, y, outer.width - x);
  };
  write(title, 10, 20, "bold 16px");
  write(words, 10, 44, "13px", "soft");
  context.translate(0, HEAD);
  const at = element => {
    const {left, top, width, height} = element.getBoundingClientRect();
    return [left - outer.left, top - outer.top, width, height];
  };
  for (const figure of views.querySelectorAll("figure:not([hidden])")) {
    for (const one of figure.querySelectorAll("canvas")) context.drawImage(one, ...at(one));
    for (const one of figure.querySelectorAll("figcaption b, .scale span")) {
      const [x, y, , height] = at(one);
      write(one.textContent, x, y + height / 2, one.tagName === "B" ? "bold 14px" : "14px", one.tagName === "B" ? "text" : "soft");
    }
  }
  return canvas.convertToBlob({type: "image/png"});
}
