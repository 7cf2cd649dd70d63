// The graph: what refers to what, in columns by distance from the roots.

const MOST_NODES = 260;
const MOST_LINES = 2500;
const BOX = { width: 172, height: 40, column: 62, row: 10, rows: 18 };
const SVG = "http://www.w3.org/2000/svg";
let grain = null; // Chosen by the reader; null: by size.
let camera = null;

const GRAINS = { block: "blocks", section: "sections", object: "objects", near: "around what is picked" };

/** How far each block is from a root; made blocks follow those that refer to them. */
const depths = (() => {
  const depth = new Array(D.blocks.length).fill(null);
  const of = (block) => {
    const chain = [];
    for (let at = block; at && depth[at.id] === null && at.cause; at = at.cause.block === undefined ? null : D.blocks[at.cause.block]) chain.push(at);
    for (const at of chain.reverse()) depth[at.id] = at.cause.block === undefined ? 0 : (depth[at.cause.block] ?? 0) + 1;
  };
  D.blocks.forEach((block) => { if (block.cause) of(block); });
  // Where nothing was pruned, distance from what nothing refers to will do.
  const known = D.blocks.some((block) => block.cause);
  if (!known) D.blocks.forEach((block) => { if (block.into.every((edge) => edge.block === block.id)) depth[block.id] = 0; });
  for (let round = 0, changed = true; changed && round < 64; round++) {
    changed = false;
    for (const edge of D.edges) {
      const form = edge.after || (known ? null : edge.before);
      const place = form && D.symbols[form.target].place;
      const from = depth[edge.block];
      if (!place || place.kind !== "block" || from === null || D.blocks[place.block].cause) continue;
      if (depth[place.block] === null) { depth[place.block] = from + 1; changed = true; }
    }
  }
  return depth;
})();

/** The nodes and lines of the stage, for a grain. */
function graphOf(stage, wanted) {
  const nodes = new Map();
  const visible = D.blocks.filter((block) => isShown(block) && sectionOf(block).residence !== "unloaded"
    && (block.size > 0 || block.into.length > 0));
  const inside = new Set(visible.map((block) => block.id));
  const keyOf = (block) => ({ block: "b" + block.id, near: "b" + block.id, section: "s" + block.section, object: "o" + sectionOf(block).object })[wanted];
  visible.forEach((block) => {
    const key = keyOf(block);
    if (!nodes.has(key)) nodes.set(key, { key, blocks: [], into: new Set(), out: new Set() });
    nodes.get(key).blocks.push(block);
  });
  const lines = new Map();
  for (const edge of D.edges) {
    const form = stage === "after" ? edge.after : edge.before;
    if (!form || !inside.has(edge.block)) continue;
    const from = keyOf(D.blocks[edge.block]);
    const target = D.symbols[form.target];
    let to = null;
    if (target.place.kind === "block") to = inside.has(target.place.block) ? keyOf(D.blocks[target.place.block]) : null;
    else {
      const id = target.canonical;
      to = wanted === "object" ? "outside" : "x" + id;
      if (!nodes.has(to)) nodes.set(to, { key: to, blocks: [], symbol: wanted === "object" ? null : id, into: new Set(), out: new Set() });
    }
    if (!to || to === from) continue;
    const key = from + ">" + to;
    if (!lines.has(key)) lines.set(key, { from, to, relocations: new Set(), count: 0 });
    const line = lines.get(key);
    line.relocations.add(form.relocation);
    line.count++;
    nodes.get(from).out.add(to);
    nodes.get(to).into.add(from);
  }
  nodes.forEach((node) => describe(node, wanted));
  // What only dead code refers to is not looked up.
  nodes.forEach((node) => { if (node.kind === "outside") node.gone = [...node.into].every((key) => nodes.get(key).gone); });
  return { nodes, lines: [...lines.values()] };
}

function describe(node, wanted) {
  const [first] = node.blocks;
  if (!first) {
    node.title = node.symbol === null ? "outside the batch" : symbolName(node.symbol);
    const symbol = node.symbol === null ? null : D.symbols[node.symbol];
    node.sub = symbol ? (symbol.address === "0x0" ? "null" : symbol.address ? "outside, " + symbol.address : "not defined") : "";
    node.kind = "outside";
    node.size = 0;
    return;
  }
  node.gone = node.blocks.every(isGone);
  node.size = node.blocks.reduce((sum, block) => sum + block.size, 0);
  node.kind = kindOf(node.blocks.find((block) => !isGone(block)) || first);
  node.root = node.blocks.some((block) => block.cause && block.cause.block === undefined);
  const known = node.blocks.map((block) => depths[block.id]).filter((depth) => depth !== null);
  node.depth = known.length ? Math.min(...known) : null;
  const object = objectOf(first).name.replace(/^.*\/(?=[^/()]*$)/, "");
  const size = node.size.toLocaleString("en") + " B";
  if (wanted === "object") [node.title, node.sub] = [object, plural(node.blocks.length, "block") + ", " + size];
  else if (wanted === "section") [node.title, node.sub] = [sectionOf(first).name, object + ", " + size];
  else [node.title, node.sub] = [blockName(first), object + " " + placeName(first, 0) + ", " + size];
}

