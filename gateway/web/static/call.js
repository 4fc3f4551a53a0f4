// One call: says when there is news about it, and plays its recordings.

import { clockText, follow, isTyping } from "./console.js";

const STEP_S = 5;
const BUCKETS = 800;
const changed = document.getElementById("changed");
const callId = document.querySelector("[data-call]").dataset.call;
const styles = getComputedStyle(document.documentElement);
let current = null; // the player that keys belong to

class Player {
  constructor(box) {
    this.box = box;
    this.audio = box.querySelector("audio");
    this.button = box.querySelector("[data-play]");
    this.canvas = box.querySelector("canvas");
    this.clock = box.querySelector("[data-clock]");
    this.speed = box.querySelector("[data-speed]");
    this.wrong = box.querySelector("[data-wrong]");
    this.length_s = Number(box.dataset.length);
    this.peaks = null;
    this.heard = false; // to the end: playing again is another listening
    this.listen();
    this.load();
  }

  // A new word in the address: the browser may keep sound it has, but each listening is to be asked for, and logged.
  // Only right before playing: load() fetches in spite of preload="none".
  renew() {
    this.heard = false;
    for (const source of this.audio.querySelectorAll("source")) {
      const address = new URL(source.src);
      address.searchParams.set("listening", Date.now().toString(36) + Math.random().toString(36).slice(2, 8));
      source.src = address.href;
    }
    this.audio.load();
  }

  listen() {
    const { audio, canvas } = this;
    this.button.addEventListener("click", () => this.toggle());
    this.speed.addEventListener("change", () => this.setSpeed(Number(this.speed.value)));
    canvas.addEventListener("click", (event) => {
      const place = canvas.getBoundingClientRect();
      this.seek(((event.clientX - place.left) / place.width) * this.total_s);
    });
    for (const kind of ["play", "pause", "ended"]) audio.addEventListener(kind, () => this.showState());
    audio.addEventListener("ended", () => (this.heard = true));
    audio.addEventListener("play", () => this.follow());
    for (const kind of ["timeupdate", "seeked", "loadedmetadata"]) audio.addEventListener(kind, () => this.draw());
    audio.querySelector("source:last-of-type").addEventListener("error", () => this.fail(this.box.dataset.failed));
    audio.addEventListener("error", () => this.fail(this.box.dataset.failed));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async load() {
    try {
      const answer = await fetch(`${this.box.dataset.peaks}?buckets=${BUCKETS}`);
      const body = await answer.json();
      if (answer.ok) this.peaks = body;
      else this.fail(`${this.box.dataset.nowave}: ${body.detail}`);
    } catch {
      this.fail(this.box.dataset.nowave);
    }
    this.draw();
  }

  get total_s() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration : this.length_s;
  }

  fail(words) {
    this.wrong.textContent = words;
    this.wrong.hidden = false;
  }

  async toggle() {
    current = this;
    if (!this.audio.paused) {
      this.audio.pause();
      return;
    }
    if (this.heard) this.renew();
    try {
      this.audio.playbackRate = Number(this.speed.value);
      await this.audio.play();
    } catch (error) {
      if (error.name !== "AbortError") this.fail(`${this.box.dataset.failed}: ${error.message}`);
    }
  }

  seek(to_s) {
    current = this;
    const at_s = Math.min(Math.max(0, to_s), Math.max(0, this.total_s - 0.05));
    if (this.audio.readyState === 0) {
      this.audio.addEventListener("loadedmetadata", () => (this.audio.currentTime = at_s), { once: true });
      this.toggle();
    } else {
      this.audio.currentTime = at_s;
    }
    this.draw();
  }

  setSpeed(speed) {
    this.speed.value = String(speed);
    this.audio.playbackRate = speed;
    this.audio.defaultPlaybackRate = speed;
  }

  changeSpeed(step) {
    const speeds = [...this.speed.options].map((option) => Number(option.value));
    const at = speeds.indexOf(Number(this.speed.value)) + step;
    this.setSpeed(speeds[Math.min(speeds.length - 1, Math.max(0, at))]);
  }

  showState() {
    const { button, audio } = this;
    button.setAttribute("aria-label", audio.paused ? button.dataset.labelPlay : button.dataset.labelPause);
    button.firstElementChild.textContent = audio.paused ? "▶" : "❚❚";
    this.draw();
  }

  follow() {
    this.draw();
    if (!this.audio.paused) requestAnimationFrame(() => this.follow());
  }

  draw() {
    const { canvas, audio } = this;
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const played = this.total_s ? audio.currentTime / this.total_s : 0;
    const colour = (name) => styles.getPropertyValue(name).trim();
    this.drawSide(pen, this.peaks?.ours, -1, width, height, played, colour("--wave-ours"), colour("--wave-rest"));
    this.drawSide(pen, this.peaks?.theirs, 1, width, height, played, colour("--wave-theirs"), colour("--wave-rest"));
    pen.fillStyle = colour("--red");
    pen.fillRect(Math.min(width - 2, played * width), 0, 2, height);
    const at = clockText(audio.currentTime);
    this.clock.textContent = `${at} / ${clockText(this.total_s)}`;
    canvas.setAttribute("aria-valuenow", audio.currentTime.toFixed(1));
    canvas.setAttribute("aria-valuetext", at);
  }

  // Our side grows up from the middle, the other side down; the scale is a square root, so that soft speech is seen.
  drawSide(pen, peaks, direction, width, height, played, before, after) {
    const middle = height / 2;
    const bars = Math.max(1, Math.floor(width / 3));
    for (let bar = 0; bar < bars; bar += 1) {
      const from = Math.floor((bar * (peaks?.length ?? 0)) / bars);
      const to = Math.max(from + 1, Math.floor(((bar + 1) * (peaks?.length ?? 0)) / bars));
      const loudest = peaks ? Math.max(0, ...peaks.slice(from, to)) : 0;
      const tall = Math.max(1, Math.sqrt(loudest) * (middle - 4));
      pen.fillStyle = bar / bars < played ? before : after;
      pen.fillRect(bar * 3, direction < 0 ? middle - tall : middle, 2, tall);
    }
  }
}

const players = [...document.querySelectorAll("[data-player]")].map((box) => new Player(box));
current = players[0] ?? null;

document.addEventListener("keydown", (event) => {
  if (isTyping(event) || current === null) return;
  const onControl = event.target.closest("button, a, summary");
  if (event.key === " " && !onControl) current.toggle();
  else if (event.key === "ArrowLeft") current.seek(current.audio.currentTime - STEP_S);
  else if (event.key === "ArrowRight") current.seek(current.audio.currentTime + STEP_S);
  else if (event.key === "[") current.changeSpeed(-1);
  else if (event.key === "]") current.changeSpeed(1);
  else return;
  event.preventDefault();
});

function tell(_kind, data) {
  if (data.id === callId || data.call_id === callId) changed.hidden = false;
}
follow(["call", "recording", "forward_attempt"], tell, () => (changed.hidden = false));
