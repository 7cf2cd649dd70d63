// The page as a whole: what is shown is in the fragment of the address, so it can be kept and shared.

const MOST_RESULTS = 200;
const MOST_ERRORS = 3;

/** The fragment for what is shown, with changes. */
function fragment(changes = {}) {
  const next = { ...S, ...changes };
  const parts = [];
  if (next.view !== "map") parts.push("view=" + next.view);
  if (next.stage !== (isPlaced ? "after" : "before")) parts.push("stage=" + next.stage);
  if (next.pick) {
    const { what, id } = next.pick;
    const name = what === "symbol" && findSymbol(D.symbols[id].name) === id ? D.symbols[id].name : "@" + id;
    parts.push(what + "=" + encodeURIComponent(name));
  }
  return parts.join("&");
}

const byName = new Map();
D.symbols.forEach((symbol) => {
  if (!isShownSymbol(symbol)) return;
  const known = byName.get(symbol.name);
  // What is visible wins over what is local, a definition over a reference.
  const rank = (id) => (D.symbols[id].scope === "local" ? 0 : 2) + (D.symbols[id].own.kind === "undefined" ? 0 : 1);
  const id = symbol.scope === "local" ? symbol.id : symbol.canonical;
  if (known === undefined || rank(id) > rank(known)) byName.set(symbol.name, id);
});
const findSymbol = (name) => byName.get(name);

function readFragment() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  S.view = wanted.get("view") === "graph" ? "graph" : "map";
  const stage = wanted.get("stage");
  S.stage = stage === "before" || stage === "after" ? stage : isPlaced ? "after" : "before";
  S.pick = null;
  for (const [what, list] of [["symbol", D.symbols], ["block", D.blocks], ["object", D.objects]]) {
    const name = wanted.get(what);
    if (name === null) continue;
    const named = what === "symbol" ? findSymbol(name) : undefined;
    const id = named !== undefined ? named : /^@\d+$/.test(name) ? Number(name.slice(1)) : -1;
    if (list[id]) S.pick = { what, id };
  }
}

const go = (changes) => { location.hash = fragment(changes); };

let drawn = "";
function draw() {
  document.querySelectorAll("[data-view]").forEach((button) => button.setAttribute("aria-pressed", button.dataset.view === S.view));
  document.querySelectorAll("[data-stage]").forEach((button) => {
    button.setAttribute("aria-pressed", button.dataset.stage === S.stage);
    button.disabled = button.dataset.stage === "after" && !isPlaced;
  });
  // A new pick marks what is drawn; a new view or stage draws anew.
  const wanted = S.view + S.stage + (S.view === "graph" && grain === "near" ? JSON.stringify(S.pick) : "");
  if (wanted !== drawn) {
    document.getElementById("toolbar").replaceChildren(...(S.view === "map" ? mapTools() : graphTools()));
    if (S.view === "map") drawMap();
    else drawGraph();
    drawn = wanted;
  }
  if (S.view === "map") revealOnMap();
  else markGraph();
  drawDetails();
  drawResults();
  const root = document.documentElement;
  [root.dataset.view, root.dataset.stage] = [S.view, S.stage];
}

