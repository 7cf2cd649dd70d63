// The memory map: a lane for each segment (after the link) or object (before it), drawn to scale.

const LANE = { ruler: 15, blocks: 34, names: 15 };
const MOST_LANES = 150;
let lanes = [];
let oneScale = false;

/** The lanes of the stage, each with its blocks in order of place. */
function lanesOf(stage) {
  if (stage === "after") {
    const all = D.segments.map((segment) => {
      const base = BigInt(segment.address);
      const what = { "r-x": "code", "r--": "constants" }[segment.protection] || "data";
      const title = what.replace(/^./, (letter) => letter.toUpperCase()) + (segment.residence === "far" ? ", large code model" : "");
      return { title, base, span: segment.size, items: [], end: base + BigInt(segment.size),
        sub: segment.address + ", " + bytesText(segment.size) + ", " + segment.protection };
    });
    D.blocks.forEach((block) => {
      if (block.address === null || sectionOf(block).residence === "unloaded") return;
      const at = BigInt(block.address);
      const lane = all.find((lane) => at >= lane.base && at < lane.end);
      if (lane) lane.items.push({ block, start: Number(at - lane.base), size: block.size });
    });
    all.forEach((lane) => lane.items.sort((a, b) => a.start - b.start));
    return all;
  }
  const byObject = new Map();
  D.blocks.forEach((block) => {
    const id = sectionOf(block).object;
    if (D.objects[id].made || block.size === 0) return;
    if (!byObject.has(id)) byObject.set(id, { title: D.objects[id].name, object: id, base: null, span: 0, live: 0, items: [] });
    const lane = byObject.get(id);
    lane.items.push({ block, start: lane.span, size: block.size });
    lane.span += block.size;
    lane.live += isGone(block) ? 0 : block.size;
  });
  const all = [...byObject.values()];
  all.forEach((lane) => {
    const part = RANK[D.reached] >= RANK.pruned ? ", " + Math.round(100 * lane.live / Math.max(lane.span, 1)) + " % of it live" : "";
    lane.sub = bytesText(lane.span) + part;
  });
  return all;
}

function drawMap() {
  const view = document.getElementById("view");
  const all = lanesOf(S.stage);
  const shown = all.length > MOST_LANES ? [...all].sort((a, b) => b.span - a.span).slice(0, MOST_LANES) : all;
  LANE.blocks = shown.length <= 5 ? 56 : 34;
  const widest = Math.max(1, ...shown.map((lane) => lane.span));
  lanes = shown.map((lane) => {
    lane.from = 0;
    lane.full = oneScale ? widest : Math.max(lane.span, 1);
    lane.to = lane.full;
    lane.canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": lane.title + ", " + lane.sub });
    const heading = lane.object === undefined ? lane.title : objectLink(lane.object);
    lane.element = make("div.lane", {}, make("h3", {}, heading, make("small", {}, lane.sub)), lane.canvas);
    listen(lane);
    return lane;
  });
  const note = all.length > shown.length
    ? make("div.note.lane", {}, "The " + MOST_LANES + " largest of " + all.length.toLocaleString("en") + " objects are drawn; search finds the others.") : null;
  const empty = all.length === 0 ? make("p.note.lane", {}, S.stage === "after" ? "Nothing has an address: the link failed before." : "There is nothing in memory.") : null;
  view.className = "map";
  view.replaceChildren(...[note, empty, ...lanes.map((lane) => lane.element)].filter(Boolean));
  paintLanes();
}

const paintLanes = () => lanes.forEach(paint);

/** The colours of the page's style, read once a painting. */
function palette() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue("--" + name).trim();
  return {
    fill: { rx: colour("code"), r: colour("constants"), rw: colour("data"), made: colour("made"), gone: colour("gone") },
    ink: { rx: colour("code-ink"), r: colour("constants-ink"), rw: colour("data-ink"), made: colour("made-ink"), gone: colour("gone-ink") },
    soft: colour("soft"), line: colour("line"), paper: colour("paper"), accent: colour("accent"), panel: colour("panel"), hover: colour("hover"),
  };
}

