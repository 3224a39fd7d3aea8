"use strict";
// One Sound for each section of the page: what is chosen, what is heard, where the cursor stands. Draws with pictures.js.

const PLAY = "M1 0L10 5L1 10Z", PAUSE = "M1 0H4V10H1ZM6 0H9V10H6Z";
const calm = matchMedia("(prefers-reduced-motion: reduce)");

class Sound {
  constructor(section) {
    this.section = section;
    this.data = JSON.parse(this.find(".data").textContent);
    this.level = bytes(this.data.level);
    this.time = 0;
    this.playing = null;      // "original", "part" or null
    this.chosen = "original"; // what Space plays
    this.audio = {original: new Audio(), part: new Audio()};
    this.loaded = {};         // which data each of them holds
    for (const [which, audio] of Object.entries(this.audio)) {
      audio.addEventListener("ended", () => { this.move(common.seconds); this.pause(); });
      this.button(which).addEventListener("click", () => this.toggle(which));
    }
    this.slider = this.find(".seek");
    this.slider.addEventListener("pointerdown", event => { this.slider.setPointerCapture(event.pointerId); this.point(event); });
    this.slider.addEventListener("pointermove", event => { if (event.buttons) this.point(event); this.tell(event); });
    this.slider.addEventListener("pointerleave", () => { this.find(".pointed").textContent = ""; });
    for (const input of section.querySelectorAll("fieldset input")) input.addEventListener("change", () => this.show());
    this.find(".over input").addEventListener("change", () => this.show());
    new ResizeObserver(() => this.draw()).observe(this.find(".views"));
    if (this.data.timeline) showTimeline(this.find(".timeline"), this.data.timeline);
    const paths = this.data.microscope && this.find(".paths");
    if (paths) paths.addEventListener("toggle", () => microscope(paths.querySelector(".microscope"), this.data.microscope), {once: true});
    this.label();
    this.move(0);
    this.show();
  }

  find(selector) { return this.section.querySelector(selector); }
  button(which) { return this.find(`[data-sound=${which}]`); }
  choice(group) { return Number(this.find(`.${group} :checked`).value); }

  // Take over what is chosen: class, rules, overlay.
  show() {
    this.preset = common.presets[this.choice("rules")];
    this.pages = this.data.pages[this.choice("rules")];
    this.explained = this.data.explanations[this.choice("rules")][this.choice("classes")];
    this.map = unpack(this.explained.map);
    this.profiles = Object.fromEntries(["bands_for", "bands_against", "moments_for", "moments_against"].map(
      name => [name, unpack(this.explained[name])]));
    const {words, book, cells, limit} = this.explained;
    const percent = cells === 0 ? "none" : `${(100 * cells).toPrecision(2)}%`;
    // A live region speaks whenever it is written to: only news are.
    if (this.find(".words").textContent !== words) this.find(".words").textContent = words;
    this.find(".note.part").textContent = "The relevant part: the fewest cells of the short-time Fourier transform "
      + `(${percent} of all) that carry ${Math.round(100 * common.share)}% of what speaks for the class, `
      + "as loud as the original where its peaks allow it.";
    this.find(".book").textContent = minus(book);
    scaleStrip(this.find(".spectrogram .scale"), magma, `${fixed(this.data.decibels, 0)} dB`, "0 dB");
    scaleStrip(this.find(".relevance .scale"), diverging, `against ${short(-limit)}`, `${short(limit)} for`);
    if (this.playing === "part") this.play("part");
    this.describe();
    this.table();
    this.draw();
  }

  // What the pictures show, for who cannot see them.
  describe() {
    const {bands_for, bands_against, moments_for, moments_against} = this.profiles;
    const at = (values, most, place) => values.some(value => value) ? place(values.indexOf(most(...values))) : "nowhere";
    const second = index => `at ${((index + 0.5) * common.seconds / moments_for.length).toFixed(2)} seconds`;
    const hertz = index => `at ${common.hertz[index].toLocaleString("en")} hertz`;
    const over = this.find(".over input").checked ? " Laid over the grey spectrogram." : "";
    const say = (name, text) => this.find(`.${name} .view`).setAttribute("aria-label", text);
    say("spectrogram", `Spectrogram of ${this.data.name}: ${common.seconds} seconds from left to right, `
      + `0 to ${common.top.toLocaleString("en")} hertz from bottom to top.`);
    say("relevance", `Map of relevance, ${this.explained.words} In all ${fixed(this.explained.for, 2)} for and `
      + `${fixed(this.explained.against, 2)} against.${over}`);
    say("bands", `Relevance per frequency: most for ${at(bands_for, Math.max, hertz)}, `
      + `most against ${at(bands_against, Math.min, hertz)}.`);
    say("moments", `Relevance per moment: most for ${at(moments_for, Math.max, second)}, `
      + `most against ${at(moments_against, Math.min, second)}.`);
  }

