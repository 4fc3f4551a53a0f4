// Pages that are loaded again as a whole when news of their kind comes: forward attempts, alarms.

import { follow, fragment, gathered, refreshStatus } from "./console.js";

const content = document.getElementById("content");

async function refresh() {
  const html = await fragment(location.href);
  const fresh = html && new DOMParser().parseFromString(html, "text/html").getElementById("content");
  if (!fresh || fresh.innerHTML === content.dataset.html) return;
  content.dataset.html = fresh.innerHTML;
  content.replaceChildren(...fresh.childNodes);
}

content.dataset.html = content.innerHTML;
const soon = gathered(refresh, 300);
const status = gathered(refreshStatus, 300);
follow(
  ["alarm", "forward_attempt"],
  (kind) => {
    if (kind === content.dataset.news) soon();
    status();
  },
  soon,
);