/** Keeps what is at most two steps from the picked block. */
function neighbourhood(graph) {
  const start = S.pick && S.pick.what !== "object" ? keyOfPick() : null;
  if (!start || !graph.nodes.has(start)) return { nodes: new Map(), lines: [] };
  const kept = new Map([[start, 0]]);
  for (const key of kept.keys()) {
    if (kept.get(key) >= 2 || kept.size > 120) continue;
    const node = graph.nodes.get(key);
    [...node.into, ...node.out].forEach((next) => { if (!kept.has(next)) kept.set(next, kept.get(key) + 1); });
  }
  const nodes = new Map([...kept.keys()].map((key) => [key, graph.nodes.get(key)]));
  return { nodes, lines: graph.lines.filter((line) => nodes.has(line.from) && nodes.has(line.to)) };
}

function keyOfPick() {
  const pick = S.pick;
  if (!pick) return null;
  if (pick.what === "block") return "b" + pick.id;
  if (pick.what === "object") return "o" + pick.id;
  const symbol = D.symbols[pick.id];
  const place = S.stage === "after" || symbol.own.kind !== "block" ? symbol.place : symbol.own;
  return place.kind === "block" ? "b" + place.block : "x" + symbol.canonical;
}

/** The node that holds what is picked, in the graph that is drawn. */
function pickedNode(graph) {
  const key = keyOfPick();
  if (!key || graph.nodes.has(key)) return key;
  const block = key[0] === "b" ? D.blocks[Number(key.slice(1))] : null;
  if (!block) return graph.nodes.has("outside") ? "outside" : null;
  return ["s" + block.section, "o" + sectionOf(block).object].find((known) => graph.nodes.has(known)) || null;
}

/** Puts nodes into columns, and orders each column so that lines are short. */
function arrange(graph) {
  const nodes = [...graph.nodes.values()];
  const deepest = Math.max(0, ...nodes.map((node) => (node.gone ? 0 : node.depth ?? 0)));
  nodes.forEach((node) => {
    if (node.gone) { node.rank = deepest + 2; return; }
    const from = [...node.into].map((key) => graph.nodes.get(key)).filter((other) => other && !other.gone && other.depth !== null && other.depth !== undefined);
    const after = from.length ? Math.min(...from.map((other) => other.depth)) + 1 : null;
    node.rank = node.depth ?? after ?? deepest + 1;
  });
  const columns = new Map();
  nodes.forEach((node) => { if (!columns.has(node.rank)) columns.set(node.rank, []); columns.get(node.rank).push(node); });
  const ranks = [...columns.keys()].sort((a, b) => a - b);
  const number = () => columns.forEach((column) => column.forEach((node, row) => { node.row = row; }));
  number();
  for (let sweep = 0; sweep < 6; sweep++) {
    for (const rank of sweep % 2 ? [...ranks].reverse() : ranks) {
      const column = columns.get(rank);
      column.forEach((node) => {
        const near = [...node.into, ...node.out].map((key) => graph.nodes.get(key)).filter((other) => other && other.rank !== rank);
        node.wish = near.length ? near.reduce((sum, other) => sum + other.row / columns.get(other.rank).length, 0) / near.length : node.row / column.length;
      });
      column.sort((a, b) => a.wish - b.wish || (a.title < b.title ? -1 : 1));
      column.forEach((node, row) => { node.row = row; });
    }
  }
  const headings = [];
  let x = 0;
  const tallest = Math.min(BOX.rows, Math.max(...ranks.map((rank) => columns.get(rank).length)));
  for (const rank of ranks) {
    const column = columns.get(rank);
    const parts = Math.ceil(column.length / BOX.rows);
    const rows = Math.ceil(column.length / parts);
    const words = rank === deepest + 2 ? "not in the link" : rank === deepest + 1 && column.every((node) => node.depth === null || node.depth === undefined) ? "other"
      : rank === 0 ? "roots" : plural(rank, "step") + " away";
    headings.push({ x, words });
    column.forEach((node, index) => {
      const [part, row] = [Math.floor(index / rows), index % rows];
      node.x = x + part * (BOX.width + 18);
      node.y = (row + (tallest - rows) / 2) * (BOX.height + BOX.row);
    });
    x += (parts - 1) * (BOX.width + 18) + BOX.width + BOX.column;
  }
  return { width: x - BOX.column, height: tallest * (BOX.height + BOX.row) - BOX.row, headings };
}