  draw() {
    const {map, level, profiles} = this, limit = this.explained.limit;
    const left = parseFloat(colourOf("left")), bandsLeft = parseFloat(colourOf("bands-left"));
    const over = this.find(".over input").checked;
    const start = (name, margin = left) => sharp(this.find(`.${name} .view`), margin);

    let [context, box] = start("spectrogram");
    paint(context, box, index => [...rgb(magma, level[index]), 255]);
    timeAxis(context, box);
    hertzAxis(context, box);

    [context, box] = start("relevance");
    if (over) paint(context, box, index => [level[index], level[index], level[index], 255]);
    const opacity = value => over ? 255 * Math.min(1, Math.abs(value) / limit) : 255;
    paint(context, box, index => [...rgb(diverging, shade(map[index], limit)), opacity(map[index])]);
    timeAxis(context, box);
    hertzAxis(context, box);

    [context, box] = start("bands", bandsLeft);
    drawProfile(context, box, profiles.bands_for, profiles.bands_against, true);
    if (bandsLeft === left) hertzAxis(context, box);

    [context, box] = start("moments");
    drawProfile(context, box, profiles.moments_for, profiles.moments_against, false);
    timeAxis(context, box);
    this.ledger();
  }

  // Does a layer take a thousandth of the score or more?
  absorbs(taken) { return taken.some(value => Math.abs(value) >= 1e-3 * Math.abs(this.explained.total[0])); }

  ledger() {
    const {ledger, total} = this.explained, picture = this.find(".absorbed svg");
    const absorbing = ledger.map(([, passed, ...rest], index) => [this.pages[index][0], passed, ...rest.slice(0, 3)])
      .filter(([, , ...taken]) => this.absorbs(taken));
    drawLedger(picture, [["score", total[0], 0, 0, 0], ...absorbing, ["the sound", total[1], 0, 0, 0]]);
    const most = absorbing.map(([name, , ...taken]) => [taken.reduce((sum, value) => sum + value, 0), name])
      .sort((one, other) => Math.abs(other[0]) - Math.abs(one[0]))[0];
    const where = most ? ` Most was absorbed in ${most[1]}: ${fixed(most[0])}.` : "";
    picture.setAttribute("aria-label", minus(this.explained.book) + where);
  }

  table() {
    const {ledger, total} = this.explained, [body, foot] = ["tbody", "tfoot"].map(name => this.find(`.ledger ${name}`));
    const numbers = row => [...row.slice(0, 5).map(value => fixed(value)), row[5] === 0 ? "0" : minus(row[5].toExponential(0))];
    this.find(".ledger caption span").textContent = `${this.data.classes[this.choice("classes")]} by ${this.preset.name}: `
      + "R out = R in + bias + stabilizer + gated; the residual is what rounding leaves.";
    body.replaceChildren();
    foot.replaceChildren();
    ledger.forEach((row, index) => {
      const [layer, , rule] = this.pages[index];
      tableRow(body, [layer, ...numbers(row), rule], this.absorbs(row.slice(2, 5)));
    });
    tableRow(foot, ["all", ...numbers(total), ""], true);
  }

  // ---- playing

  label() {
    for (const which of ["original", "part"]) {
      const button = this.button(which), on = this.playing === which;
      button.toggleAttribute("data-playing", on);
      button.querySelector("path").setAttribute("d", on ? PAUSE : PLAY);
      const name = which === "part" ? "relevant part" : "original";
      button.querySelector("span").textContent = `${on ? "Pause" : "Play"} ${name}`;
    }
  }

  // Make sure that the player holds what is chosen now.
  load(which) {
    const data = which === "part" ? this.explained.part : this.data.original, audio = this.audio[which];
    if (this.loaded[which] === data) return;
    URL.revokeObjectURL(audio.src);
    audio.src = URL.createObjectURL(new Blob([bytes(data)], {type: "audio/mpeg"}));
    this.loaded[which] = data;
  }

