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
  edges(svg, evidence.passages);
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
  add(svg, "text", { class: "name", x: LEFT - 10, y: 240, "text-anchor": "end" }, "shelf");
  if (!masses.length) {
    add(svg, "text", { x: LEFT, y: 240 }, "the scale never came to rest");
    return;
  }
  const end = Math.max(...masses.map(([at]) => at));
  const grams = masses.map(([, mass]) => mass / 1000), tare = tare_mg / 1000;
  const top = Math.max(...grams, tare + 1) * 1.15, bottom = Math.min(...grams, tare, 0);
  const y = (value) => 350 - ((value - bottom) / (top - bottom)) * 130;
  const x = axis(svg, 356, 214, 0, end * 1.08, "milliseconds since the fall");
  for (const value of [tare, ...new Set([Math.max(...grams)])]) {
    add(svg, "text", { x: LEFT - 10, y: y(value) + 4, "text-anchor": "end" }, `${value.toFixed(1)} g`);
  }
  add(svg, "line", { class: "tare", x1: LEFT, x2: WIDE - RIGHT, y1: y(tare), y2: y(tare) });
  add(svg, "text", { x: LEFT + 6, y: y(tare) - 6 }, "tare");
  for (const [at, mass, stable] of masses) {
    add(svg, "circle", { class: stable ? "dot stable" : "dot", cx: x(at), cy: y(mass / 1000), r: 5 });
  }
  if (mass_mg !== null) add(svg, "text", { class: "name", x: x(end), y: y(grams.at(-1)) - 12, "text-anchor": "end" }, `net ${(mass_mg / 1000).toFixed(2)} g`);
}
