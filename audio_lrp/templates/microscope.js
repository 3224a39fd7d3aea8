"use strict";
// How relevance goes through the channels of a network, to click at: draws what `microscope_data.page_data` has computed.
//   microscope(element, data)     fills an element of the class "microscope"; data as JSON has it
// Alone in a page it fills each such element from the <script type="application/json"> inside it. It adds one global name.

const microscope = (() => {
  const WIDTH = 1000, TOP = 44, ROW = 46, LARGEST = 15, WIDEST = 9;
  const minus = text => text.replace(/-/g, "\u2212");
  const short = number => minus(number === 0 ? "0" : Number(number.toPrecision(3)).toString());
  const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

  function unpack({scale, data}) {
    const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0)), view = new DataView(bytes.buffer);
    return Float64Array.from({length: bytes.length / 2}, (_, index) => scale * view.getInt16(2 * index, true));
  }

  function made(name, attributes = {}, text = "") {
    const svg = ["svg", "g", "line", "rect", "circle", "text", "title"].includes(name);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  }

  const sign = r => r > 0 ? "for" : r < 0 ? "against" : "none";

  class Microscope {
    constructor(element, data) {
      this.data = data;
      this.whole = unpack(data.map);
      this.maps = data.columns.map(column => column.channels.map(one => one.map ? unpack(one.map) : this.whole));
      this.chosen = null;                 // [column, place] of a channel, or the number of a cell of the map
      this.focus = [0, 0];
      this.cell = 0;
      this.words = made("p", {class: "words", role: "status", "aria-live": "polite"});
      this.canvas = made("canvas", {tabindex: 0, role: "application", "aria-label":
        "Relevance of the sound over time and frequency: arrow keys move, Enter chooses a part"});
      this.caption = made("p", {class: "caption"});
      const clear = made("button", {type: "button"}, "Show all");
      clear.addEventListener("click", () => this.choose(null));
      const scroll = made("div", {class: "scroll"}), map = made("div", {class: "map"});
      scroll.append(this.svg());
      map.append(this.canvas, this.caption);
      element.replaceChildren(this.words, scroll, map, clear);
      element.addEventListener("keydown", event => { if (event.key === "Escape") this.choose(null); });
      this.listen();
      this.choose(null);
    }

    place(column, row) {
      const width = WIDTH / this.data.columns.length;
      return [width * (column + 0.5), TOP + ROW * (row + 0.5)];
    }

    svg() {
      const {columns, links} = this.data, rows = Math.max(...columns.map(one => one.channels.length));
      const root = made("svg", {viewBox: `0 0 ${WIDTH} ${TOP + ROW * rows + 24}`, role: "group",
        "aria-label": "Channels of each layer, from the score at the left to the sound at the right"});
      const widest = Math.max(...links.map(link => Math.abs(link[4])), 1e-300);
      this.lines = links.map(([from, place, to, below, r]) => {
        const [x1, y1] = this.place(from, place), [x2, y2] = this.place(to, below);
        const width = 0.4 + WIDEST * Math.abs(r) / widest;
        return made("line", {x1, y1, x2, y2, "stroke-width": width.toFixed(2), class: sign(r)});
      });
      root.append(...this.lines);
      this.groups = columns.map((column, x) => column.channels.map((one, y) => this.channel(column, one, x, y)));
      columns.forEach((column, x) => {
        const [middle] = this.place(x, 0);
        const name = made("text", {x: middle, y: 16, class: "node"}, this.fitting(column.node));
        name.append(made("title", {}, `${column.node} (${column.type})`));
        root.append(name, made("text", {x: middle, y: 31, class: "rest"}, 
          column.type === "input" ? short(column.total) : `${short(column.total)} in ${column.size}`));
        root.append(...this.groups[x]);
        const hidden = column.size - column.channels.length;
        if (hidden && column.type !== "input") root.append(made("text", {x: middle, y: this.place(x, column.channels.length)[1],
          class: "rest"}, `${short(column.rest)} in ${hidden} more`));
      });
      this.root = root;
      return root;
    }

    fitting(text) {
      const most = Math.floor(WIDTH / this.data.columns.length / 7);
      return text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
    }

    channel(column, one, x, y) {
      const group = made("g", {class: "channel", role: "button", tabindex: x || y ? -1 : 0, "aria-pressed": "false"});
      const [cx, cy] = this.place(x, y), width = WIDTH / this.data.columns.length;
      group.append(made("circle", {cx, cy}), made("text", {x: cx, y: cy - LARGEST - 3}),
        made("rect", {x: cx - width / 2, y: cy - ROW / 2 - 6, width, height: ROW - 1}));  // all of the place can be clicked
      group.addEventListener("click", () => this.choose([x, y]));
      group.addEventListener("focus", () => { this.focus = [x, y]; this.roving(); });
      return group;
    }

    roving() {
      this.groups.forEach((column, x) => column.forEach((group, y) =>
        group.setAttribute("tabindex", x === this.focus[0] && y === this.focus[1] ? 0 : -1)));
    }

    listen() {
      this.root.addEventListener("keydown", event => {
        const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
        if (step) {
          const x = clamp(this.focus[0] + step[0], 0, this.groups.length - 1);
          this.groups[x][clamp(this.focus[1] + step[1], 0, this.groups[x].length - 1)].focus();
        } else if (event.key === "Enter" || event.key === " ") this.choose([...this.focus]);
        else return;
        event.preventDefault();
      });
      const {rows, across} = this.data;
      this.canvas.addEventListener("click", event => {
        const box = this.canvas.getBoundingClientRect();
        const column = clamp(Math.floor((event.clientX - box.left) / box.width * across), 0, across - 1);
        const row = clamp(Math.floor((event.clientY - box.top) / box.height * rows), 0, rows - 1);
        this.choose(this.cell = row * across + column);
      });
      this.canvas.addEventListener("keydown", event => {
        const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
        if (step) {
          const row = clamp(Math.floor(this.cell / across) + step[0], 0, rows - 1);
          this.cell = row * across + clamp(this.cell % across + step[1], 0, across - 1);
          this.paint(Array.isArray(this.chosen) ? this.mapOf(this.chosen) : this.whole);
        } else if (event.key === "Enter" || event.key === " ") this.choose(this.cell);
        else return;
        event.preventDefault();
      });
      for (const event of ["focus", "blur"]) this.canvas.addEventListener(event, () =>
        this.paint(Array.isArray(this.chosen) ? this.mapOf(this.chosen) : this.whole));
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.choose(this.chosen));
    }

    mapOf([x, y]) { return this.maps[x][y]; }

    // What each channel shows: its relevance, or its part of a cell's.
    values() {
      const cell = typeof this.chosen === "number" ? this.chosen : null;
      return this.data.columns.map((column, x) => column.channels.map((one, y) =>
        cell === null ? one.relevance : this.maps[x][y][cell]));
    }

    choose(chosen) {
      this.chosen = chosen;
      const values = this.values(), largest = Math.max(...values.flat().map(Math.abs), 1e-300);
      this.groups.forEach((column, x) => column.forEach((group, y) => {
        const r = values[x][y], one = this.data.columns[x].channels[y], [circle, text] = group.children;
        circle.setAttribute("r", (2 + (LARGEST - 2) * Math.sqrt(Math.abs(r) / largest)).toFixed(2));
        circle.setAttribute("class", sign(r));
        text.textContent = this.fitting(`${one.name} ${short(r)}`);
        const here = Array.isArray(chosen) && chosen[0] === x && chosen[1] === y;
        group.setAttribute("aria-pressed", here);
        group.setAttribute("aria-label", `${this.named([x, y])}: relevance ${short(r)}`);
      }));
      this.root.classList.toggle("chosen", chosen !== null);
      const strongest = Array.isArray(chosen) ? this.chain(chosen) : chosen === null ? [] : this.through(values);
      this.data.links.forEach((link, number) => {
        this.lines[number].classList.toggle("message", Array.isArray(chosen) && this.touches(link, chosen));
        this.lines[number].classList.toggle("path", strongest.includes(link));
      });
      if (Array.isArray(chosen)) this.focus = chosen;
      this.roving();
      this.paint(Array.isArray(chosen) ? this.mapOf(chosen) : this.whole);
      this.say(values);
    }

    touches([from, place, to, below], [x, y]) { return (from === x && place === y) || (to === x && below === y); }

    // From a channel up to the score, each time to the one above that gave most; not the first step, which is a message.
    chain(start) {
      const found = [];
      for (let at = start; ;) {
        const above = this.data.links.filter(link => link[2] === at[0] && link[3] === at[1] && link[4]);
        if (!above.length) return found;
        const most = above.reduce((one, other) => Math.abs(other[4]) > Math.abs(one[4]) ? other : one);
        if (at !== start) found.push(most);
        at = [most[0], most[1]];
      }
    }

    // The number of the channel that carries most, in each layer.
    most(values) {
      return values.map(column =>
        column.reduce((best, r, index) => Math.abs(r) > Math.abs(column[best]) ? index : best, 0));
    }

    // The links between the channels of neighbouring layers that carry most of a cell.
    through(values) {
      const most = this.most(values);
      return this.data.links.filter(([from, place, to, below]) =>
        to === from + 1 && most[from] === place && most[to] === below);
    }

    named([x, y]) {
      const column = this.data.columns[x], one = column.channels[y];
      if (column.type === "input") return "the input";
      return /^\d+$/.test(one.name) ? `${column.node}, channel ${one.name}` : `${column.node}, ${one.name}`;
    }

    listed(links, end) {
      const sorted = [...links].sort((one, other) => Math.abs(other[4]) - Math.abs(one[4])).slice(0, 3);
      const said = link => end ? `to ${this.named(link.slice(2, 4))}` : `from ${this.named(link.slice(0, 2))}`;
      return sorted.map(link => `${short(link[4])} ${said(link)}`);
    }

    say(values) {
      const {data, chosen} = this;
      let said = `${data.target} by ${data.rules}, score ${short(data.score)}. Choose a channel to see who gave it relevance, ` +
        "to whom it gives, and what of the sound goes through it; or a part of the sound, for the channels it goes through.";
      let caption = "relevance of the sound; all of it";
      if (Array.isArray(chosen)) {
        const [x, y] = chosen, one = data.columns[x].channels[y];
        const from = this.listed(data.links.filter(link => link[2] === x && link[3] === y), false);
        const to = this.listed(data.links.filter(link => link[0] === x && link[1] === y), true);
        const share = short(100 * one.relevance / (data.score || 1));
        said = `${this.named(chosen)}: relevance ${short(one.relevance)}, ${share}\u00a0% of the score.` +
          (from.length ? ` It got ${from.join(", ")}.` : "") + (to.length ? ` It gives ${to.join(", ")}.` : "");
        caption = `what of the sound goes through ${this.named(chosen)}`;
      } else if (chosen !== null) {
        const most = this.most(values).slice(0, -1).map((y, x) => `${this.named([x, y])} (${short(values[x][y])})`);
        said = `${this.where(chosen)}: relevance ${short(this.whole[chosen])}. ` +
          `At each layer most of it comes through ${most.join(", ")}.`;
        caption = "relevance of the sound; the frame is the part that was chosen";
      }
      this.words.textContent = said;
      this.caption.textContent = caption;
    }

    // Where a cell lies, in seconds and hertz as near as the axis has labels.
    where(cell) {
      const {rows, across, seconds, hertz} = this.data, height = 1 - (Math.floor(cell / across) + 0.5) / rows;
      const near = [...hertz].sort((one, other) => Math.abs(one[1] - height) - Math.abs(other[1] - height))[0];
      const from = (cell % across) / across * seconds, unit = near?.[0].endsWith("k") ? "kHz" : "Hz";
      return `${from.toFixed(2)} to ${(from + seconds / across).toFixed(2)} s` +
        (near ? `, near ${near[0].replace("k", "")}\u00a0${unit}` : "");
    }

    paint(numbers) {
      const {rows, across} = this.data, context = this.canvas.getContext("2d"), style = getComputedStyle(this.canvas);
      const SIZE = 16;                    // pixels of a cell
      this.canvas.width = SIZE * across;
      this.canvas.height = SIZE * rows;
      const colours = {for: style.getPropertyValue("--mi-for"), against: style.getPropertyValue("--mi-against")};
      const largest = numbers.reduce((most, r) => Math.max(most, Math.abs(r)), 1e-300);
      numbers.forEach((r, index) => {
        if (!r) return;
        context.globalAlpha = Math.abs(r) / largest;
        context.fillStyle = colours[sign(r)].trim();
        context.fillRect(SIZE * (index % across), SIZE * Math.floor(index / across), SIZE, SIZE);
      });
      context.globalAlpha = 1;
      context.strokeStyle = style.color;
      context.lineWidth = typeof this.chosen === "number" ? 3 : 1;
      const framed = typeof this.chosen === "number" || document.activeElement === this.canvas;
      if (framed) context.strokeRect(SIZE * (this.cell % across), SIZE * Math.floor(this.cell / across), SIZE, SIZE);
    }
  }

  for (const element of document.querySelectorAll(".microscope")) {
    const found = element.querySelector("script[type='application/json']");
    if (found) new Microscope(element, JSON.parse(found.textContent));
  }
  return (element, data) => new Microscope(element, data);
})();