  play(which) {
    current.pause();
    current = this;
    if (this.time >= common.seconds - 0.02) this.move(0);
    this.load(which);
    this.playing = this.chosen = which;
    this.audio[which].currentTime = this.time; // where the other one was; a sound not yet loaded will begin there
    // "AbortError": paused or replaced before it began.
    this.audio[which].play().catch(error => { if (error.name !== "AbortError") this.fail(error); });
    this.label();
    this.follow();
  }

  pause() {
    for (const audio of Object.values(this.audio)) audio.pause();
    this.playing = null;
    this.label();
  }

  toggle(which) {
    if (this.playing === which) this.pause();
    else this.play(which);
  }

  fail(error) {
    this.pause();
    this.find(".words").textContent = `The browser could not play the sound: ${error.message}`;
  }

  // The cursor follows the sound: with each frame, or four times a second for who wants less motion.
  follow() {
    if (!this.playing) return;
    const audio = this.audio[this.playing];
    if (audio.readyState && !audio.seeking) this.move(audio.currentTime);
    clearTimeout(this.next);
    cancelAnimationFrame(this.frame);
    if (calm.matches) this.next = setTimeout(() => this.follow(), 250);
    else this.frame = requestAnimationFrame(() => this.follow());
  }

  move(time) {
    this.time = Math.min(common.seconds, Math.max(0, time));
    this.find(".views").style.setProperty("--part", this.time / common.seconds);
    this.find(".position").textContent = `${this.time.toFixed(2)} s of ${common.seconds} s`;
    // Ten times a second is enough for who listens to the page.
    const tenth = this.time.toFixed(1);
    if (this.slider.getAttribute("aria-valuenow") !== tenth) {
      this.slider.setAttribute("aria-valuenow", tenth);
      this.slider.setAttribute("aria-valuetext", `${tenth} seconds`);
    }
  }

  seek(time) {
    this.move(time);
    if (this.playing) this.audio[this.playing].currentTime = this.time;
  }

  // What lies under the pointer: seconds, hertz, and the relevance or the loudness there.
  tell(event) {
    const left = parseFloat(colourOf("left")), right = parseFloat(colourOf("right")), {hertz, seconds} = common;
    let words = "";
    for (const name of ["spectrogram", "relevance"]) {
      const box = this.find(`.${name} .view`).getBoundingClientRect();
      const across = (event.clientX - box.left - left) / (box.width - left - right);
      const down = (event.clientY - box.top - TOP) / (box.height - TOP - BOTTOM);
      if (Math.min(across, down) < 0 || Math.max(across, down) >= 1) continue;
      const index = Math.floor(down * ROWS) * COLUMNS + Math.floor(across * COLUMNS);
      const band = Math.min(Math.floor((1 - down) * hertz.length), hertz.length - 1);
      const value = name === "relevance" ? `relevance ${short(this.map[index])}`
        : `${fixed(this.data.decibels * (1 - this.level[index] / 255), 0)} dB`;
      words = `${(across * seconds).toFixed(2)} s, ${hertz[band].toLocaleString("en")} Hz: ${value}`;
    }
    this.find(".pointed").textContent = words;
  }

  point(event) {
    const box = this.slider.getBoundingClientRect();
    this.seek((event.clientX - box.left) / box.width * common.seconds);
  }
}

// ---- The page -------------------------------------------------------------------------------------------------------

const sounds = new Map([...document.querySelectorAll(".clip")].map(section => [section, new Sound(section)]));
let current = sounds.values().next().value; // the one that keys act on when the focus is in none

function keyed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const sound = sounds.get(event.target.closest(".clip")) ?? current;
  const step = event.shiftKey ? 1 : 0.1;
  const places = {ArrowLeft: sound.time - step, ArrowRight: sound.time + step,
                  ArrowDown: sound.time - step, ArrowUp: sound.time + step,
                  PageDown: sound.time - 0.5, PageUp: sound.time + 0.5, Home: 0, End: common.seconds};
  // Space is left to what has a use for it of its own.
  if (event.key === " " && !event.target.closest("button, a, summary, .scroll, [type=checkbox]")) sound.toggle(sound.chosen);
  else if (event.target === sound.slider && event.key in places) sound.seek(places[event.key]);
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", keyed);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => sounds.forEach(sound => sound.draw()));
