"use strict";
// What a little noise does to a share: R₁ of a neuron whose second input trembles, by LRP-0 and by LRP-ε.

const NOISE = {width: 600, height: 260, left: 52, bottom: 44, most: 6, x: [1, 1], w: [1, -1], b: 0.4};

widget("noise", root => {
  const picture = svg(make(root, "figure", {className: "curve"}), "svg", {role: "img"});
  const at = slider(root, "x₂", [0.4, 2.4, 0.01, 1], show, "second input");
  const epsilon = slider(root, "ε", [0, 2, 0.01, 0.25], show, "epsilon");
  const words = make(root, "p", {className: "words", role: "status"});
  const shareOf = (second, size) => {
    const layer = Dense("neuron", Float64Array.from(NOISE.w), Float64Array.of(NOISE.b), 2, 1), x = Float64Array.of(1, second);
    const z = output(layer, x);
    return {z: z[0], ...throughLinear(layer, size ? Epsilon(size) : Zero(), x, z, Float64Array.of(1))};
  };
  function show() {
    const {width: W, height: H, left, bottom, most} = NOISE, right = W - 10;
    const across = second => left + (second - 0.4) / 2 * (right - left);
    const up = value => 8 + (most - Math.max(-most, Math.min(most, value))) / (2 * most) * (H - 8 - bottom);
    picture.replaceChildren();
    picture.setAttribute("viewBox", `0 0 ${W} ${H}`);
    for (const value of [-5, 0, 1, 5]) {
      svg(picture, "line", {x1: left, x2: right, y1: up(value), y2: up(value), class: value ? "grid" : "axis"});
      svg(picture, "text", {x: left - 8, y: up(value) + 4, "text-anchor": "end"}, minus(String(value)));
    }
    const label = (x, y, text) => svg(picture, "text", {x, y, "text-anchor": "middle"}, text);
    for (const second of [0.5, 1, 1.5, 2]) label(across(second), H - bottom + 20, second);
    label((left + right) / 2, H - 4, "second input x₂ (the neuron's z is 0 at 1.4)");
    for (const [size, role] of [[0, "plain"], [epsilon.value, "chosen"]]) {
      let path = "", last = null;
      for (let n = 0; n <= 400; n++) {
        const second = 0.4 + n / 200, value = shareOf(second, size).R[0];
        const inside = Math.abs(value) <= most, move = last === null || last * value < 0;
        if (inside) path += `${move ? "M" : "L"}${across(second).toFixed(1)} ${up(value).toFixed(1)}`;
        last = inside ? value : null;
      }
      svg(picture, "path", {d: path, class: role});
    }
    const found = shareOf(at.value, epsilon.value), plain = shareOf(at.value, 0);
    svg(picture, "circle", {cx: across(at.value), cy: up(found.R[0]), r: 6, class: "dot"});
    const said = `z = ${two(found.z)}. Of R = 1 the first input gets ${two(plain.R[0])} by LRP-0 `
      + `and ${two(found.R[0])} by LRP-ε; `
      + `the stabilizer takes ${two(found.book.stabilizer)}.`;
    rich(words, said);
    picture.setAttribute("aria-label", `The first input's share over the second input, by LRP-0 and LRP-ε. ${said}`);
  }
  return show;
});
