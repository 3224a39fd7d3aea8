"use strict";
// A map of 4 x 4 numbers and a pool over it: who wins, and what each cell gets of R = 1 for each window.

widget("pools", root => {
  const begin = [1, 3, 2, 2, 0, 2, 2, 1, 0, 0, 4, 0, 0, 0, 1, 3];
  let kind = "max", stride = 2;
  choose(root, "Pool", [["max", "maximum"], ["average", "average"]], kind, value => { kind = value; show(); });
  choose(root, "2 × 2 windows", [[2, "side by side"], [1, "overlapping"]], stride, value => { stride = value; show(); });
  const row = make(root, "div", {className: "row"});
  press(row, "Silence: all zero", () => { fields.forEach(field => { field.value = 0; }); show(); });
  press(row, "As before", () => { fields.forEach((field, n) => { field.value = begin[n]; }); show(); });
  const place = make(root, "div", {className: "maps"}), words = make(root, "p", {className: "words", role: "status"});
  const figure = title => {
    const element = make(place, "figure");
    make(element, "figcaption", {}, `<b>${title}</b>`);
    return make(element, "div", {className: "grid"});
  };
  const [left, middle, right] = ["input: type numbers", "output", "relevance"].map(figure);
  const fields = begin.map((value, n) => make(left, "input", {type: "number", step: "any", value,
    "aria-label": `row ${1 + Math.floor(n / 4)}, column ${1 + n % 4}`}));
  for (const field of fields) field.addEventListener("input", show);
  function show() {
    const x = Float64Array.from(fields, field => Number.isFinite(field.valueAsNumber) ? field.valueAsNumber : 0);
    const layer = (kind === "max" ? MaxPool : AveragePool)("pool", [4, 4, 1], 2, stride);
    const y = output(layer, x), R = ones(y), {R: R_in, book} = through(layer, Zero(), x, y, R), limit = largest(R_in);
    const won = kind === "max" ? [...winners(layer, x)] : [];
    fields.forEach((field, n) => field.classList.toggle("won", won.includes(n)));
    for (const [grid, values, side] of [[middle, y, Math.sqrt(y.length)], [right, R_in, 4]]) {
      grid.replaceChildren();
      grid.style.setProperty("--side", side);
      for (const value of values) {
        const cell = make(grid, "span", {}, two(value).replace(/\.?0+$/, ""));
        if (grid === right) dress(cell, value, limit);
      }
    }
    let tied = 0;
    eachWindow(layer, (_, cells) => {
      const top = Math.max(...cells.map(cell => x[cell]));
      if (cells.filter(cell => x[cell] === top).length > 1) tied++;
    });
    const gated = Math.abs(book.gated) > 1e-12 ? ` ${two(book.gated)} is gated: a window whose mean is 0 cannot share.` : "";
    rich(words, kind === "max"
      ? `${y.length} windows, R = 1 each. ${new Set(won).size} cells win. `
        + (tied ? `${tied} of the windows have a tie: the first in reading order takes all.` : "No ties.")
      : `${y.length} windows, R = 1 each. Every cell gets a share in proportion to its value.${gated}`);
  }
  return show;
});
