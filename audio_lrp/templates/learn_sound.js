"use strict";
// A small network hears a sound: all of it is computed here, from the samples to the relevance of each cell one can hear.

const SETTINGS = lesson.settings, FILTERS = melFilters(SETTINGS);
const PLAYED = {original: "the sound", part: "the relevant part", rest: "the rest"};
const PLAY = "M1 0L10 5L1 10Z", PAUSE = "M1 0H4V10H1ZM6 0H9V10H6Z";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const samplesOf = name => {
  const view = new DataView(bytes(lesson.clips.find(clip => clip.name === name).samples).buffer);
  return Float64Array.from({length: view.byteLength / 2}, (_, n) => view.getInt16(2 * n, true) / 32768);
};

class Listener {
  constructor(root) {
    const names = lesson.clips.map(clip => clip.name), side = make(root, "div", {className: "settings"});
    Object.assign(this, {root, name: "siren", other: "none", target: "winner", audio: new Audio(), playing: null});
    const change = (key, value) => { this[key] = value; this.hear(); };
    choose(side, "Sound", names.map(name => [name, titled(name)]), "siren", name => change("name", name));
    choose(side, "Mixed with", ["none", ...names].map(name => [name, titled(name)]), "none", name => change("other", name));
    choose(side, "Explain", [["winner", "the winner"], ...lesson.sounds.names.map((name, k) => [k, titled(name)])], "winner",
           value => { this.target = value; this.explain(); });
    this.picker = rulePicker(side, () => this.explain(), {begin: "gamma", epsilon: 0.1});
    this.flat = tick(side, "flat in the first layer", false, () => this.explain());
    this.over = tick(side, "relevance over spectrogram", true, () => this.draw());
    this.bars = make(root, "div", {className: "heard"});
    this.words = make(root, "p", {className: "words", role: "status"});
    const players = make(root, "div", {className: "players", role: "group", "aria-label": "Sound"});
    const button = which => press(players, "", () => this.toggle(which), {"data-sound": which});
    this.buttons = Object.fromEntries(Object.keys(PLAYED).map(which => [which, button(which)]));
    const another = () => { this.parts = {}; this.pause(); this.tell(); };
    const words = "The relevant part: the fewest cells that carry this share of what speaks for the class, in percent";
    this.share = slider(root, words, [5, 95, 5, 50], another, "share of the relevance in percent");
    const views = make(root, "div", {className: "views"});
    this.views = Object.fromEntries(["spectrogram", "relevance"].map(name => {
      const figure = make(views, "figure", {className: name});
      make(figure, "figcaption", {}, `<b>${name === "relevance" ? "Relevance" : "Spectrogram: what the network takes"}</b>`
        + '<span class="scale"><span></span><canvas width="256" height="1" aria-hidden="true"></canvas><span></span></span>');
      const frame = make(figure, "div", {className: "frame"}), canvas = make(frame, "canvas", {className: "view", role: "img"});
      make(frame, "div", {className: "playhead"});
      return [name, canvas];
    }));
    this.place = views;
    this.book = new LedgerView(make(root, "div", {className: "book"}));
    this.audio.addEventListener("ended", () => this.pause());
    new ResizeObserver(() => this.draw()).observe(views);
    this.label();
  }

  hear() {
    this.pause();
    const one = samplesOf(this.name);
    this.samples = this.other === "none" ? one : samplesOf(this.other).map((value, n) => (value + one[n]) / 2);
    this.heard = hear(this.samples, SETTINGS, FILTERS);
    this.explain();
  }

  rule(layer) {
    if (layer.type !== "conv") return Zero();
    return this.flat.checked && layer.name === "conv1" ? Flat() : this.picker.rule;
  }

  explain() {
    this.pause();
    const scores = forward(SOUNDS, this.heard.picture).at(-1);
    this.k = this.target === "winner" ? scores.indexOf(Math.max(...scores)) : this.target;
    this.e = explain(SOUNDS, this.heard.picture, this.k, layer => this.rule(layer));
    this.map = this.e.relevance[0];
    const {cells, samples, ledger} = intoSound(this.heard, SETTINGS, this.samples, this.map);
    Object.assign(this, {cells, parts: {}, arrived: sum(samples)});
    this.tell();
    this.draw();
    const lines = [...this.e.ledger, ...ledger], total = totalOf(lines, this.e.total.received, this.arrived);
    this.book.show(lines.filter(line => line.rule), total, true, "the samples");
  }

  tell() {
    const probabilities = softmax(this.e.scores), names = lesson.sounds.names, {total} = this.e;
    this.bars.replaceChildren();
    names.forEach((name, k) => {
      const row = make(this.bars, "div", {className: k === this.k ? "row chosen" : "row"});
      make(row, "span", {className: "name"}, titled(name));
      make(row, "span", {className: "meter", "aria-hidden": "true"}).style.setProperty("--level", probabilities[k]);
      make(row, "span", {className: "number"}, `${percent(probabilities[k])}, score ${two(this.e.scores[k])}`);
    });
    const chosen = this.chosen(), count = sum(chosen) / chosen.length;
    rich(this.words, `Explained: ${titled(names[this.k])}, score ${two(total.received)}; `
      + `${two(total.passed)} arrives at the picture `
      + `(${two(sum(positive(this.map)))} for, ${two(-sum(negative(this.map)))} against), ${two(this.arrived)} at the samples. `
      + `The relevant part is ${percent(count)} of the cells.`);
  }

