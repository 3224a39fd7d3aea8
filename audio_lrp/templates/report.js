"use strict";
// One Sound for each section of the page: what is chosen, shown and heard. Uses report_views.js, sound_parts.js, player.js.

const PLAY = "M1 0L10 5L1 10Z", PAUSE = "M1 0H4V10H1ZM6 0H9V10H6Z";
const NAMES = {original: "original", part: "relevant part", rest: "the rest"};
const SHORTEST = 0.02; // seconds of a selection and of what is shown
const calm = matchMedia("(prefers-reduced-motion: reduce)");

class Sound {
  constructor(section, page) {
    Object.assign(this, {section, page, time: 0, span: [0, common.seconds], selection: null, loop: false});
    this.data = JSON.parse(this.find(".data").textContent);
    this.explained = new Map();  // Explained by their data, unpacked when first shown
    this.playing = null;         // "original", "part", "rest" or null
    this.chosen = "original";    // what Space plays
    this.parts = new Parts(this.data.original, common.cells);
    this.player = new Player(() => { this.move(this.stretch[1]); this.pause(); });
    this.views = new Views(this.find(".views"), this.data);
    this.slider = this.find(".seek");
    gestures(this.slider, this);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.find(".views"));
    if (this.data.timeline) showTimeline(this.find(".timeline"), this.data.timeline);
    const paths = this.data.microscope && this.find(".paths");
    if (paths) paths.addEventListener("toggle", () => microscope(paths.querySelector(".microscope"), this.data.microscope), {once: true});
    this.label();
    this.move(0);
    this.update();
  }

  find(selector) { return this.section.querySelector(selector); }
  button(which) { return this.find(`[data-sound=${which}]`); }
  choice(group) { return Number(this.find(`.${group} :checked`).value); }
  get zoomed() { return this.span[1] - this.span[0] < common.seconds - 1e-9; }
  get under() { return Number(this.find(".under input").value) / 100; }
  get compared() { return this.find(".compare input").checked; }

  listen() {
    const on = (selector, act, kind = "click") => this.find(selector).addEventListener(kind, act);
    for (const which of Object.keys(NAMES)) on(`[data-sound=${which}]`, () => this.toggle(which));
    for (const input of this.section.querySelectorAll("fieldset input, .other select"))
      input.addEventListener("change", () => this.changed());
    on(".compare input", () => this.compare(), "change");
    on(".under input", () => this.changed(), "input");
    on(".coarse input", () => this.draw(), "change");
    on(".loop input", event => this.setLoop(event.target.checked), "change");
    on(".pan", event => this.show([Number(event.target.value), Number(event.target.value) + this.span[1] - this.span[0]]), "input");
    const acts = {
      in: () => this.zoom(0.5), out: () => this.zoom(2), all: () => this.show([0, common.seconds]),
      start: () => this.mark(0), end: () => this.mark(1), closer: () => this.show(this.selection), clear: () => this.select(null),
      picture: () => this.savePicture(), numbers: () => this.saveNumbers(), link: () => this.copyLink(),
    };
    for (const [name, act] of Object.entries(acts)) on(`[data-act=${name}]`, act);
  }

  // ---- what is shown

  changed() {
    this.update();
    this.page.moved(this);
  }

  // The data of the class and the rules that are chosen; those to compare with.
  dataOf(rules, which) { return this.data.explanations[rules][which]; }
  get main() { return this.dataOf(this.choice("rules"), this.choice("classes")); }
  get other() {
    const [which, rules] = ["classes", "rules"].map(name => Number(this.find(`.other [name=${name}]`).value));
    return this.dataOf(rules, which);
  }

  get panes() {
    const found = this.compared ? [this.main, this.other] : [this.main];
    return found.map(data => {
      if (!this.explained.has(data)) this.explained.set(data, new Explained(data));
      return this.explained.get(data);
    });
  }

  // At first other rules for the same class; where there are none, the next class.
  compare() {
    const classes = this.find(".other [name=classes]"), rules = this.find(".other [name=rules]");
    const several = rules.length > 1, next = (select, from) => { select.value = (from + 1) % select.length; };
    classes.value = this.choice("classes");
    if (several) next(rules, this.choice("rules"));
    else next(classes, this.choice("classes"));
    this.changed();
  }

  // Take over what is chosen.
  update() {
    const {words, book, cells} = this.main, percent = cells === 0 ? "none" : `${(100 * cells).toPrecision(2)}%`;
    const pages = this.data.pages[this.choice("rules")];
    for (const figure of this.section.querySelectorAll('figure[data-pane="1"]')) figure.hidden = !this.compared;
    // A live region speaks whenever it is written to: only news are.
    this.write(".words", words);
    this.write(".words.with", this.compared ? `Compared with ${this.other.words}` : "");
    this.find(".relevance[data-pane='0'] figcaption b").textContent = `Relevance: ${this.title}`;
    this.find(".note.part").textContent = "The relevant part: the fewest cells of the short-time Fourier transform "
      + `(${percent} of all) that carry ${Math.round(100 * common.share)}% of what speaks for the class, `
      + "as loud as the original where its peaks allow it. The rest: all other cells, as loud as they are in the original.";
    this.find(".book").textContent = minus(book);
    if (this.playing && this.playing !== "original") this.play(this.playing);
    this.views.describe(this.panes, this.under);
    fillTable(this.find(".ledger table"), this.main, pages, this.title);
    this.draw();
  }

  get title() { return `${this.data.classes[this.choice("classes")]} by ${common.presets[this.choice("rules")].name}`; }

  write(selector, text) {
    const place = this.find(selector);
    if (place.textContent !== text) place.textContent = text;
  }

  draw() {
    this.views.draw({span: this.span, panes: this.panes, under: this.under, coarse: this.find(".coarse input").checked});
    showLedger(this.find(".absorbed svg"), this.main, this.data.pages[this.choice("rules")]);
    this.place();
  }

  tell(x, y) { this.find(".pointed").textContent = this.views.told(x, y, this); }

  // ---- zoom and selection

  // Show the seconds [from, to], moved and widened where the sound ends.
  show([from, to]) {
    const seconds = Math.min(common.seconds, Math.max(SHORTEST, to - from));
    const begin = Math.min(common.seconds - seconds, Math.max(0, from + (to - from - seconds) / 2));
    this.span = [begin, begin + seconds];
    this.draw();
    this.page.moved(this);
  }

  zoom(factor, at = this.middle) {
    const [from, to] = this.span;
    this.show([at - (at - from) * factor, at + (to - at) * factor]);
  }

  // Around what a zoom without a pointer goes: the cursor where it shows, else the middle.
  get middle() {
    const [from, to] = this.span;
    return from < this.time && this.time < to ? this.time : (from + to) / 2;
  }

  pan(share) {
    const by = share * (this.span[1] - this.span[0]);
    this.show(this.span.map(time => time + by));
  }

  // selection: [from, to] in seconds, or null.
  select(selection) {
    this.outline(selection);
    if (this.playing) this.play(this.playing);
    this.page.moved(this);
  }

  // What a drag has selected so far.
  outline(selection) {
    this.selection = selection && selection[1] - selection[0] >= SHORTEST ? selection : null;
    this.place();
  }

  // The start (0) or the end (1) of the selection is where the cursor stands.
  mark(which) {
    const found = [...this.selection ?? [0, common.seconds]];
    found[which] = this.time;
    if (found[1] - found[0] < SHORTEST) found[1 - which] = which ? 0 : common.seconds;
    this.select(found);
  }

  setLoop(loop) {
    this.loop = this.find(".loop input").checked = loop;
    if (this.playing) this.play(this.playing);
  }

  click(time) {
    if (this.selection && (time < this.selection[0] || time > this.selection[1])) this.select(null);
    this.seek(time);
  }

  // ---- playing

  get stretch() { return this.selection ?? [0, common.seconds]; }

  label() {
    for (const [which, name] of Object.entries(NAMES)) {
      const button = this.button(which), on = this.playing === which;
      button.toggleAttribute("data-playing", on);
      button.querySelector("path").setAttribute("d", on ? PAUSE : PLAY);
      button.querySelector("span").textContent = `${on ? "Pause" : "Play"} ${name}`;
    }
  }

  // From where the cursor stands, or from where the selection begins.
  async play(which) {
    const [from, to] = this.stretch;
    this.page.choose(this);
    if (this.time < from || this.time > to - SHORTEST) this.move(from);
    this.player.stop();
    this.playing = this.chosen = which;
    this.label();
    const asked = this.asked = {};
    try {
      const buffer = await this.parts.get(which, this.main);
      if (this.asked !== asked) return; // paused, or something else was asked for meanwhile
      this.player.start(buffer, this.time, [from, to], this.loop);
      this.follow();
    } catch (error) {
      this.pause();
      this.find(".words").textContent = `The browser could not play the sound: ${error.message}`;
    }
  }

  pause() {
    this.asked = this.playing = null;
    this.player.stop();
    this.label();
  }

  toggle(which) {
    if (this.playing === which) this.pause();
    else this.play(which);
  }

  // The cursor follows the sound: with each frame, or four times a second for who wants less motion.
  follow() {
    clearTimeout(this.next);
    cancelAnimationFrame(this.frame);
    if (!this.player.source) return;
    this.move(this.player.time);
    if (calm.matches) this.next = setTimeout(() => this.follow(), 250);
    else this.frame = requestAnimationFrame(() => this.follow());
  }

  move(time) {
    this.time = Math.min(common.seconds, Math.max(0, time));
    const [from, to] = this.span;
    if (this.zoomed && (this.time < from - 1e-9 || this.time > to + 1e-9)) this.show([this.time, this.time + to - from]);
    this.place();
    // Ten times a second is enough for who listens to the page.
    const tenth = this.time.toFixed(1);
    if (this.slider.getAttribute("aria-valuenow") !== tenth) {
      this.slider.setAttribute("aria-valuenow", tenth);
      this.slider.setAttribute("aria-valuetext", `${tenth} seconds`);
    }
  }

  seek(time) {
    this.move(time);
    if (this.playing) this.play(this.playing);
  }

  // Put cursor, selection and what is said of them where they belong.
  place() {
    const [from, to] = this.span, style = this.find(".views").style, part = time => (time - from) / (to - from);
    style.setProperty("--part", part(this.time));
    this.find(".views").classList.toggle("away", this.time < from || this.time > to);
    this.find(".position").textContent = `${this.time.toFixed(2)} s of ${common.seconds} s`;
    const {selection} = this;
    this.find(".views").classList.toggle("selects", Boolean(selection));
    if (selection) {
      style.setProperty("--selected", part(selection[0]));
      style.setProperty("--wide", part(selection[1]) - part(selection[0]));
    }
    this.write(".selected", selection ? `${selection[0].toFixed(2)} to ${selection[1].toFixed(2)} s` : "none: drag over the pictures");
    for (const act of ["closer", "clear"]) this.find(`[data-act=${act}]`).disabled = !selection;
    for (const act of ["out", "all"]) this.find(`[data-act=${act}]`).disabled = !this.zoomed;
    const pan = this.find(".pan");
    pan.disabled = !this.zoomed;
    pan.max = common.seconds - (to - from);
    pan.value = from;
    pan.setAttribute("aria-valuetext", `${from.toFixed(2)} to ${to.toFixed(2)} seconds`);
  }

  // ---- files and links

  fileName(ending) {
    return fileName(this.data.name, common.presets[this.choice("rules")].name, this.data.classes[this.choice("classes")], ending);
  }

  answer(text) { this.find(".answer").textContent = text; }

  async savePicture() {
    drawnFiner(FINENESS, () => this.draw());
    const words = this.compared ? `${this.main.words} Compared with ${this.other.words}` : this.main.words;
    save(this.fileName("png"), await asPicture(this.find(".views"), this.data.name, words));
    this.draw();
    this.answer(`Saved as ${this.fileName("png")}`);
  }

  saveNumbers() {
    save(this.fileName("csv"), new Blob([asTable(this.panes.map(pane => pane.map), this.span)], {type: "text/csv"}));
    this.answer(`Saved as ${this.fileName("csv")}`);
  }

  async copyLink() {
    const address = new URL(this.link, location.href).href;
    try {
      await navigator.clipboard.writeText(address);
      this.answer("The link is copied: it opens this page as it is now.");
    } catch {
      this.page.address(this); // who may not copy finds it in the address bar
      this.answer("The link is in the address bar.");
    }
  }

  get link() {
    const named = name => this.find(`.other [name=${name}]`).selectedOptions[0].textContent;
    return linkOf({
      id: this.section.id, class: this.data.classes[this.choice("classes")], rules: common.presets[this.choice("rules")].name,
      zoom: this.zoomed ? this.span : null, select: this.selection, under: this.under,
      other: this.compared ? {class: named("classes"), rules: named("rules")} : null,
    });
  }

  // Show what a link says, as far as it makes sense here. state: of readLink.
  restore(state) {
    const classes = this.data.classes, presets = common.presets.map(preset => preset.name);
    const check = (group, index) => { if (index >= 0) this.find(`.${group} [value="${index}"]`).checked = true; };
    check("classes", classes.indexOf(state.class));
    check("rules", presets.indexOf(state.rules));
    const other = state.other ? [classes.indexOf(state.other.class), presets.indexOf(state.other.rules)] : [-1];
    this.find(".compare input").checked = !other.includes(-1);
    if (this.compared) ["classes", "rules"].forEach((name, index) => { this.find(`.other [name=${name}]`).value = other[index]; });
    this.find(".under input").value = 100 * state.under;
    this.span = state.zoom ?? [0, common.seconds];
    this.selection = state.select;
    this.move((state.select ?? this.span)[0]);
    this.update();
  }
}