const kindOf = (block) => (isGone(block) ? "gone" : block.state === "made" ? "made" : protectionClass(sectionOf(block)));

function paint(lane) {
  const colours = palette();
  const width = lane.canvas.clientWidth || 600;
  const height = LANE.ruler + LANE.blocks + LANE.names + 4;
  const ratio = devicePixelRatio || 1;
  lane.canvas.style.height = height + "px";
  lane.canvas.width = width * ratio;
  lane.canvas.height = height * ratio;
  const c = lane.canvas.getContext("2d");
  c.scale(ratio, ratio);
  const scale = width / (lane.to - lane.from);
  const x = (at) => (at - lane.from) * scale;
  c.fillStyle = colours.hover;
  c.fillRect(x(0), LANE.ruler, lane.span * scale, LANE.blocks);
  ruler(c, lane, colours, width, x);
  let section = null;
  for (let index = firstAt(lane, lane.from); index < lane.items.length && lane.items[index].start <= lane.to; index++) {
    const item = lane.items[index];
    const kind = kindOf(item.block);
    const left = x(item.start);
    const wide = Math.max(item.size * scale, 0.8);
    c.fillStyle = colours.fill[kind];
    c.fillRect(left, LANE.ruler, wide > 3 ? wide - 0.6 : wide, LANE.blocks);
    if (kind === "gone" && wide > 6) hatch(c, left, wide, colours.ink.gone);
    if (wide > 14) labels(c, item, kind, left, wide, scale, colours);
    section = sectionName(c, lane, index, section, x, colours, width);
  }
  const picked = pickedRange(lane);
  if (picked) {
    c.strokeStyle = colours.accent;
    c.lineWidth = 2.5;
    c.strokeRect(x(picked.start), LANE.ruler, Math.max(picked.size * scale, 3), LANE.blocks);
  }
}

