// A deposit's evidence as a plot: the beams' and the metal sensor's edges, and what the scale said.

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 730, LEFT = 64, RIGHT = 14;

function add(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function round(span) {
  const raw = span / 6, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= raw);
}

function axis(svg, y, top, from, to, unit) {
  const x = (value) => LEFT + ((value - from) / (to - from)) * (WIDE - LEFT - RIGHT);
  const step = round(to - from);
  for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) {
    add(svg, "line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: y });
    add(svg, "text", { x: x(tick), y: y + 15, "text-anchor": "middle" }, `${+tick.toFixed(3)}`);
  }
  add(svg, "line", { class: "axis", x1: LEFT, x2: WIDE - RIGHT, y1: y, y2: y });
  add(svg, "text", { x: WIDE - RIGHT, y: y + 30, "text-anchor": "end" }, unit);
  return x;
}

export function plot(record, place) {
  const { evidence } = record;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDE} 400`);
  if (evidence.passages.length) edges(svg, evidence.passages);
  else add(svg, "text", { x: LEFT, y: 90 }, "nothing passed the beams");
  masses(svg, evidence);
  place.replaceChildren(svg);
}

function edges(svg, passages) {
  const start = passages[0][0];
  const all = passages.flatMap(([started, list]) => list.map(([line, active, us]) => [line, active, started - start + us / 1000]));
  const last = Math.max(...all.map(([, , ms]) => ms), 1);
  const x = axis(svg, 168, 10, -last * 0.08, last * 1.08, "milliseconds since the first edge");
  [["a", "beam A", "a"], ["b", "beam B", "b"], ["metal", "metal", "m"]].forEach(([line, name, style], row) => {
    const low = 52 + row * 50, high = low - 28;
    add(svg, "text", { class: "name", x: LEFT - 10, y: low - 6, "text-anchor": "end" }, name);
    let path = `M${x(-last * 0.08)} ${low}`, level = low;
    for (const [, active, ms] of all.filter(([each]) => each === line)) {
      path += `H${x(ms)}V${(level = active ? high : low)}`;
    }
    add(svg, "path", { class: `signal ${style}`, d: `${path}H${x(last * 1.08)}` });
  });
}

function masses(svg, { masses, tare_mg, mass_mg }) {
  add(svg, "text", { class: "name", x: LEFT - 10, y: 286, "text-anchor": "end" }, "shelf");
  if (!masses.length) {
    add(svg, "text", { x: LEFT, y: 286 }, "the scale never came to rest");
    return;
  }
  const end = Math.max(...masses.map(([at]) => at));
  const net = masses.map(([, mass]) => (mass - tare_mg) / 1000);
  const top = Math.max(...net, 1) * 1.25, bottom = Math.min(...net, 0);
  const y = (grams) => 350 - ((grams - bottom) / (top - bottom)) * 130;
  const x = axis(svg, 356, 220, 0, end * 1.08, "milliseconds since the fall");
  add(svg, "line", { class: "tare", x1: LEFT, x2: WIDE - RIGHT, y1: y(0), y2: y(0) });
  add(svg, "text", { x: LEFT - 10, y: y(0) + 4, "text-anchor": "end" }, "tare");
  for (const [index, [at, , stable]] of masses.entries()) {
    add(svg, "circle", { class: stable ? "dot stable" : "dot", cx: x(at), cy: y(net[index]), r: 5 });
  }
  const settled = mass_mg === null ? "never settled" : `net ${(mass_mg / 1000).toFixed(2)} g`;
  add(svg, "text", { class: "name", x: x(end), y: y(net.at(-1)) - 14, "text-anchor": "end" }, settled);
}
