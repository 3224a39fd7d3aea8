"use strict";
// The page: one chapter at a time, its questions, and what has been answered so far.

const chapters = [...document.querySelectorAll(".chapter")], links = [...document.querySelectorAll(".contents a")];
const KEPT = "audio-lrp-lesson";

// Answers are kept for this tab; where the browser keeps nothing for files, for as long as the page is open.
const answered = (() => {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEPT));
    return found && typeof found === "object" ? found : {};
  } catch { return {}; }
})();

function keep(id, right) {
  answered[id] = answered[id] || right;
  try { sessionStorage.setItem(KEPT, JSON.stringify(answered)); } catch { /* nothing is kept then */ }
  progress();
}

// How many questions of each chapter were answered right.
function progress() {
  chapters.forEach((chapter, n) => {
    const all = [...chapter.querySelectorAll(".question")], right = all.filter(question => answered[question.id] === true).length;
    const text = right === all.length ? "✓" : right ? `${right}/${all.length}` : "";
    const done = links[n].querySelector(".done");
    done.textContent = text;
    done.setAttribute("aria-label", right ? `${right} of ${all.length} questions answered` : "");
    if (right) done.setAttribute("role", "img");
    links[n].toggleAttribute("data-complete", right === all.length);
  });
}

function verdict(question, right, why) {
  const place = question.querySelector(".verdict");
  question.dataset.state = right ? "right" : "wrong";
  place.textContent = `${right ? "Right." : "Not quite."} ${why}`;
  keep(question.id, right);
}

function ask(question) {
  const check = question.querySelector(".check"), answers = [...question.querySelectorAll(".answer")];
  for (const button of answers) {
    button.addEventListener("click", () => {
      for (const other of answers) other.setAttribute("aria-pressed", other === button);
      verdict(question, button.dataset.right !== undefined, button.dataset.why);
    });
  }
  if (!check) return;
  const field = question.querySelector("input");
  const grade = () => {
    const text = field.value.trim().replace(",", ".").replace("\u2212", "-"), value = Number(text);
    if (!text || !Number.isFinite(value)) {
      question.dataset.state = "wrong";
      question.querySelector(".verdict").textContent = "Please type a number, such as 1.5.";
      return;
    }
    const right = Math.abs(value - Number(check.dataset.answer)) <= Number(check.dataset.near);
    verdict(question, right, right ? check.dataset.why : check.dataset.hint);
  };
  check.addEventListener("click", grade);
  field.addEventListener("keydown", event => { if (event.key === "Enter") grade(); });
}

// Show the chapter that the address names; `moved`: by a link, so that the reading goes on at its heading.
function turn(moved) {
  const id = location.hash.slice(1);
  if (id === "main") return;
  const chapter = chapters.find(one => one.id === id) ?? chapters[0];
  for (const one of chapters) one.hidden = one !== chapter;
  links.forEach((link, n) => {
    if (chapters[n] === chapter) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  document.title = `${chapter.querySelector("h1").textContent} – How relevance flows`;
  draw();
  if (!moved) return;
  scrollTo(0, 0);
  chapter.querySelector("h1").focus({preventScroll: true});
}

function draw() {
  for (const {root, show} of widgets) if (!root.closest(".chapter").hidden) show();
}

for (const question of document.querySelectorAll(".question")) ask(question);
addEventListener("hashchange", () => turn(true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
progress();
turn(false);