function svg(tag, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

/** The coarsest need not be drawn: the first grain that is small enough. */
function choose() {
  if (grain) return { grain, graph: grain === "near" ? neighbourhood(graphOf(S.stage, "near")) : graphOf(S.stage, grain) };
  for (const name of ["block", "section", "object"]) {
    const graph = graphOf(S.stage, name);
    if (graph.nodes.size <= MOST_NODES || name === "object") return { grain: name, graph };
  }
  return null;
}

/** Leaves out what is too much to look at. */
function limit(graph) {
  if (graph.nodes.size <= MOST_NODES) return 0;
  const picked = pickedNode(graph);
  const order = [...graph.nodes.values()].sort((a, b) => (b.key === picked) - (a.key === picked) || (a.gone || false) - (b.gone || false) || b.size - a.size);
  const left = order.slice(MOST_NODES);
  left.forEach((node) => graph.nodes.delete(node.key));
  graph.lines = graph.lines.filter((line) => graph.nodes.has(line.from) && graph.nodes.has(line.to));
  return left.length;
}

function drawGraph() {
  const view = document.getElementById("view");
  view.className = "graph";
  const { grain: name, graph } = choose();
  const left = limit(graph);
  const notes = [];
  if (!grain && name !== "block") notes.push("Drawn a box for each " + name + ", because there are " + plural(D.blocks.length, "block") + ".");
  if (left > 0) notes.push("The " + MOST_NODES + " largest are drawn; " + left.toLocaleString("en") + " more are not.");
  if (graph.lines.length > MOST_LINES) {
    notes.push("Of " + plural(graph.lines.length, "line") + ", " + MOST_LINES.toLocaleString("en") + " are drawn.");
    graph.lines = graph.lines.sort((a, b) => b.count - a.count).slice(0, MOST_LINES);
  }
  document.getElementById("graph-note").textContent = notes.join(" ");
  if (graph.nodes.size === 0) {
    const words = name === "near" ? "Pick a symbol or a block first: the list on the left finds it." : "There is nothing to draw.";
    view.replaceChildren(make("p.note.lane", {}, words));
    return;
  }
  const size = arrange(graph);
  const root = svg("svg", { class: "graph", role: "img", "aria-label": "The graph: " + plural(graph.nodes.size, "box") });
  const clip = svg("clipPath", { id: "inside" });
  clip.append(svg("rect", { width: BOX.width - 6, height: BOX.height }));
  root.append(arrowHead("tip-plain", "var(--soft)"), arrowHead("tip-on", "var(--accent)"), clip);
  const world = svg("g");
  root.append(world);
  size.headings.forEach((heading) => world.append(svg("text", { class: "column", x: heading.x, y: -14 }, heading.words)));
  const paths = graph.lines.map((line) => drawLine(graph, line));
  world.append(...paths.map((path) => path.element));
  const boxes = new Map([...graph.nodes.values()].map((node) => [node.key, drawNode(node)]));
  world.append(...boxes.values());
  view.replaceChildren(root);
  camera = { root, world, size, graph, paths, boxes };
  navigate();
  fit();
  markGraph();
}

function arrowHead(id, colour) {
  const marker = svg("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
  marker.append(svg("path", { d: "M0 0.8 L8 4 L0 7.2 z", style: "fill: " + colour }));
  return marker;
}

function drawLine(graph, line) {
  const [from, to] = [graph.nodes.get(line.from), graph.nodes.get(line.to)];
  const [x1, y1, y2] = [from.x + BOX.width, from.y + BOX.height / 2, to.y + BOX.height / 2];
  const x2 = to.x;
  const bend = x2 > x1 ? Math.max((x2 - x1) / 2, 24) : 60;
  const d = x2 > x1 ? `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`
    : `M${x1} ${y1} C${x1 + bend} ${y1 + 40} ${x2 - bend} ${y2 + 40} ${x2} ${y2}`;
  const element = svg("path", { class: "edge" + (from.gone || to.gone ? " gone" : ""), d, "marker-end": "url(#tip-plain)" });
  element.append(svg("title", {}, from.title + " → " + to.title + "\n" + [...line.relocations].join(", ") + (line.count > 1 ? " (" + line.count + ")" : "")));
  return { element, line };
}

function cut(text, length) {
  const letters = [...text];
  return letters.length > length ? letters.slice(0, length - 1).join("") + "…" : text;
}

function drawNode(node) {
  const group = svg("g", { class: "node" + (node.gone ? " gone" : "") + (node.root ? " root" : ""), transform: `translate(${node.x} ${node.y})`, "data-key": node.key });
  group.append(svg("rect", { class: "box", width: BOX.width, height: BOX.height, rx: 5 }));
  const colour = { rx: "code", r: "constants", rw: "data", made: "made" }[node.kind] || "gone";
  group.append(svg("rect", { width: 5, height: BOX.height - 8, x: 4, y: 4, rx: 2, style: `fill: var(--${colour})` }));
  const words = svg("g", { "clip-path": "url(#inside)" });
  words.append(svg("text", { x: 15, y: 17 }, cut(node.title, 24)), svg("text", { class: "sub", x: 15, y: 32 }, cut(node.sub, 32)));
  group.append(words);
  const hover = node.blocks.length === 1 ? blockTip(node.blocks[0]) : node.title + "\n" + node.sub;
  group.addEventListener("pointermove", (event) => showTip(event, camera.drag ? null : hover));
  group.addEventListener("pointerleave", (event) => showTip(event, null));
  group.addEventListener("click", () => {
    if (camera.moved) return;
    const [first] = node.blocks;
    if (!first) { if (node.symbol !== null) go({ pick: { what: "symbol", id: node.symbol } }); return; }
    if (node.key[0] === "o") return go({ pick: { what: "object", id: sectionOf(first).object } });
    const named = first.symbols.length === 1 ? first.symbols[0] : null;
    go({ pick: named ? { what: "symbol", id: named.id } : { what: "block", id: first.id } });
  });
  return group;
}

/** Marks what is picked, and what it has to do with. */
function markGraph() {
  if (!camera || S.view !== "graph") return;
  const picked = pickedNode(camera.graph);
  camera.root.classList.toggle("picked", Boolean(picked && camera.boxes.has(picked)));
  const near = new Set();
  camera.paths.forEach(({ element, line }) => {
    const on = picked !== null && (line.from === picked || line.to === picked);
    element.classList.toggle("on", on);
    element.setAttribute("marker-end", on ? "url(#tip-on)" : "url(#tip-plain)");
    if (on) { near.add(line.from); near.add(line.to); }
  });
  camera.boxes.forEach((box, key) => {
    box.classList.toggle("on", key === picked);
    box.classList.toggle("near", near.has(key));
  });
}

function look() {
  const { x, y, scale } = camera.at;
  camera.world.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
}

function fit() {
  const box = camera.root.getBoundingClientRect();
  const [width, height] = [box.width || 900, box.height || 600];
  const scale = Math.min((width - 48) / camera.size.width, (height - 72) / camera.size.height, 1.15);
  // Smaller than this nobody reads it; the rest is a drag away.
  const used = Math.max(scale, 0.74);
  const x = camera.size.width * used > width - 48 ? 24 : (width - camera.size.width * used) / 2;
  const picked = camera.graph.nodes.get(pickedNode(camera.graph));
  const y = camera.size.height * used > height - 72 ? 40 : Math.max(40, (height - camera.size.height * used) / 3);
  camera.at = { x, y, scale: used };
  // What is picked comes into view where not all of the graph does.
  if (picked && (picked.x * used + x > width - 200 || picked.y * used + y > height - 60)) {
    camera.at = { x: width / 2 - (picked.x + BOX.width / 2) * used, y: height / 2 - picked.y * used, scale: used };
  }
  look();
}

function navigate() {
  const { root } = camera;
  root.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = root.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const at = camera.at;
    const scale = Math.min(Math.max(at.scale * Math.exp(-event.deltaY * 0.0016), 0.05), 4);
    camera.at = { scale, x: px - (px - at.x) * scale / at.scale, y: py - (py - at.y) * scale / at.scale };
    look();
  }, { passive: false });
  root.addEventListener("pointerdown", (event) => { camera.drag = { x: event.clientX, y: event.clientY }; camera.moved = false; });
  root.addEventListener("pointermove", (event) => {
    if (!camera.drag) return;
    const [dx, dy] = [event.clientX - camera.drag.x, event.clientY - camera.drag.y];
    if (!camera.moved && Math.hypot(dx, dy) < 4) return;
    if (!camera.moved) root.setPointerCapture(event.pointerId);
    camera.moved = true;
    camera.drag = { x: event.clientX, y: event.clientY };
    camera.at = { ...camera.at, x: camera.at.x + dx, y: camera.at.y + dy };
    look();
  });
  root.addEventListener("pointerup", () => { camera.drag = null; });
  root.addEventListener("dblclick", fit);
}

function graphTools() {
  const select = make("select", { "aria-label": "A box is", onchange: (event) => { grain = event.target.value || null; drawGraph(); } },
    make("option", { value: "" }, "by size"), Object.entries(GRAINS).map(([value, words]) => make("option", { value }, words)));
  select.value = grain || "";
  return [make("label.key", {}, "A box for each:", select), make("button", { onclick: () => fit() }, "Fit"),
    make("span", {}, "Bold boxes are roots. Wheel zooms, drag moves."), make("span", { id: "graph-note" })];
}
