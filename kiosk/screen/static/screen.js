"use strict";

// The page shows the newest view of /events, whole, and forgets everything before it.

const LOST_AFTER_MS = 3000;
const RECONNECT_AFTER_MS = 5000;

const MOODS = {
  idle: "calm", accepting: "go", credited: "go", farewell: "go", refused: "sorry", closed: "shut", hazard: "danger",
};
const ICONS = { card_reader: "qr", close_flap: "closing", flap: "closing", beams: "hand", starting: "starting" };
// Whatever was refused is never drawn as something to put in.
const REFUSED_ICONS = { hand: "hand", hazard: "hazard", not_a_battery: "crossed", unpriced: "crossed", over_cap: "crossed" };
const TROUBLE = ["closed", "recovering", "hazard"];
const ENDED_BY_THE_RESIDENT = ["accepting", "credited"];

const byId = (id) => document.getElementById(id);
const stage = byId("stage");

let sentences = null;
let token = document.querySelector("meta[name=kiosk-token]").content;
let view = null;
let viewAt = 0;
let aliveAt = performance.now();
let connectedAt = 0;
let stream = null;

// --- what a view says ---

function reasonOf(view) {
  const { reasons } = sentences;
  return reasons[view.screen]?.[view.reason] ?? reasons.any[view.reason] ?? refusalOf(view);
}

function refusalOf(view) {
  // A refusal is still told when the bin has gone on to the next battery, or to the goodbye.
  return ["refused", "accepting", "farewell"].includes(view.screen) ? sentences.reasons.refused[view.reason] : undefined;
}

function sayingOf(view) {
  const { screens } = sentences;
  const unpaid = view.screen === "credited" && view.credit?.unpaid;
  return (reasonOf(view) ?? (unpaid ? screens.unpaid : screens[view.screen] ?? screens.lost))[view.language];
}

function moodOf(view) {
  if (!refusalOf(view)) return MOODS[view.screen] ?? "wait";
  return view.reason === "hazard" ? "danger" : "sorry";
}

function pointsOf(view) {
  if (view.screen === "credited" && view.credit && !view.credit.unpaid) return view.credit.points;
  if (view.screen === "farewell" && view.session_points > 0 && !reasonOf(view)) return view.session_points;
  return null;
}

function iconOf(view) {
  return refusalOf(view) ? REFUSED_ICONS[view.reason] ?? "refused" : ICONS[view.reason] ?? view.screen;
}

function creditOf(view, labels) {
  // The credit stays in sight when the bin goes on; in trouble, the whole visit is said to be safe.
  if (!view.credit) return null;
  if (TROUBLE.includes(view.screen)) return view.session_points > 0 ? filled(labels.recorded, { n: view.session_points }) : null;
  const wentOn = ["accepting", "closing"].includes(view.screen) && !view.credit.unpaid;
  return wentOn ? filled(labels.just_now, { n: view.credit.points }) : null;
}

