"use strict";
// The pictures of one sound over one axis of time, of which `span` is shown. Draws with pictures.js.

const PROFILES = ["bands_for", "bands_against", "moments_for", "moments_against"];

// One explanation, unpacked. data: of `report_data.explanation_data`.
class Explained {
  constructor(data) {
    this.data = data;
    this.map = unpack(data.map);
    this.profiles = Object.fromEntries(PROFILES.map(name => [name, unpack(data[name])]));
  }

  // The map in colours; the more of the spectrogram shows under it (0 to 1), the clearer is what is not relevant.
  image(under) {
    if (this.under !== under) {
      const {limit} = this.data;
      this.drawn = imageOf(COLUMNS, ROWS, index => {
        const value = this.map[index], opacity = 1 - under + under * Math.min(1, Math.abs(value) / limit);
        return [...rgb(diverging, shade(value, limit)), 255 * opacity];
      });
      this.under = under;
    }
    return this.drawn;
  }
}

class Views {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.level = bytes(data.level);
    this.sharp = bytes(data.sharp);
    [this.low, this.high] = ["low", "high"].map(name => new Int8Array(bytes(data[name]).buffer));
    const [rows, columns] = common.sharp, inks = {magma: n => rgb(magma, n), grey: n => [n, n, n]};
    this.images = {
      sharp: imageOf(columns, rows, index => [...inks.magma(this.sharp[index]), 255]),
      grey: imageOf(columns, rows, index => [...inks.grey(this.sharp[index]), 255]),
      level: imageOf(COLUMNS, ROWS, index => [...inks.magma(this.level[index]), 255]),
    };
  }

  figure(name, pane) { return this.root.querySelector(`.${name}${pane === undefined ? "" : `[data-pane="${pane}"]`}`); }
  canvas(name, pane) { return this.figure(name, pane).querySelector(".view"); }

  // What is shown. span: [from, to] in seconds. panes: the Explained that are compared, one or two. under: how much of
  // the spectrogram shows under the maps, 0 to 1. coarse: the spectrogram as the network sees it.
  draw({span, panes, under, coarse}) {
    const left = parseFloat(colourOf("left")), bandsLeft = parseFloat(colourOf("bands-left"));
    const begin = (name, pane, margin = left) => sharp(this.canvas(name, pane), margin);
    const whole = ([x, y, width, height]) => {
      const scale = width / (span[1] - span[0]);
      return [x - span[0] * scale, y, common.seconds * scale, height];
    };
    const map = ([context, box], draw) => {
      within(context, box, () => draw(context, whole(box)));
      timeAxis(context, box, span);
      hertzAxis(context, box);
    };
    const [context, box] = begin("waveform");
    drawWaveform(context, [box[0], box[1], box[2], box[3] + BOTTOM - TOP], this.low, this.high, whole(box));
    map(begin("spectrogram"), (context, box) => place(context, box, this.images[coarse ? "level" : "sharp"]));
    panes.forEach((one, pane) => {
      map(begin("relevance", pane), (context, box) => {
        if (under) place(context, box, this.images.grey);
        place(context, box, one.image(under));
      });
      const [across, lying] = begin("bands", pane, bandsLeft), {profiles} = one;
      drawProfile(across, lying, profiles.bands_for, profiles.bands_against, true);
      if (bandsLeft === left) hertzAxis(across, lying);
      const [upright, moments] = begin("moments", pane);
      drawProfile(upright, moments, profiles.moments_for, profiles.moments_against, false, whole(moments));
      timeAxis(upright, moments, span);
    });
  }

  // What lies at a place of the screen, in words: seconds, hertz, and the relevance or the loudness there.
  told(x, y, {span, panes}) {
    const left = parseFloat(colourOf("left")), right = parseFloat(colourOf("right")), {hertz, seconds} = common;
    const pictures = [["spectrogram"], ...panes.map((_, pane) => ["relevance", pane])];
    for (const [name, pane] of pictures) {
      const box = this.canvas(name, pane).getBoundingClientRect();
      const across = (x - box.left - left) / (box.width - left - right), down = (y - box.top - TOP) / (box.height - TOP - BOTTOM);
      if (Math.min(across, down) < 0 || Math.max(across, down) >= 1) continue;
      const time = span[0] + across * (span[1] - span[0]);
      const cell = (rows, columns) => Math.floor(down * rows) * columns + Math.floor(time / seconds * columns);
      const band = Math.min(Math.floor((1 - down) * hertz.length), hertz.length - 1);
      const value = name === "relevance" ? `relevance ${short(panes[pane].map[cell(ROWS, COLUMNS)])}`
        : `${fixed(this.data.decibels * (1 - this.sharp[cell(...common.sharp)] / 255), 0)} dB`;
      return `${time.toFixed(2)} s, ${hertz[band].toLocaleString("en")} Hz: ${value}`;
    }
    return "";
  }

  // What the pictures show, for who cannot see them.
  describe(panes, under) {
    const at = (values, most, place) => values.some(value => value) ? place(values.indexOf(most(...values))) : "nowhere";
    const hertz = index => `at ${common.hertz[index].toLocaleString("en")} hertz`;
    const say = (text, ...which) => this.canvas(...which).setAttribute("aria-label", text);
    say(`Spectrogram of ${this.data.name}: ${common.seconds} seconds from left to right, `
      + `0 to ${common.top.toLocaleString("en")} hertz from bottom to top.`, "spectrogram");
    say(`Waveform of ${this.data.name}: its lowest and highest samples.`, "waveform");
    panes.forEach(({data, profiles}, pane) => {
      const {bands_for, bands_against, moments_for, moments_against} = profiles;
      const second = index => `at ${((index + 0.5) * common.seconds / moments_for.length).toFixed(2)} seconds`;
      say(`Map of relevance, ${data.words} In all ${fixed(data.for, 2)} for and ${fixed(data.against, 2)} against.`
        + (under ? " Laid over the grey spectrogram." : ""), "relevance", pane);
      say(`Relevance per frequency: most for ${at(bands_for, Math.max, hertz)}, `
        + `most against ${at(bands_against, Math.min, hertz)}.`, "bands", pane);
      say(`Relevance per moment: most for ${at(moments_for, Math.max, second)}, `
        + `most against ${at(moments_against, Math.min, second)}.`, "moments", pane);
      scaleStrip(this.figure("relevance", pane).querySelector(".scale"), diverging, `against ${short(-data.limit)}`,
                 `${short(data.limit)} for`);
    });
    scaleStrip(this.root.querySelector(".spectrogram .scale"), magma, `${fixed(this.data.decibels, 0)} dB`, "0 dB");
  }
}
