import { setQuick, setTare, showFall, showWorld } from "./drawing.js";
import { plot } from "./plot.js";

const byId = (id) => document.getElementById(id);
const DWELL_MS = 430;
const STORY_LINES = 40;
const LOST_MS = 3000;
const TORTURE_TAKES = "the torture takes about 5 minutes";
const KINDS = { refusal: "refused", tip_failed: "tip not seen", orphan_cleared: "cleared uncredited", hazard_raised: "hazard",
  hazard_cleared: "hazard cleared", fault_raised: "fault", fault_cleared: "fault over", service_entered: "door opened",
  service_left: "door shut", emptied: "emptied" };
const ALARMS = ["hazard_raised", "fault_raised", "tip_failed"];
const MODES = { auto: "plays by itself", person: "you play", torture: "torture" };

const WORDS_OF = { starts: "daemon restarting", dead: "daemon dead" };

let world = null, counts = null, view = null, power = true, mode = "auto", armed = false, resumes = null, judged = false;

// --- above: figures and chips ---

function showCounts(value) {
  counts = value;
  for (const name of ["accepted", "acknowledged", "pending", "held"]) byId(name).textContent = value.deposits[name];
  byId("pending").parentElement.classList.toggle("waits", value.deposits.pending > 0);
  byId("held").parentElement.classList.toggle("waits", value.deposits.held > 0);
  byId("sum").classList.toggle("stale", value.daemon !== "runs");
  byId("led").classList.toggle("dead", value.daemon !== "runs");
  if (value.daemon === "runs" && !byId("screen").src) byId("screen").src = document.body.dataset.screen;
  setTare(value.tare_mg);
  showChips();
}

function chip(id, well, good, bad) {
  byId(id).textContent = well ? good : bad;
  byId(id).classList.toggle("off", !well);
}

function showChips() {
  if (counts) {
    chip("chip_daemon", counts.daemon === "runs", "daemon runs", WORDS_OF[counts.daemon]);
    byId("chip_daemon").classList.toggle("waits", counts.daemon === "starts");
    chip("chip_network", counts.network, "network up", "network cut");
    showState();
  }
  chip("chip_power", power, "power on", "no power");
  byId("chip_mode").textContent = MODES[mode] + (resumes === null ? "" : ` · plays again in ${resumes} s`);
  byId("glass").classList.toggle("dark", !power || counts?.daemon !== "runs");
  byId("glass_text").textContent = !power ? "no power" : "the daemon starts";
  toggles();
}

function showState() {
  const { daemon, hazards, closed_because } = counts;
  const [word, style] = daemon !== "runs" ? [daemon === "dead" ? "off" : "starting", "quiet"]
    : hazards.length ? ["hazard", "off"]
    : closed_because ? [`closed: ${closed_because.replaceAll("_", " ")}`, "off"]
    : view?.screen === "recovering" ? ["recovering", "waits"] : ["open", ""];
  byId("chip_state").textContent = word;
  byId("chip_state").className = `chip ${style}`;
}

// --- the seven steps: each is shown long enough to be seen, in the order in which it happened ---

const steps = [...document.querySelectorAll("#steps li")];
const queue = [];
let showing = false;

function showStep(name) {
  if (mode === "torture") {
    queue.length = 0;
    mark(name);
    return;
  }
  queue.push(name);
  if (!showing) nextStep();
}

function nextStep() {
  const name = queue.shift();
  showing = name !== undefined;
  if (!showing) return;
  mark(name);
  setTimeout(nextStep, name === "beams" ? 1500 : DWELL_MS);
}

function mark(name) {
  const [step, points] = name.split(" ");
  const index = steps.findIndex((each) => each.dataset.step === step);
  if (step === "idle") {
    const last = steps.find((each) => each.classList.contains("now"));
    for (const each of steps) each.classList.remove("now", "done", "bad");
    if (last?.dataset.step === "server") last.classList.add("now");
    return;
  }
  if (step === "power_cut" || step === "refused") {
    for (const each of steps) each.classList.replace("now", step === "refused" ? "bad" : "done");
    return;
  }
  for (const [i, each] of steps.entries()) {
    each.classList.remove("now", "bad");
    if (step === "card" || step === "beams") each.classList.toggle("done", i < index);
    else if (i < index && each.classList.contains("done") === false && step !== "server") each.classList.add("done");
  }
  steps[index].classList.add("now", "done");
  if (step === "commit") flash();
  if (step === "points") {
    byId("plus").textContent = `+${points}`;
    byId("plus").classList.remove("shown");
    void byId("plus").getBoundingClientRect();
    byId("plus").classList.add("shown");
  }
}