/** What the list shows: symbols and objects that hold the words, the closest first. */
function results(words) {
  const wanted = words.trim().toLowerCase();
  const address = /^0x[0-9a-f]+$/.test(wanted) ? BigInt(wanted) : null;
  const found = [];
  if (address !== null) {
    D.blocks.forEach((block) => {
      if (block.address === null) return;
      const offset = address - BigInt(block.address);
      if (offset < 0n || offset >= BigInt(Math.max(block.size, 1))) return;
      const symbol = enclosing(block, Number(offset));
      found.push({ rank: 0, name: (symbol ? symbol.name : blockName(block)), where: "at " + wanted, pick: symbol ? { what: "symbol", id: symbol.id } : { what: "block", id: block.id } });
    });
  }
  const rank = (name) => {
    const at = name.toLowerCase().indexOf(wanted);
    return at < 0 ? -1 : at === 0 ? (name.length === wanted.length ? 0 : 1) : 2;
  };
  D.symbols.forEach((symbol) => {
    const own = symbol.scope === "local" ? symbol.own.kind === "block" : symbol.canonical === symbol.id;
    if (!isShownSymbol(symbol) || !own || rank(symbol.name) < 0) return;
    const block = symbol.own.kind === "block" ? D.blocks[symbol.own.block] : null;
    const made = symbol.place.kind === "block" ? objectOf(D.blocks[symbol.place.block]).name : null;
    const where = block ? objectOf(block).name + " " + sectionOf(block).name
      : made || (symbol.address === "0x0" ? "null" : symbol.address ? "outside the batch" : "not defined");
    const hidden = /^\.L/.test(symbol.name) ? 3 : 0;
    found.push({ rank: rank(symbol.name) + hidden, name: symbol.name, where, gone: block && isGone(block), pick: { what: "symbol", id: symbol.id } });
  });
  D.objects.forEach((object, id) => {
    if (rank(object.name) >= 0 && wanted !== "") found.push({ rank: rank(object.name), name: object.name, where: "object", pick: { what: "object", id } });
  });
  return found.sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function drawResults() {
  const search = document.getElementById("search");
  const found = results(search.value);
  const shown = found.slice(0, MOST_RESULTS);
  document.getElementById("count").textContent = found.length > shown.length
    ? "The first " + MOST_RESULTS + " of " + found.length.toLocaleString("en") : plural(found.length, "name");
  const isOn = (pick) => S.pick && S.pick.what === pick.what && S.pick.id === pick.id;
  document.getElementById("results").replaceChildren(...shown.map((entry) => make("li", {},
    make("a" + (isOn(entry.pick) ? ".on" : "") + (entry.gone ? ".gone" : ""), { href: "#" + fragment({ pick: entry.pick }), title: entry.name },
      make("span.name", {}, entry.name), make("span.where", {}, entry.where)))));
}

function drawHead() {
  document.title = D.title + " – jitlink inspect";
  document.getElementById("title").textContent = D.title;
  document.getElementById("target").textContent = D.target
    ? [D.target.format, D.target.arch, D.target.endian + "-endian", D.target.pointer_bytes * 8 + "-bit"].join(", ") : "";
  const { before, after } = D.totals;
  const card = (words, now, was) => make("div", { title: was !== undefined && was !== now ? was.toLocaleString("en") + " before the link" : null }, make("b", {}, now.toLocaleString("en")), " " + words,
    was !== undefined && was !== now ? make("s", {}, was.toLocaleString("en")) : null);
  const cards = isPlaced
    ? [card("blocks", after.blocks, before.blocks), card("symbols", after.symbols, before.symbols), card("edges", after.edges, before.edges), card("bytes", after.bytes, before.bytes),
      card(D.totals.slots === 1 ? "GOT slot" : "GOT slots", D.totals.slots), card(D.totals.stubs === 1 ? "stub" : "stubs", D.totals.stubs), card(D.totals.thunks === 1 ? "thunk" : "thunks", D.totals.thunks),
      card("blocks pruned", D.totals.pruned.blocks)]
    : [card("blocks", before.blocks), card("symbols", before.symbols), card("edges", before.edges), card("bytes", before.bytes)];
  document.getElementById("totals").replaceChildren(...cards);
  const errors = D.errors.slice(0, MOST_ERRORS).map((error, index, all) => make("div.error", {}, error.message, error.advice && (all[index + 1] || {}).advice !== error.advice ? make("small", {}, error.advice) : null));
  if (D.errors.length > MOST_ERRORS) errors.push(make("div.error", {}, "… and " + (D.errors.length - MOST_ERRORS) + " more errors"));
  document.getElementById("alerts").replaceChildren(...errors, ...D.notes.map((note) => make("div.info", {}, note)));
}

document.querySelectorAll("[data-view]").forEach((button) => button.addEventListener("click", () => go({ view: button.dataset.view })));
document.querySelectorAll("[data-stage]").forEach((button) => button.addEventListener("click", () => go({ stage: button.dataset.stage })));
document.getElementById("search").addEventListener("input", drawResults);
document.getElementById("search").addEventListener("keydown", (event) => {
  const first = document.querySelector("#results a");
  if (event.key === "Enter" && first) location.hash = first.getAttribute("href");
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement.tagName !== "INPUT") { event.preventDefault(); document.getElementById("search").focus(); }
  if (event.key === "Escape") go({ pick: null });
});
addEventListener("hashchange", () => { readFragment(); draw(); });
addEventListener("resize", () => { if (S.view === "map") paintLanes(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (S.view === "map") paintLanes(); });
readFragment();
drawHead();
draw();
document.documentElement.dataset.ready = "yes";
