"use strict";
// A timeline to zoom into: draws what Python has computed, decides nothing. Uses numbers.js.

// Seconds between two ticks of the axis.
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

// Bring a .timeline to life. data: of `timeline_page.page_data`.
function showTimeline(root, data) {
  const strip = root.querySelector(".strip"), words = root.querySelector(".told");
  const canvases = Object.fromEntries([...strip.children].map(one => [one.className, one]));
  const signed = text => new Int8Array(bytes(text).buffer);
  const magma = bytes(data.magma), values = bytes(data.values), low = signed(data.low), high = signed(data.high);
  const relevance = data.relevance.map(one => ({...one, plus: unpack(one.plus), minus: unpack(one.minus)}));
  const first = data.start, last = data.start + data.length, LEFT = 130, LINE = 22, AXIS = 22;
  let from = first, to = last, cursor = null;

  canvases.heard.style.height = `${LINE * data.classes.length + 4}px`;

  function clock(seconds, digits = data.digits) {
    seconds = Number(seconds.toFixed(digits));
    const whole = Math.floor(seconds / 60), rest = (seconds - 60 * whole).toFixed(digits).padStart(3 + digits, "0");
    const hours = Math.floor(whole / 60), minutes = whole % 60;
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  }

  const place = (seconds, width) => LEFT + (seconds - from) / (to - from) * width;
  const time = x => from + (x - LEFT) / (strip.clientWidth - LEFT - 8) * (to - from);
  const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

  // For each pixel column the cells [begin, end) of an array whose cells last `step` seconds, the first from `start` on.
  function* columns(width, step, count, start = first) {
    for (let x = 0; x < width; x++) {
      const begin = Math.floor((from + x / width * (to - from) - start) / step);
      const end = Math.max(Math.ceil((from + (x + 1) / width * (to - from) - start) / step), begin + 1);
      if (begin < count && end > 0) yield [LEFT + x, clamp(begin, 0, count), clamp(end, 0, count)];
    }
  }

  function most(array, begin, end, choose) {
    let found = 0;
    for (let index = begin; index < end; index++) found = choose(found, array[index]);
    return found;
  }

  function drawSound() {
    const [context, across, height] = sharpened(canvases.sound), width = across - LEFT - 8, middle = height / 2;
    for (const [x, begin, end] of columns(width, data.hop / data.envelope, high.length)) {
      const top = most(high, begin, end, Math.max), bottom = most(low, begin, end, Math.min);
      context.fillRect(x, middle - top / 127 * middle, 1, Math.max((top - bottom) / 127 * middle, 1));
    }
    context.textBaseline = "middle";
    context.fillText("sound", 4, middle);
  }

  // A window speaks for its middle, and the first and the last for the ends of the recording, as events do.
  function drawHeard() {
    const [context, across] = sharpened(canvases.heard), width = across - LEFT - 8, count = data.classes.length;
    const windows = values.length / count, aside = Math.ceil(data.window / data.hop), start = first + (data.window - data.hop) / 2;
    data.classes.forEach((name, row) => {
      context.fillStyle = colourOf("soft");
      context.textBaseline = "middle";
      context.fillText(name, 4, LINE * (row + 0.5), LEFT - 12);
      for (const [x, begin, end] of columns(width, data.hop, windows + 2 * aside, start - aside * data.hop)) {
        let value = 0;
        for (let index = begin; index < end; index++)
          value = Math.max(value, values[clamp(index - aside, 0, windows - 1) * count + row]);
        context.fillStyle = `rgb(${magma.subarray(3 * value, 3 * value + 3).join(" ")})`;
        context.fillRect(x, LINE * row, 1, LINE - 1);
      }
    });
  }

  function drawRests() {
    const [context, across, height] = sharpened(canvases.rests), width = across - LEFT - 8, depth = height - AXIS;
    const tops = relevance.map(one => Math.max(...one.plus.length ? [one.plus.reduce((a, b) => Math.max(a, b), 0)] : [0]));
    const lows = relevance.map(one => one.minus.reduce((a, b) => Math.min(a, b), 0));
    const top = Math.max(1e-30, ...tops), bottom = Math.min(0, ...lows), zero = depth * top / (top - bottom);
    for (const one of relevance) {
      context.fillStyle = one.colour;
      for (const [x, begin, end] of columns(width, data.step, one.plus.length, data.first)) {
        context.globalAlpha = 0.8;
        const plus = most(one.plus, begin, end, Math.max), minus = most(one.minus, begin, end, Math.min);
        context.fillRect(x, zero - plus / top * zero, 1, plus / top * zero);
        context.globalAlpha = 0.4;
        context.fillRect(x, zero, 1, minus / (bottom || -1) * (depth - zero));
      }
    }
    context.globalAlpha = 1;
    context.textBaseline = "middle";
    relevance.forEach((one, index) => {
      context.fillStyle = one.colour;
      context.fillRect(4, 8 + 16 * index, 10, 10);
      context.fillStyle = colourOf("soft");
      context.fillText(one.name, 18, 13 + 16 * index, LEFT - 26);
    });
    context.fillStyle = colourOf("soft");
    context.fillRect(LEFT, zero, width, 1);
    const step = STEPS.find(one => (to - from) / one <= width / 80) ?? 7200;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (let second = Math.ceil(from / step) * step; second <= to; second += step) {
      const x = place(second, width);
      context.fillRect(x - 0.5, depth, 1, 4);
      context.fillText(clock(second, 3).replace(/\.?0+$/, ""), clamp(x, LEFT + 10, LEFT + width - 12), depth + 6);
    }
  }

  function drawCursor() {
    if (cursor === null) return;
    for (const canvas of Object.values(canvases)) {
      const context = canvas.getContext("2d");
      context.fillStyle = colourOf("for");
      context.fillRect(place(cursor, strip.clientWidth - LEFT - 8) - 0.5, 0, 1, canvas.clientHeight);
    }
  }

  function draw() {
    drawSound();
    drawHeard();
    drawRests();
    drawCursor();
  }

  // What is heard at the cursor, in words: the window whose middle is nearest.
  function tell() {
    if (cursor === null) return;
    const count = data.classes.length, windows = values.length / count;
    const number = clamp(Math.round((cursor - first - data.window / 2) / data.hop), 0, windows - 1);
    const row = [...values.subarray(number * count, (number + 1) * count)];
    const best = row.indexOf(Math.max(...row));
    words.textContent = `${clock(cursor)}: ${data.classes[best]}, ${data.texts[number]}`;
  }

  function show(begin, end) {
    const least = Math.min(2 * data.hop, data.length), span = clamp(end - begin, least, data.length);
    from = clamp(begin + (end - begin - span) / 2, first, last - span);
    to = from + span;
    draw();
  }

  const zoom = (factor, at = (from + to) / 2) => show(at - (at - from) * factor, at + (to - at) * factor);

  strip.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey) return; // the wheel alone scrolls the page
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, time(event.offsetX));
  }, {passive: false});
  strip.addEventListener("pointermove", event => {
    if (event.buttons) show(from - event.movementX * (to - from) / strip.clientWidth,
                            to - event.movementX * (to - from) / strip.clientWidth);
    cursor = clamp(time(event.offsetX), from, to);
    tell();
    draw();
  });
  strip.addEventListener("keydown", event => {
    const step = (to - from) / 10;
    const acts = {ArrowLeft: () => show(from - step, to - step), ArrowRight: () => show(from + step, to + step),
                  "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1.4), Home: () => show(first, last)};
    if (!(event.key in acts) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
    cursor = (from + to) / 2;
    tell();
    draw();
  });
  for (const button of root.querySelectorAll("button[data-from]")) button.addEventListener("click", () => {
    const begin = Number(button.dataset.from), end = Number(button.dataset.to), more = Math.max(end - begin, data.window);
    cursor = (begin + end) / 2;
    show(begin - more / 2, end + more / 2);
    tell();
  });
  new ResizeObserver(draw).observe(strip);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}