  chosen() { return this.parts.chosen ??= strongest(this.cells, this.share.value / 100); }

  draw() {
    if (!this.e || !this.place.clientWidth) return;
    const {picture} = this.heard, limit = largest(this.map) * 0.6;
    const left = parseFloat(colourOf("left")), lowest = -SETTINGS.range;
    const pictureOf = {
      spectrogram: n => [...rgb(magma, Math.round(255 * picture[n])), 255],
      relevance: n => this.over.checked ? blend(picture[n], this.map[n], limit)
        : [...rgb(diverging, shade(this.map[n], limit)), 255],
    };
    for (const [name, canvas] of Object.entries(this.views)) {
      const [context, box] = sharp(canvas, left);
      paint(context, box, pictureOf[name]);
      timeAxis(context, box);
      hertzAxis(context, box);
    }
    const scale = name => this.root.querySelector(`.${name} .scale`), title = titled(lesson.sounds.names[this.k]);
    scaleStrip(scale("spectrogram"), magma, `${fixed(lowest, 0)} dB`, "0 dB");
    scaleStrip(scale("relevance"), diverging, `against ${short(-limit)}`, `${short(limit)} for`);
    this.views.spectrogram.setAttribute("aria-label", `Spectrogram of ${titled(this.name)}, 32 bands over 3 seconds`);
    this.views.relevance.setAttribute("aria-label", `Relevance for ${title}: ${where(this.map)}`);
  }

  // ---- playing

  sound(which) {
    if (which === "original") return this.samples;
    const chosen = this.chosen(), wanted = which === "part" ? 1 : 0;
    const made = () => inverse(this.heard.spectra, SETTINGS, this.samples.length, cell => chosen[cell] === wanted);
    return this.parts[which] ??= asLoud(made(), this.samples);
  }

  toggle(which) {
    const stop = this.playing === which;
    this.pause();
    if (stop) return;
    URL.revokeObjectURL(this.audio.src);
    this.audio.src = URL.createObjectURL(wav(this.sound(which), SETTINGS.rate));
    this.playing = which;
    this.audio.play().catch(error => { if (error.name !== "AbortError") this.fail(error); });
    this.label();
    this.follow();
  }

  pause() {
    this.audio.pause();
    this.playing = null;
    this.label();
  }

  fail(error) {
    this.pause();
    rich(this.words, `The browser could not play the sound: ${error.name}`);
  }

  label() {
    for (const [which, button] of Object.entries(this.buttons)) {
      const on = this.playing === which;
      rich(button, `<svg viewBox="0 0 10 10" aria-hidden="true"><path d="${on ? PAUSE : PLAY}"/></svg>`
        + `<span>${on ? "Stop" : "Play"} ${PLAYED[which]}</span>`);
      button.toggleAttribute("data-playing", on);
    }
    this.place?.classList.toggle("running", this.playing !== null);
  }

  // The cursor follows the sound: with each frame, or four times a second for who wants less motion.
  follow() {
    if (!this.playing) return;
    this.place.style.setProperty("--part", Math.min(1, this.audio.currentTime / common.seconds));
    if (calm.matches) setTimeout(() => this.follow(), 250);
    else requestAnimationFrame(() => this.follow());
  }
}

// Relevance in colour where there is some, over the spectrogram in grey.
function blend(level, value, limit) {
  const strength = Math.min(1, Math.abs(value) / limit) ** 0.6, grey = 255 * (1 - 0.75 * level);
  const ink = rgb(diverging, value < 0 ? 40 : 215);
  return [...ink].map(colour => Math.round(strength * colour + (1 - strength) * grey)).concat(255);
}

// As loud as another sound, as far as the peak allows it and at most a hundredfold.
function asLoud(y, like) {
  const power = x => Math.sqrt(sum(x.map(value => value * value))), peak = largest(y);
  const gain = peak ? Math.min(power(like) / power(y), 0.99 / peak, 100) : 1;
  return y.map(value => value * gain);
}

// In words, where the strongest pixel lies.
function where(map) {
  const best = map.indexOf(Math.max(...map)), second = (best % COLUMNS + 0.5) / COLUMNS * common.seconds;
  return `the strongest pixel is at ${fixed(second, 1)} s, band ${ROWS - Math.floor(best / COLUMNS)} of ${ROWS} from below`;
}

let listener; // the page has one

widget("sound", root => {
  listener = new Listener(root);
  return () => { if (listener.e) { listener.draw(); listener.book.draw(); } else listener.hear(); };
});
