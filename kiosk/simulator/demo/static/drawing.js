// The bin, drawn from the world's snapshots; a fall is played again, slowly, from its own edges.

const SVG = "http://www.w3.org/2000/svg";
const SIZES = {
  aa: [13, 38], aaa: [10, 33], c: [22, 38], d: [28, 46], "9v": [22, 36], 18650: [15, 48], coin: [17, 6], stone: [30, 24],
};
const SHELF = { x: 199, y: 236, tilt: 46 };
const FLAP_Y = 30, A_Y = 112, B_Y = 156;
const PLAY_MS = 1100, BEFORE_MS = 420, AFTER_MS = 260;
const HOLD_MS = 700;
const PILE_MAX = 90;

const byId = (id) => document.getElementById(id);

function node(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

function item(kind, parent) {
  const [w, h] = SIZES[kind] ?? SIZES.aa;
  const g = node("g", { class: `k_${kind}` }, parent);
  if (kind === "stone") {
    node("path", { class: "cell", d: "M-15 4c-2-12 8-17 17-15s15 10 12 18-26 9-29-3z" }, g);
    return g;
  }
  node("rect", { class: "cell", x: -w / 2, y: -h / 2, width: w, height: h, rx: 2 }, g);
  if (kind === "coin") return g;
  if (kind === "9v") {
    node("rect", { class: "cap", x: -w / 2 + 3, y: -h / 2 - 3, width: 5, height: 4 }, g);
    node("rect", { class: "cap", x: w / 2 - 8, y: -h / 2 - 3, width: 5, height: 4 }, g);
  } else {
    node("rect", { class: "cap", x: -w / 2, y: -h / 2, width: w, height: Math.min(8, h / 4) }, g);
    node("rect", { class: "cap", x: -w / 6, y: -h / 2 - 3, width: w / 3, height: 4 }, g);
  }
  return g;
}

let world = null;
let play = null;
let heldUntil = 0;
let quick = false;
let tare_mg = null;
const drawn = { shelf: "", pile: [], returned: [] };

export function setQuick(value) { quick = value; }

export function setTare(value) {
  tare_mg = value;
  draw();
}

export function showWorld(snapshot) {
  if (snapshot.falling && !world?.falling && !play && !quick) heldUntil = performance.now() + HOLD_MS;
  world = snapshot;
  draw();
}

export function showFall(fall) {
  if (quick) return;
  const beams = fall.edges.filter(([line]) => line !== "metal");
  const last = Math.max(...beams.map(([, , ms]) => ms), 1);
  if (last > 400) return; // a hand: it was slow enough to be seen
  play = { ...fall, last, factor: PLAY_MS / last, start: performance.now() };
  requestAnimationFrame(frame);
}

function frame() {
  if (!play) return;
  if (performance.now() - play.start > BEFORE_MS + PLAY_MS + AFTER_MS) {
    play = null;
    heldUntil = 0;
  } else requestAnimationFrame(frame);
  draw();
}

function played() {
  // Real milliseconds since the first edge; negative before it.
  const ms = performance.now() - play.start - BEFORE_MS;
  const at = ms / play.factor;
  const level = (line) => play.edges.filter(([each, , t]) => each === line && t <= at).at(-1)?.[1] ?? false;
  return { a: level("a"), b: level("b"), metal: level("metal"), y: height(ms), ms };
}

function height(ms) {
  const first = (line, active) => play.edges.find(([each, is]) => each === line && is === active)?.[2];
  const half = (SIZES[play.kind] ?? SIZES.aa)[1] / 2;
  // Where the item's middle is at each real edge: leading end at a beam, then trailing end.
  const way = play.up ? -1 : 1;
  const marks = [
    [first("a", true), A_Y - way * half], [first("a", false), A_Y + way * half],
    [first("b", true), B_Y - way * half], [first("b", false), B_Y + way * half],
  ].filter(([t]) => t !== undefined).map(([t, y]) => [t * play.factor, y]).sort((p, q) => p[0] - q[0]);
  const [from, to] = play.up ? [SHELF.y - 30, FLAP_Y - 40] : [FLAP_Y - 20, SHELF.y - half];
  const points = [[-BEFORE_MS, from], ...marks, [PLAY_MS + AFTER_MS, to]];
  for (let i = 1; i < points.length; i++) {
    const [t0, y0] = points[i - 1], [t1, y1] = points[i];
    if (ms <= t1) return y0 + ((y1 - y0) * (ms - t0)) / Math.max(1, t1 - t0);
  }
  return to;
}

function draw() {
  if (!world) return;
  const now = performance.now();
  const held = now < heldUntil || (play && !play.up);
  const seen = play ? played() : { a: world.beams.a, b: world.beams.b, metal: world.metal };
  byId("beam_a").classList.toggle("blocked", seen.a);
  byId("beam_b").classList.toggle("blocked", seen.b);
  byId("metal").classList.toggle("seen", seen.metal);
  byId("slow").textContent = play ? `slowed ${Math.round(play.factor)}×` : "";

  const falling = byId("falling");
  falling.replaceChildren();
  const moving = play ? { kind: play.kind, y: seen.y } : held || !world.falling
    ? null : { kind: world.falling.kind, y: FLAP_Y + world.falling.y * (SHELF.y - FLAP_Y - 20) };
  if (moving) item(moving.kind, falling).setAttribute("transform", `translate(199 ${moving.y})`);
  if (play?.up) node("line", { class: "thread", x1: 199, y1: 0, x2: 199, y2: seen.y - 16 }, falling);

  const open = play && !play.up && seen.ms < 250 ? 1 : held && !play ? 1 : world.flap.open;
  byId("flap").setAttribute("transform", `rotate(${open * 66} 170 29)`);
  byId("flap").classList.toggle("stuck", world.flap.stuck);
  byId("lock").classList.toggle("unlocked", !world.flap.locked);

  byId("shelf").setAttribute("transform", `translate(${SHELF.x} ${SHELF.y}) rotate(${world.gate.position * SHELF.tilt})`);
  byId("shelf").classList.toggle("jammed", world.gate.jammed);
  drawShelf(held ? [] : world.shelf.items);
  // Net, as the daemon reckons: after a power cut the scale has zeroed itself with the item on it.
  const { shown_mg } = world.shelf;
  const net_mg = shown_mg - tare_mg, swings = !world.shelf.stable && net_mg < 0;
  const grams = shown_mg === null ? "over" : tare_mg === null ? "taring" : swings ? "…" : `${(net_mg / 1000).toFixed(1)} g`;
  byId("mass").textContent = !world.power ? "" : held && tare_mg !== null ? "0.0 g" : grams.replace(/^-0\.0 /, "0.0 ");
  byId("mass").classList.toggle("moving", !held && !world.shelf.stable);

  const celsius = world.temperature_mc / 1000;
  const full = Math.max(4, Math.min(46, (celsius / 80) * 46));
  byId("mercury").setAttribute("y", 188 - full);
  byId("mercury").setAttribute("height", full);
  byId("celsius").textContent = `${celsius.toFixed(0)} °C`;
  byId("thermometer").classList.toggle("hot", celsius >= 45);
  byId("reader").classList.toggle("near", world.card_held !== null);
  byId("card").classList.toggle("near", world.card_held !== null);
  byId("service_door").classList.toggle("open", !world.door_closed);
  byId("dark").classList.toggle("on", !world.power);
  drawPile();
  byId("bin_note").textContent = world.waiting ? `${world.waiting} waiting at the locked flap: tap a card`
    : world.gate.jammed ? "the gate is jammed" : world.flap.stuck ? "the flap sticks"
    : !world.door_closed ? "the door is open" : "";
}

function drawShelf(items) {
  const key = items.map(({ fall_id }) => fall_id).join();
  if (key === drawn.shelf) return;
  drawn.shelf = key;
  const shelf = byId("shelf_items");
  shelf.replaceChildren();
  items.slice(-5).forEach(({ kind }, index, all) => {
    const [w, h] = SIZES[kind] ?? SIZES.aa;
    const flat = kind === "stone" || kind === "coin";
    const x = (index - (all.length - 1) / 2) * 20;
    item(kind, shelf).setAttribute("transform", `translate(${x} ${-(flat ? h : w) / 2}) rotate(${flat ? 0 : 90})`);
  });
}

function drawPile() {
  const { count, fill } = world.store;
  const told = count === 1 ? "1 item" : `${count} items`;
  byId("store_label").textContent = `store: ${told}, ${(fill * 100).toFixed(1)} % full`;
  byId("return_label").textContent = `given back: ${world.returned.count}`;
  scatter("pile", world.store.kinds.slice(0, PILE_MAX), { x: 76, y: 384, columns: 9, pitch: 18 });
  scatter("returned", world.returned.kinds.slice(0, 12), { x: 274, y: 382, columns: 3, pitch: 20 });
}

function scatter(id, kinds, { x, y, columns, pitch }) {
  const pile = byId(id);
  if (!drawn[id].every((kind, i) => kind === kinds[i])) pile.replaceChildren();
  for (let i = pile.childElementCount; i < kinds.length; i++) {
    // A fixed scatter: the same pile every time, never a flicker.
    const jolt = Math.sin(i * 12.9898) * 43758.5453, r = jolt - Math.floor(jolt);
    const place = `translate(${x + (i % columns) * pitch + r * 4} ${y - Math.floor(i / columns) * 11 - r * 3})`;
    item(kinds[i], pile).setAttribute("transform", `${place} rotate(${r * 150 + 15}) scale(.5)`);
  }
  drawn[id] = kinds;
}
