"use strict";
// The page: all its sounds, the way from one to the next, and the link that holds what is shown.

const page = {
  current: null, // the sound that keys act on when the focus is in none

  choose(sound) {
    if (page.current !== sound) page.current?.pause();
    page.current = sound;
    page.mark();
  },

  // Something was chosen by hand: the address holds it, half a second later.
  moved(sound) {
    if (!page.ready) return;
    clearTimeout(page.next);
    page.next = setTimeout(() => page.address(sound), 500);
  },

  address(sound) { history.replaceState(null, "", sound.link); },

  // Show what the address says; what makes no sense in it is left aside.
  restore() {
    const state = readLink(location.hash), section = document.getElementById(state.id), sound = sounds.get(section);
    if (!sound) return;
    page.choose(sound);
    if (!state.state) return;
    sound.restore(state);
    section.scrollIntoView();
  },

  go(sound) {
    if (!sound) return;
    page.choose(sound);
    page.moved(sound);
    sound.section.scrollIntoView({behavior: calm.matches ? "auto" : "smooth"});
    sound.slider.focus({preventScroll: true});
  },

  // The sound that is `by` places further in the list.
  beside(by) {
    const all = [...sounds.values()];
    return all[all.indexOf(page.current) + by];
  },

  mark() {
    const all = [...sounds.values()], number = all.indexOf(page.current), nav = document.querySelector("nav");
    if (!nav) return;
    nav.querySelector(".here").textContent = `${number + 1} of ${all.length}: ${page.current.data.name}`;
    nav.querySelector("[data-by='-1']").disabled = number === 0;
    nav.querySelector("[data-by='1']").disabled = number === all.length - 1;
    nav.querySelectorAll(".contents a").forEach((link, index) => link.setAttribute("aria-current", index === number));
  },

  keyed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const sound = sounds.get(event.target.closest(".clip")) ?? page.current;
    const by = {PageUp: -1, PageDown: 1}[event.key];
    if (event.shiftKey && by && !event.target.matches("input[type=search]")) page.go(page.beside(by));
    // Space is left to what has a use for it of its own.
    else if (event.key === " " && !event.target.closest("button, a, summary, select, .scroll, .strip, .microscope, input:not([type=radio])"))
      sound.toggle(sound.chosen);
    else return;
    event.preventDefault();
  },

  // The list of sounds: a filter for names and classes, and a click that closes it.
  listen() {
    const nav = document.querySelector("nav");
    if (!nav) return;
    const list = nav.querySelector("details"), filter = nav.querySelector("[type=search]"), none = nav.querySelector(".none");
    for (const button of nav.querySelectorAll("[data-by]"))
      button.addEventListener("click", () => page.go(page.beside(Number(button.dataset.by))));
    const narrow = () => {
      const words = filter.value.toLowerCase().split(/\s+/), items = [...nav.querySelectorAll("li")];
      for (const item of items) item.hidden = !words.every(word => item.textContent.toLowerCase().includes(word));
      none.hidden = items.some(item => !item.hidden);
    };
    filter.addEventListener("input", narrow);
    list.addEventListener("toggle", () => { if (list.open) filter.focus(); });
    nav.addEventListener("keydown", event => {
      if (event.key === "Enter" && event.target === filter) nav.querySelector("li:not([hidden]) a")?.click();
      else if (event.key === "Escape" && list.open) {
        list.open = false;
        list.querySelector("summary").focus();
      }
    });
    for (const link of nav.querySelectorAll("a")) link.addEventListener("click", event => {
      event.preventDefault();
      list.open = false;
      page.go(sounds.get(document.getElementById(link.hash.slice(1))));
    });
    document.addEventListener("pointerdown", event => { if (!nav.contains(event.target)) list.open = false; });
    // The sound that is in the middle of the screen is the one that keys act on.
    const seen = new IntersectionObserver(entries => {
      const found = entries.filter(entry => entry.isIntersecting).map(entry => sounds.get(entry.target));
      if (found.length && !page.current.playing) page.choose(found[0]);
    }, {rootMargin: "-49% 0px -49% 0px"});
    for (const section of sounds.keys()) seen.observe(section);
  },
};

const sounds = new Map([...document.querySelectorAll(".clip")].map(section => [section, new Sound(section, page)]));
page.choose(sounds.values().next().value);
page.restore();
page.listen();
page.ready = true;
addEventListener("hashchange", page.restore);
document.addEventListener("keydown", page.keyed);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => sounds.forEach(sound => sound.draw()));
