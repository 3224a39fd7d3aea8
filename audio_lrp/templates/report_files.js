"use strict";
// What is shown of a sound as files: the pictures as PNG, the map as CSV. Uses pictures.js.

const FINENESS = 2; // pixels of the file, at least, for one of the page
const MARGIN = 12, LINE = 18;

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

// A text as lines that are no wider than `width`, in the context's font.
function wrapped(context, text, width) {
  return text.split(" ").reduce((lines, word) => {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && context.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
    return lines;
  }, []);
}

// All pictures of a sound as they stand on the page, under a title and a sentence, as PNG. views: the element around them.
function asPicture(views, title, sentence) {
  const outer = views.getBoundingClientRect(), ratio = Math.max(FINENESS, devicePixelRatio);
  const canvas = new OffscreenCanvas(1, 1), context = canvas.getContext("2d");
  const fonts = {title: "bold 16px system-ui, sans-serif", words: "13px system-ui, sans-serif"};
  context.font = fonts.words;
  const lines = wrapped(context, sentence, outer.width), head = MARGIN + LINE * (lines.length + 2);
  canvas.width = Math.ceil((outer.width + 2 * MARGIN) * ratio);
  canvas.height = Math.ceil((outer.height + head + MARGIN) * ratio);
  context.scale(ratio, ratio);
  context.fillStyle = colourOf("card");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.textBaseline = "middle";
  const write = (text, x, y, font, role) => {
    context.font = font;
    context.fillStyle = colourOf(role);
    context.fillText(text, x, y);
  };
  write(title, MARGIN, MARGIN + LINE / 2, fonts.title, "text");
  lines.forEach((line, number) => write(line, MARGIN, MARGIN + LINE * (number + 1.6), fonts.words, "soft"));
  context.translate(MARGIN, head);
  const at = element => {
    const {left, top, width, height} = element.getBoundingClientRect();
    return [left - outer.left, top - outer.top, width, height];
  };
  for (const figure of views.querySelectorAll("figure:not([hidden])")) {
    for (const one of figure.querySelectorAll("canvas")) context.drawImage(one, ...at(one));
    for (const one of figure.querySelectorAll("figcaption > b, .other, .scale > span")) {
      const [x, y, , height] = at(one), bold = one.querySelector("b") ?? one;
      const {fontWeight, fontSize, fontFamily, color} = getComputedStyle(bold);
      context.font = `${fontWeight} ${fontSize} ${fontFamily}`;
      context.fillStyle = color;
      const chosen = [...one.querySelectorAll("select")].map(select => select.selectedOptions[0].textContent);
      context.fillText(chosen.length ? `${bold.textContent} ${chosen.join(" by ")}` : one.textContent, x, y + height / 2);
    }
  }
  return canvas.convertToBlob({type: "image/png"});
}
