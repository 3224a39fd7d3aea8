"use strict";
// What pointer, wheel and keys do on the pictures of a sound: a click seeks, a drag selects, two fingers or the wheel zoom.

const STILL = 5; // pixels: a shorter drag is a click

function gestures(slider, sound) {
  const pointers = new Map(); // where each finger is; `anchors`: the seconds under the two that zoom
  let start = null, before = null, selects = false, anchors = null;

  const box = () => slider.getBoundingClientRect();
  const timeAt = x => {
    const {left, width} = box(), [from, to] = sound.span;
    return Math.min(to, Math.max(from, from + (x - left) / width * (to - from)));
  };
  const sorted = () => [...pointers.values()].sort((one, other) => one - other);

  function pinch() {
    const {left, width} = box(), [x, y] = sorted(), seconds = (anchors[1] - anchors[0]) * width / Math.max(y - x, 1);
    const from = anchors[0] - (x - left) / width * seconds;
    sound.show([from, from + seconds]);
  }

  slider.addEventListener("pointerdown", event => {
    if (event.button) return;
    slider.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event.clientX);
    if (pointers.size === 1) [start, before, selects] = [timeAt(event.clientX), sound.selection, false];
    if (pointers.size !== 2) return;
    if (selects) sound.outline(before);
    anchors = sorted().map(timeAt);
  });
  slider.addEventListener("pointermove", event => {
    sound.tell(event.clientX, event.clientY);
    if (!pointers.has(event.pointerId)) return;
    const from = pointers.get(event.pointerId), now = timeAt(event.clientX);
    if (pointers.size === 2) {
      pointers.set(event.pointerId, event.clientX);
      if (anchors) pinch();
    } else if (!anchors && (selects || Math.abs(event.clientX - from) >= STILL)) {
      selects = true;
      sound.outline([Math.min(start, now), Math.max(start, now)]);
    }
  });
  function released(event) {
    if (!pointers.delete(event.pointerId)) return;
    if (event.type === "pointerup" && !anchors) {
      if (selects) sound.select(sound.selection);
      else sound.click(timeAt(event.clientX));
    }
    if (event.type === "pointercancel" && selects) sound.outline(before);
    if (pointers.size === 0) anchors = null;
  }
  slider.addEventListener("pointerup", released);
  slider.addEventListener("pointercancel", released);
  slider.addEventListener("pointerleave", () => sound.tell(-1, -1));

  slider.addEventListener("wheel", event => {
    const aside = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (aside ? !sound.zoomed : !event.ctrlKey && !event.metaKey) return; // the wheel alone scrolls the page
    event.preventDefault();
    if (aside) sound.pan(Math.sign(event.deltaX || event.deltaY) * 0.1);
    else sound.zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event.clientX));
  }, {passive: false});

  slider.addEventListener("keydown", event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const shown = sound.span[1] - sound.span[0], step = shown * (event.shiftKey ? 1 / 4 : 1 / 40);
    const move = by => () => sound.seek(sound.time + by);
    const acts = {
      ArrowLeft: move(-step), ArrowDown: move(-step), ArrowRight: move(step), ArrowUp: move(step),
      PageDown: move(-shown / 8), PageUp: move(shown / 8), Home: () => sound.seek(0), End: () => sound.seek(common.seconds),
      "+": () => sound.zoom(0.7), "=": () => sound.zoom(0.7), "-": () => sound.zoom(1.4), 0: () => sound.show([0, common.seconds]),
      i: () => sound.mark(0), o: () => sound.mark(1), l: () => sound.setLoop(!sound.loop), Escape: () => sound.select(null),
    };
    if (!(event.key in acts) || (event.shiftKey && event.key.startsWith("Page"))) return; // those walk among sounds
    event.preventDefault();
    acts[event.key]();
  });
}