function filled(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function itemOf(credit, language) {
  const { classes, labels } = sentences;
  if (!credit) return classes.other[language];
  const name = (classes[credit.battery_class.toLowerCase()] ?? classes.other)[language];
  return filled(labels[language].item, { name, count: credit.count });
}

// --- drawing it ---

function put(id, text) {
  const element = byId(id);
  element.hidden = text === null;
  if (element.textContent !== (text ?? "")) element.textContent = text ?? "";
}

function render() {
  if (!sentences) return;
  const lost = view === null || performance.now() - aliveAt > LOST_AFTER_MS;
  // A lost stream keeps the language and nothing else: what it said last may no longer be true.
  const shown = lost ? { screen: "lost", language: view?.language ?? "zh" } : view;
  const { screen, language } = shown;
  const labels = sentences.labels[language];
  const saying = sayingOf(shown);
  const points = pointsOf(shown);
  const open = ENDED_BY_THE_RESIDENT.includes(screen);

  stage.lang = language;
  stage.dataset.screen = screen;
  stage.dataset.mood = moodOf(shown);
  stage.classList.toggle("explains", Boolean(reasonOf(shown)) && shown.session_items > 0);
  const wanted = iconOf(shown);
  const icons = [...document.querySelectorAll("[data-icon]")];
  const icon = icons.some((each) => each.dataset.icon === wanted) ? wanted : "lost";
  for (const each of icons) each.toggleAttribute("hidden", each.dataset.icon !== icon);

  put("headline", saying.headline);
  put("text", filled(saying.text, { item: itemOf(shown.credit, language) }));
  put("recorded", creditOf(shown, labels));
  byId("points").hidden = points === null;
  put("points_figure", points === null ? null : screen === "credited" ? `+${points}` : `${points}`);
  put("points_unit", points === null ? null : labels.points);
  const session = { points: shown.session_points, items: shown.session_items };
  const told = (open || screen === "farewell") && shown.session_items > 0;
  put("session", told ? filled(labels.session, session) : null);
  const left = screen === "accepting" && !reasonOf(shown) ? shown.remaining_points ?? null : null;
  put("remaining", left === null ? null : filled(labels.remaining, { n: left }));

  put("connection", lost ? null : shown.online ? labels.online : labels.offline);
  byId("connection").classList.toggle("offline", !shown.online);
  put("on_its_way", shown.on_its_way > 0 ? filled(labels.on_its_way, { n: shown.on_its_way }) : null);
  put("language", lost ? null : labels.other_language);

  put("notice", screen === "idle" ? labels.tape : null);
  put("next", shown.next_resident_waits ? labels.next : null);
  put("done", open && !shown.next_resident_waits ? labels.done : null);
  renderCountdown(shown, labels, open);
}

function renderCountdown(shown, labels, open) {
  const ticking = open && shown.deadline_ms != null && !shown.next_resident_waits;
  const leftMs = ticking ? Math.max(0, shown.deadline_ms - (performance.now() - viewAt)) : 0;
  put("countdown", ticking ? filled(labels.countdown, { n: Math.ceil(leftMs / 1000) }) : null);
}

function fit() {
  const scale = Math.min(innerWidth / 800, innerHeight / 480);
  const left = (innerWidth - 800 * scale) / 2;
  const top = (innerHeight - 480 * scale) / 2;
  stage.style.transform = scale === 1 ? "" : `translate(${left}px, ${top}px) scale(${scale})`;
}

// --- the daemon ---

function connect() {
  stream?.close();
  connectedAt = performance.now();
  stream = new EventSource("/events");
  stream.onopen = () => {
    if (view !== null) renewToken();
  };
  stream.onmessage = (event) => {
    view = JSON.parse(event.data);
    viewAt = aliveAt = performance.now();
    byId("done").disabled = false;
    render();
  };
  stream.addEventListener("alive", () => {
    aliveAt = performance.now();
  });
}

async function renewToken() {
  // The daemon may be a new one. A reload would do too, but leave the browser's own error page if it died again.
  const page = await fetch("/").then((answer) => answer.text()).catch(() => "");
  token = new DOMParser().parseFromString(page, "text/html").querySelector("meta[name=kiosk-token]")?.content ?? token;
}

function post(path, body) {
  return fetch(path, { method: "POST", body, headers: { "Kiosk-Token": token } }).then(
    (answer) => answer.ok,
    () => false,
  );
}

function watch() {
  const now = performance.now();
  // The browser gives up on some answers (503), and never notices a stopped daemon that keeps its connections open.
  if (now - aliveAt > LOST_AFTER_MS && now - connectedAt > RECONNECT_AFTER_MS) connect();
  render();
}

async function start() {
  while (!sentences) {
    sentences = await fetch("/static/sentences.json").then((answer) => answer.json()).catch(() => null);
    if (!sentences) await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  connect();
  setInterval(watch, 250);
}

byId("done").addEventListener("click", async () => {
  byId("done").disabled = true;
  if (!(await post("/done"))) byId("done").disabled = false;
});
byId("language").addEventListener("click", () => post("/language", view.language === "zh" ? "en" : "zh"));
addEventListener("resize", fit);
fit();
start();