function flash() {
  for (const id of ["controller", "commit_word"]) {
    byId(id).classList.add("flash");
    setTimeout(() => byId(id).classList.remove("flash"), 900);
  }
}

// --- the server's ledger ---

const known = new Set();

function showLedger({ rows, totals }) {
  const first = known.size === 0;
  byId("totals").textContent = `${totals.credited} credited, ${totals.points} points`;
  byId("rows").replaceChildren(...rows.map((row) => {
    const li = rowOf(row);
    if (!known.has(row.id) && !first) li.classList.add("fresh");
    known.add(row.id);
    return li;
  }));
}

function rowOf(row) {
  const li = document.createElement("li");
  const span = (name, text) => {
    const made = document.createElement("span");
    made.className = name;
    made.textContent = text;
    li.append(made);
  };
  const grams = row.mass_mg === null ? "" : `${(row.mass_mg / 1000).toFixed(1)} g`;
  if (row.kind !== "deposit") {
    li.className = ALARMS.includes(row.kind) ? "minor alarm" : "minor";
    const reason = (row.reason ?? "").replaceAll("_", " ");
    span("more", [`#${row.seq} ${KINDS[row.kind] ?? row.kind}`, reason].filter(Boolean).join(": "));
    if (row.kind === "refusal") explains(li, row);
    return li;
  }
  li.className = row.held ? "credit held" : "credit";
  explains(li, row);
  span("what", row.class);
  span("more", `#${row.seq} · ${grams} · ${row.scheme === "qr-static" ? "QR" : "card"} …${row.holder}`);
  span("points", row.held ? `held: ${row.code}` : `+${row.points}`);
  return li;
}

function explains(li, row) {
  li.classList.add("explains");
  li.tabIndex = 0;
  li.title = "Show the evidence";
  li.dataset.item = row.item_id;
}

async function showEvidence(item) {
  const answer = await fetch(`/evidence/${item}`).then((got) => got.json()).catch(() => ({ error: "the demo does not answer" }));
  if (answer.error || !answer.evidence) {
    toast(answer.error ?? "the evidence has been pruned");
    return;
  }
  const { body } = answer;
  byId("evidence_title").textContent = body.reason
    ? `Refused, ${body.reason.replaceAll("_", " ")}: why` : `${body.battery_class}, +${body.points} points: why`;
  byId("evidence_text").textContent = `record ${answer.seq}, ${answer.fate}; item ${body.item_id}; evidence SHA-256 ${body.evidence_sha256}`;
  plot(answer, byId("plot"));
  byId("evidence").showModal();
}

byId("rows").addEventListener("click", ({ target }) => {
  const item = target.closest("[data-item]")?.dataset.item;
  if (item) showEvidence(item);
});
byId("rows").addEventListener("keydown", ({ key, target }) => {
  if (key === "Enter" && target.dataset.item) showEvidence(target.dataset.item);
});

// --- the story, the torture, the buttons ---

function showLine({ tone, text }) {
  const li = document.createElement("li");
  li.className = tone;
  li.textContent = text;
  byId("story").append(li);
  while (byId("story").childElementCount > STORY_LINES) byId("story").firstChild.remove();
}

function showTorture(value) {
  const place = byId("torture");
  place.className = "";
  judged = value.stuck !== undefined || value.lost !== undefined;
  byId("verdict").hidden = !judged;
  toggles();
  if (value.accepted === undefined) {
    place.textContent = TORTURE_TAKES;
  } else if (value.stuck) {
    showVerdict(value, "The torture came to no end", value.stuck, "");
    place.className = "broken";
    place.textContent = value.stuck;
  } else if (value.lost === undefined) {
    const minutes = Math.ceil(value.left_s / 60);
    place.textContent = `${value.accepted} of ${value.deposits} deposits, ${value.cut} of ${value.cuts} power cuts; `
      + `about ${minutes} ${minutes === 1 ? "minute" : "minutes"} left`;
  } else {
    const [found, of] = [`lost ${value.lost}, doubled ${value.doubled}, shown early ${value.early}`,
      `of ${value.accepted} deposits and ${value.cut} power ${value.cut === 1 ? "cut" : "cuts"}`];
    showVerdict(value, found, of, [...value.missing, `${value.seconds} s`].join("; "));
    place.className = value.ok ? "ok" : "broken";
    place.textContent = `${found} ${of}`;
  }
}

