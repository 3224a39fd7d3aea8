"use strict";
// What is shown of a sound as the end of a link: #clip-2&class=siren&rules=epsilon&zoom=1.2-2.5&select=1.3-1.6

const range = ([from, to]) => `${from.toFixed(3)}-${to.toFixed(3)}`;

// id: of the section. class, rules: names. zoom, select: seconds [from, to] or null. other: {class, rules} or null.
function linkOf({id, zoom, select, other, under, ...choice}) {
  const found = new URLSearchParams(choice);
  if (zoom) found.set("zoom", range(zoom));
  if (select) found.set("select", range(select));
  if (other) {
    found.set("with", other.class);
    found.set("by", other.rules);
  }
  if (under) found.set("under", under);
  return `#${id}&${found}`;
}

// Two rising seconds within the sound, or null.
function readRange(text) {
  const [from, to, ...more] = (text ?? "").split("-").map(Number);
  return !more.length && 0 <= from && from < to && to <= common.seconds + 1e-3 ? [from, Math.min(to, common.seconds)] : null;
}

// The same of a link; what is missing or makes no sense is null. state: is there more than the sound's name?
function readLink(hash) {
  const [id, ...rest] = hash.replace(/^#/, "").split("&"), found = new URLSearchParams(rest.join("&"));
  const under = Number(found.get("under"));
  return {
    id, state: rest.length > 0, class: found.get("class"), rules: found.get("rules"),
    zoom: readRange(found.get("zoom")), select: readRange(found.get("select")),
    other: found.has("with") ? {class: found.get("with"), rules: found.get("by")} : null, under: under >= 0 && under <= 1 ? under : 0,
  };
}
