"use strict";
// The ledger of one explanation, as a picture and as a table. Draws with pictures.js.

// Does a layer take a thousandth of the score or more?
function absorbs(taken, total) {
  return taken.some(value => Math.abs(value) >= 1e-3 * Math.abs(total[0]));
}

// pages: [layer, type, rule] of each row of the ledger.
function showLedger(picture, {ledger, total, book}, pages) {
  const absorbing = ledger.map(([, passed, ...rest], index) => [pages[index][0], passed, ...rest.slice(0, 3)])
    .filter(([, , ...taken]) => absorbs(taken, total));
  drawLedger(picture, [["score", total[0], 0, 0, 0], ...absorbing, ["the sound", total[1], 0, 0, 0]]);
  const most = absorbing.map(([name, , ...taken]) => [taken.reduce((sum, value) => sum + value, 0), name])
    .sort((one, other) => Math.abs(other[0]) - Math.abs(one[0]))[0];
  const where = most ? ` Most was absorbed in ${most[1]}: ${fixed(most[0])}.` : "";
  picture.setAttribute("aria-label", minus(book) + where);
}

function fillTable(table, {ledger, total}, pages, title) {
  const body = table.querySelector("tbody"), foot = table.querySelector("tfoot");
  const numbers = row => [...row.slice(0, 5).map(value => fixed(value)), row[5] === 0 ? "0" : minus(row[5].toExponential(0))];
  table.querySelector("caption span").textContent = `${title}: `
    + "R out = R in + bias + stabilizer + gated; the residual is what rounding leaves.";
  body.replaceChildren();
  foot.replaceChildren();
  ledger.forEach((row, index) => {
    const [layer, , rule] = pages[index];
    tableRow(body, [layer, ...numbers(row), rule], absorbs(row.slice(2, 5), total));
  });
  tableRow(foot, ["all", ...numbers(total), ""], true);
}
