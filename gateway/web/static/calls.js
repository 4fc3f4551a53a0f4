// The live list: news says that something changed, the server gives the rows, and only rows that differ are touched.

import { follow, fragment, gathered, isTyping, refreshStatus } from "./console.js";

const rows = document.getElementById("rows");
const address = rows.dataset.fragment;
let chosen = null; // id of the row the keyboard is on

function mark() {
  for (const row of rows.rows) row.classList.toggle("chosen", chosen !== null && row.dataset.id === chosen);
}

function put(html) {
  const table = document.createElement("table");
  table.innerHTML = `<tbody>${html}</tbody>`;
  const known = new Map([...rows.rows].map((row) => [row.dataset.id, row]));
  const wanted = [...table.tBodies[0].rows].map((row) => {
    const old = known.get(row.dataset.id);
    if (old && old.dataset.html === row.innerHTML && old.className.split(" ")[0] === row.className) return old;
    row.dataset.html = row.innerHTML;
    if (row.dataset.id) row.classList.add("fresh");
    return row;
  });
  rows.replaceChildren(...wanted);
  mark();
}

async function refresh() {
  const html = await fragment(address);
  if (html !== null) put(html);
}

function move(step) {
  const all = [...rows.rows].filter((row) => row.dataset.id);
  if (!all.length) return;
  const at = all.findIndex((row) => row.dataset.id === chosen);
  const next = all[Math.min(all.length - 1, Math.max(0, at + step))];
  chosen = next.dataset.id;
  mark();
  next.querySelector("a").focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  if (event.key === "j" || event.key === "ArrowDown") move(1);
  else if (event.key === "k" || event.key === "ArrowUp") move(-1);
  else return;
  event.preventDefault();
});
rows.addEventListener("click", (event) => {
  if (!event.target.closest("a") && !getSelection().toString()) event.target.closest("tr")?.querySelector("a")?.click();
});

for (const row of rows.rows) row.dataset.html = row.innerHTML;
if (address) {
  const soon = gathered(refresh, 200);
  const status = gathered(refreshStatus, 300);
  follow(
    ["call", "recording", "alarm", "forward_attempt", "health"],
    (kind) => (kind === "call" || kind === "recording" ? soon() : status()),
    () => {
      soon();
      status();
    },
  );
}