/** The position of the first item that ends behind a place. */
function firstAt(lane, at) {
  let [low, high] = [0, lane.items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lane.items[middle].start + lane.items[middle].size <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function ruler(c, lane, colours, width, x) {
  const wanted = (lane.to - lane.from) / Math.max(width / 130, 1);
  const step = Math.max(1, 2 ** Math.round(Math.log2(wanted)));
  c.font = "10px ui-monospace, 'DejaVu Sans Mono', monospace";
  c.textBaseline = "alphabetic";
  for (let at = Math.ceil(lane.from / step) * step; at <= lane.to; at += step) {
    const left = Math.round(x(at)) + 0.5;
    c.strokeStyle = colours.line;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(left, 3);
    c.lineTo(left, LANE.ruler);
    c.stroke();
    c.fillStyle = colours.soft;
    c.fillText(lane.base === null ? "+" + hex(at) : "0x" + (lane.base + BigInt(at)).toString(16), left + 3, 11);
  }
}

function hatch(c, left, wide, colour) {
  c.save();
  c.beginPath();
  c.rect(left, LANE.ruler, wide, LANE.blocks);
  c.clip();
  c.strokeStyle = colour;
  c.globalAlpha = 0.25;
  c.lineWidth = 1;
  c.beginPath();
  const from = Math.max(left, -LANE.blocks);
  for (let at = from - LANE.blocks; at < Math.min(left + wide, c.canvas.width); at += 7) {
    c.moveTo(at, LANE.ruler + LANE.blocks);
    c.lineTo(at + LANE.blocks, LANE.ruler);
  }
  c.stroke();
  c.restore();
}

/** The symbols of a block, where there is room for their names. */
function labels(c, item, kind, left, wide, scale, colours) {
  const named = item.block.symbols.length ? item.block.symbols : null;
  const parts = named ? named.map((symbol) => [symbol.own.offset, symbol.name]) : [[0, sectionOf(item.block).name]];
  c.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  c.textBaseline = "middle";
  let last = -1;
  parts.forEach(([offset, name], index) => {
    if (offset === last) return;
    last = offset;
    const start = left + offset * scale;
    const next = parts.slice(index + 1).find(([other]) => other !== offset);
    const end = next ? left + next[0] * scale : left + wide;
    if (end < 0 || start > c.canvas.clientWidth) return;
    if (offset > 0 && end - start > 2) {
      c.fillStyle = colours.panel;
      c.globalAlpha = 0.75;
      c.fillRect(start - 0.5, LANE.ruler, 1, LANE.blocks);
      c.globalAlpha = 1;
    }
    const from = Math.max(start, 0);
    if (end - from < 24) return;
    c.save();
    c.beginPath();
    c.rect(from, LANE.ruler, end - from - 3, LANE.blocks);
    c.clip();
    c.fillStyle = colours.ink[kind];
    c.fillText(name, from + 5, LANE.ruler + LANE.blocks / 2 + 1);
    c.restore();
  });
}

/** Under the blocks: where they come from, once for each run of blocks of a section, or of an object where sections are small. */
function sectionName(c, lane, index, shown, x, colours, width) {
  const block = lane.items[index].block;
  if (shown && index <= shown.end) return shown;
  const run = (same) => {
    let end = index;
    while (end + 1 < lane.items.length && same(lane.items[end + 1].block)) end++;
    return { end, left: Math.max(x(lane.items[index].start), 0), right: Math.min(x(lane.items[end].start + lane.items[end].size), width) };
  };
  const object = lane.object === undefined ? objectOf(block).name.replace(/^.*\/(?=[^/()]*$)/, "") : "";
  let found = run((other) => other.section === block.section);
  let name = (object + " " + sectionOf(block).name).trim();
  if (found.right - found.left < 30 && object) {
    found = run((other) => sectionOf(other).object === sectionOf(block).object);
    name = object;
  }
  if (found.right - found.left > 30) {
    const top = LANE.ruler + LANE.blocks + 2;
    c.fillStyle = colours.line;
    c.fillRect(found.left, top, found.right - found.left - 1.5, 1.5);
    c.save();
    c.beginPath();
    c.rect(found.left, top, found.right - found.left - 4, LANE.names);
    c.clip();
    c.font = "10px system-ui, 'DejaVu Sans', sans-serif";
    c.textBaseline = "alphabetic";
    c.fillStyle = colours.soft;
    c.fillText(name, found.left + 1, top + 12);
    c.restore();
  }
  return found;
}

/** Where what is picked lies in a lane. */
function pickedRange(lane) {
  const pick = S.pick;
  if (!pick || pick.what === "object") return null;
  const symbol = pick.what === "symbol" ? D.symbols[pick.id] : null;
  const place = symbol && (S.stage === "after" || symbol.own.kind !== "block" ? symbol.place : symbol.own);
  const id = symbol ? (place.kind === "block" ? place.block : -1) : pick.id;
  const item = lane.items.find((item) => item.block.id === id);
  if (!item) return null;
  if (!symbol) return { start: item.start, size: item.size };
  return { start: item.start + place.offset, size: symbol.size || (item.block.symbols.length > 1 ? 1 : item.size) };
}

/** The block under the pointer, and how far into it. */
function under(lane, event) {
  const box = lane.canvas.getBoundingClientRect();
  const bytes = (lane.to - lane.from) / box.width;
  const at = lane.from + (event.clientX - box.left) * bytes;
  const y = event.clientY - box.top;
  if (y < LANE.ruler || y > LANE.ruler + LANE.blocks) return null;
  const index = firstAt(lane, at);
  // Small blocks are caught by a pointer that is near.
  const near = [lane.items[index], lane.items[index - 1]].filter(Boolean)
    .map((item) => ({ item, off: Math.max(item.start - at, at - item.start - item.size, 0) / bytes }))
    .sort((a, b) => a.off - b.off)[0];
  if (!near || near.off > 3) return null;
  const offset = Math.min(Math.max(Math.floor(at - near.item.start), 0), Math.max(near.item.size - 1, 0));
  return { block: near.item.block, offset, symbol: enclosing(near.item.block, offset) };
}

function listen(lane) {
  let drag = null;
  const zoom = (factor, at) => {
    const span = Math.min(Math.max((lane.to - lane.from) * factor, 16), lane.full);
    const part = (at - lane.from) / (lane.to - lane.from);
    lane.from = Math.min(Math.max(at - part * span, 0), lane.full - span);
    lane.to = lane.from + span;
    paint(lane);
  };
  const move = (bytes) => {
    const span = lane.to - lane.from;
    lane.from = Math.min(Math.max(lane.from + bytes, 0), lane.full - span);
    lane.to = lane.from + span;
    paint(lane);
  };
  const perPixel = () => (lane.to - lane.from) / lane.canvas.clientWidth;
  lane.reveal = (start, size) => {
    const span = Math.min(Math.max(size * 6, lane.full / 400, 64), lane.full);
    if ((lane.to - lane.from) * 0.02 > size || start < lane.from || start > lane.to) {
      lane.from = Math.min(Math.max(start + size / 2 - span / 2, 0), lane.full - span);
      lane.to = lane.from + span;
    }
    paint(lane);
  };
  lane.canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey && Math.abs(event.deltaX) < Math.abs(event.deltaY) && lane.full <= 16) return;
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return move((event.deltaX || event.deltaY) * perPixel());
    const box = lane.canvas.getBoundingClientRect();
    zoom(Math.exp(event.deltaY * 0.0022), lane.from + (event.clientX - box.left) * perPixel());
  }, { passive: false });
  lane.canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, moved: false };
    lane.canvas.setPointerCapture(event.pointerId);
  });
  lane.canvas.addEventListener("pointermove", (event) => {
    if (drag) {
      const by = event.clientX - drag.x;
      if (Math.abs(by) > 3 || drag.moved) {
        drag = { x: event.clientX, moved: true };
        lane.canvas.classList.add("drag");
        move(-by * perPixel());
      }
      return showTip(event, null);
    }
    const found = under(lane, event);
    showTip(event, found ? (found.symbol ? found.symbol.name + " +" + hex(found.offset - found.symbol.own.offset) + "\n" : "") + blockTip(found.block) : null);
  });
  lane.canvas.addEventListener("pointerup", (event) => {
    const moved = drag && drag.moved;
    drag = null;
    lane.canvas.classList.remove("drag");
    const found = moved ? null : under(lane, event);
    if (found) go({ pick: found.symbol ? { what: "symbol", id: found.symbol.id } : { what: "block", id: found.block.id } });
  });
  lane.canvas.addEventListener("pointerleave", (event) => showTip(event, null));
  lane.canvas.addEventListener("dblclick", () => { lane.from = 0; lane.to = lane.full; paint(lane); });
  lane.canvas.addEventListener("keydown", (event) => {
    const middle = (lane.from + lane.to) / 2;
    const act = { "+": () => zoom(0.6, middle), "-": () => zoom(1.6, middle), ArrowLeft: () => move(-60 * perPixel()), ArrowRight: () => move(60 * perPixel()) }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}

/** Brings what is picked into view. */
function revealOnMap() {
  for (const lane of lanes) {
    const range = pickedRange(lane);
    if (!range) { paint(lane); continue; }
    lane.reveal(range.start, range.size);
    lane.element.scrollIntoView({ block: "nearest" });
  }
}

function mapTools() {
  const key = (name, words) => make("span.key", {}, make("i", { style: "background: var(--" + name + ")" }), words);
  const scale = make("input", { type: "checkbox", onchange: (event) => { oneScale = event.target.checked; drawMap(); } });
  scale.checked = oneScale;
  return [key("code", "code"), key("constants", "constants"), key("data", "data"),
    S.stage === "after" ? key("made", "made by the linker") : key("gone", "not in the link"),
    make("label.key", {}, scale, "one scale for all"),
    make("span", {}, "Wheel zooms, drag moves, double click shows all.")];
}
