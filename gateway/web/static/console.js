// What every page does: the clock, the status bar, keys, the help.
// The clock shows the server's time: an office PC's own clock may be wrong by hours.

const status = document.getElementById("status");
const help = document.getElementById("help");
const STATUS_EVERY_MS = 10_000;
const DAY = new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai", dateStyle: "short" });
const TIME = new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai", timeStyle: "medium" });

let ahead_ms = 0; // server time minus performance.now()

export function serverNow() {
  return performance.now() + ahead_ms;
}

function setClock() {
  const clock = status?.querySelector("[data-clock]");
  if (clock) ahead_ms = Number(clock.dataset.clock) - performance.now();
}

export function clockText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

function tick() {
  const now = new Date(serverNow());
  const clock = status?.querySelector("[data-time]");
  if (clock) clock.textContent = TIME.format(now);
  const day = status?.querySelector("[data-day]");
  if (day && !day.textContent.startsWith(DAY.format(now))) refreshStatus();
  for (const running of document.querySelectorAll("[data-since]")) {
    running.textContent = clockText((serverNow() - Number(running.dataset.since)) / 1000);
  }
}

// A fragment of this page, made on the server; null when it could not be had. After the session ends: to the login.
export async function fragment(address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (answer.status === 401) location.reload();
    return answer.ok ? await answer.text() : null;
  } catch {
    return null; // the network: whoever asked shows that
  }
}

export async function refreshStatus() {
  const html = await fragment("/fragments/status");
  status.classList.toggle("stale", html === null);
  status.title = html === null ? status.dataset.stale : "";
  if (html === null) return;
  status.innerHTML = html;
  setClock();
  tick();
}

// Calls `news(kind, data)` for live news and `again()` when something may have been missed. A hidden page lets go of
// its connection, because a browser has only six for one address, and catches up when it is seen again.
export function follow(kinds, news, again) {
  const lamp = document.getElementById("live");
  let source = null;
  let broken = false;
  const show = (on) => {
    if (!lamp) return;
    lamp.className = `live ${on ? "on" : "off"}`;
    lamp.textContent = on ? `● ${lamp.dataset.on}` : `○ ${lamp.dataset.off}`;
  };
  const open = () => {
    source = new EventSource("/api/v1/live");
    source.onopen = () => {
      show(true);
      if (broken) again();
      broken = false;
    };
    source.onerror = () => {
      broken = true;
      show(false);
      if (source.readyState === EventSource.CLOSED) {
        source.close();
        setTimeout(open, 5000);
      }
    };
    source.addEventListener("gap", again);
    for (const kind of kinds) {
      source.addEventListener(kind, (event) => news(kind, JSON.parse(event.data)));
    }
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (source === null) {
      broken = true;
      open();
    }
  });
  if (!document.hidden) open();
}

// Runs `work` soon, at most once in `every_ms`, however often it is asked for.
export function gathered(work, every_ms) {
  let waiting = null;
  return () => {
    waiting ??= setTimeout(() => {
      waiting = null;
      work();
    }, every_ms);
  };
}

export function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, dialog");
}

document.addEventListener("keydown", (event) => {
  if (isTyping(event)) {
    if (event.key === "Escape") event.target.blur?.();
    return;
  }
  const page = document.querySelector(`nav a[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  const search = document.querySelector("[data-search]");
  if (event.key === "?") help.showModal();
  else if (event.key === "/" && search) search.select();
  else if (event.key === "Backspace") document.querySelector("[data-back]")?.click();
  else if (page) page.click();
  else return;
  event.preventDefault();
});

for (const button of document.querySelectorAll("[data-help]")) button.addEventListener("click", () => help.showModal());
document.querySelector("[data-back]")?.addEventListener("click", (event) => {
  if (document.referrer.startsWith(`${location.origin}/`) && history.length > 1) {
    event.preventDefault(); // back to the list as it was filtered
    history.back();
  }
});

if (status) {
  setClock();
  tick();
  setInterval(tick, 250);
  setInterval(refreshStatus, STATUS_EVERY_MS);
}