function showVerdict({ ok }, word, figures, more) {
  byId("verdict").className = ok ? "ok" : "broken";
  byId("verdict_word").textContent = word;
  byId("verdict_figures").textContent = figures;
  byId("verdict_more").textContent = [more, "click to close"].filter(Boolean).join(" · ");
}

byId("verdict").addEventListener("click", () => post("verdict_seen"));

const OTHER = {
  door_open: () => world && !world.door_closed, heat: () => world && world.temperature_mc > 40000,
  jam_gate: () => world?.gate.jammed, stick_flap: () => world?.flap.stuck,
  torture: () => mode === "torture", cut_power: () => armed, cut_network: () => counts && !counts.network,
};
const OTHER_WORDS = { door_open: "Shut the door", heat: "Cool the bin", jam_gate: "Free the gate", stick_flap: "Free the flap",
  cut_network: "Restore the network", torture: "Stop the torture", cut_power: "Armed: fails after the next commit" };
const buttons = [...document.querySelectorAll("[data-act]")];
for (const button of buttons) button.dataset.word = button.textContent;

function toggles() {
  for (const button of buttons) {
    const turned = Boolean(OTHER[button.dataset.act]?.());
    button.classList.toggle("on", turned);
    button.textContent = turned ? OTHER_WORDS[button.dataset.act] : button.dataset.word;
    const { act } = button.dataset;
    button.disabled = act === "torture" ? armed || (mode === "torture" && judged)
      : mode === "torture" || (act === "cut_power" && armed) || (act === "clear_hazard" && !counts?.hazards.length);
  }
}

async function press(button) {
  await post(button.classList.contains("on") && button.dataset.other ? button.dataset.other : button.dataset.act);
}

async function post(name) {
  const answer = await fetch(`/act/${name}`, { method: "POST" }).then((got) => got.json()).catch(() => ({ error: "the demo does not answer" }));
  if (answer.error) toast(answer.error);
}

for (const button of buttons) button.addEventListener("click", () => press(button));

let toasting = 0;
function toast(text) {
  byId("toast").textContent = text;
  byId("toast").classList.add("shown");
  clearTimeout(toasting);
  toasting = setTimeout(() => byId("toast").classList.remove("shown"), 4000);
}

// --- live ---

const SHOW = {
  world: (value) => { world = value; showWorld(value); showChips(); },
  power: (value) => { power = value; showChips(); },
  armed: (value) => { armed = value; showChips(); },
  resumes: (value) => { resumes = value; showChips(); },
  ended: () => end(),
  counts: showCounts,
  ledger: showLedger,
  step: showStep,
  fall: showFall,
  line: showLine,
  torture: showTorture,
  mode: (value) => { mode = value; document.body.dataset.mode = value; setQuick(value === "torture"); showChips(); },
  view: (value) => { view = value; if (counts) showState(); byId("dark_text").textContent = value.screen === "credited" || value.screen === "committing" ? "after the commit, before the tip" : ""; },
};

const live = new EventSource("/live");
let ending = 0, isEnded = false;
live.onopen = () => {
  clearTimeout(ending);
  ending = 0;
  if (isEnded) location.reload(); // another demo, at the same address
  byId("story").replaceChildren();
};
live.onerror = () => { ending ||= setTimeout(end, LOST_MS); };

function end() {
  isEnded = true;
  byId("ended").hidden = false;
  byId("verdict").hidden = true;
  document.body.classList.add("ended");
  for (const button of buttons) button.disabled = true;
}

live.onmessage = ({ data }) => {
  const { kind, value } = JSON.parse(data);
  SHOW[kind]?.(value);
};
