// The panel on the right: all about what is picked.

const details = document.getElementById("details");
const MOST_ROWS = 60;
const FIRST_HEX = 128;
const MOST_HEX = 8192;

const link = (what, id, text) => make("a", { href: "#" + fragment({ pick: { what, id } }) }, text);
const symbolLink = (id) => link("symbol", D.symbols[id].canonical, symbolName(id));
const blockLink = (block) => link("block", block.id, blockName(block));
const objectLink = (id) => link("object", id, D.objects[id].name);

function badges(block) {
  const section = sectionOf(block);
  const state = block.state === "made" ? "made" : isGone(block) ? "gone" : "plain";
  const words = { absorbed: "merged", undecided: "not decided" }[block.state] || block.state;
  return make("div", {}, make("span.badge." + (isGone(block) ? "gone" : protectionClass(section)), {}, section.protection),
    make("span.badge." + state, {}, words),
    section.residence !== "near" ? make("span.badge.plain", {}, section.residence) : null);
}

/** Where to look for a block that the stage does not show. */
function elsewhere(block) {
  if (!block || isShown(block)) return null;
  const other = S.stage === "after" ? "before" : "after";
  return make("p.note", {}, S.stage === "after" ? "It is not in memory. " : "It is not there yet. ", make("a", { href: "#" + fragment({ stage: other }) }, "Show it " + other + " the link"));
}

function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", {}, rows.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** A list of which the first rows are shown until more are asked for. */
function rows(title, head, all, row) {
  if (all.length === 0) return null;
  const body = make("tbody");
  const add = (from, to) => all.slice(from, to).forEach((item) => body.append(make("tr", {}, row(item).map((cell) => (
    cell instanceof HTMLTableCellElement ? cell : make("td", {}, cell))))));
  add(0, MOST_ROWS);
  const table = make("table", {}, make("thead", {}, make("tr", {}, head.map((name) => make("th", {}, name)))), body);
  const more = all.length > MOST_ROWS ? make("button", { onclick: () => { add(MOST_ROWS, all.length); more.remove(); } },
    "Show all " + all.length.toLocaleString("en")) : null;
  return make("section", {}, make("h4", {}, title + " (" + all.length.toLocaleString("en") + ")"), table, more);
}

const mono = (text) => make("td.mono", {}, text);

function edgesOut(edges, base) {
  const listed = edges.filter((edge) => formOf(edge) || edge.before);
  return rows("Refers to", ["at", "relocation", "target"], listed, (edge) => {
    const form = formOf(edge) || edge.before;
    const asked = edge.before || form;
    const addend = form.addend === 0n ? "" : " " + signedHex(form.addend);
    const target = S.stage === "after" && edge.change ? asked : form;
    const why = S.stage === "after" && edge.change ? make("small", {}, edge.change.kind + ": " + edge.change.text) : null;
    return [mono("+" + hex(edge.offset - base)), mono(form.relocation.replace(/^R_[A-Z0-9]+_(64_)?/, "")),
      make("td", { title: form.relocation + " (" + asked.subject + ")" },
        link("symbol", D.symbols[meant(target)].canonical, targetName(target)), addend, why)];
  });
}

function edgesIn(edges) {
  const listed = edges.filter((edge) => formOf(edge) || edge.before);
  return rows("Referred to by", ["from", "at", "relocation"], listed, (edge) => {
    const block = D.blocks[edge.block];
    const from = enclosing(block, edge.offset);
    const gone = isGone(block) ? make("small", {}, block.state) : null;
    const form = edge.before || edge.after;
    return [make("td", {}, from ? symbolLink(from.id) : blockLink(block), gone),
      mono(placeName(block, edge.offset)), mono(form.relocation.replace(/^R_[A-Z0-9]+_(64_)?/, ""))];
  });
}

/** The way from a root to a block, as pruning found it. */
function whyLive(block) {
  const steps = [];
  const root = (text) => make("li", {}, blockLink(block), " (" + objectOf(block).name + ") " + text);
  for (let at = block, left = D.blocks.length; at && at.cause && left > 0; left--) {
    const cause = at.cause;
    block = at;
    const because = {
      entry: () => root("is a root: --entry names " + symbolName(cause.symbol)),
      retained: () => root("is a root: an alias or a pass keeps " + symbolName(cause.symbol)),
      exported: () => root("is a root: others can see " + symbolName(cause.symbol)),
      "retained-section": () => root("is a root: its section is marked to be retained"),
      initialisers: () => root("is a root: it lists functions that run before or after the program"),
      unloaded: () => root("is kept: it takes up no memory"),
      dependency: () => root("depends on the one above, as an unwind record on its function"),
      group: () => root("is in the COMDAT group of the one above"),
      edge: () => {
        const edge = D.edges[cause.edge];
        const from = D.blocks[cause.block];
        return root(edge ? "through " + edge.before.relocation + " at " + placeName(from, edge.offset) : "through a relocation");
      },
    }[cause.kind];
    steps.push(because());
    at = cause.block === undefined ? null : D.blocks[cause.block];
  }
  if (steps.length === 0) return null;
  return make("section", { id: "why" }, make("h4", {}, "Why it is live"), make("ol", {}, steps.reverse()));
}

function hexDump(block, start, size, most = FIRST_HEX) {
  const kept = D.bytes[block.id] || {};
  const text = S.stage === "after" ? kept.after || kept.before : kept.before || kept.after;
  if (!text) {
    const why = block.size === 0 ? null : "Its bytes are not on this page: they are zeros, or there was no room for them.";
    return why && make("section", {}, make("h4", {}, "Bytes"), make("div.note", {}, why));
  }
  const length = Math.min(text.length / 2, start + (size || block.size), start + most);
  const fields = new Map();
  D.edges.slice(block.edges[0], block.edges[1]).forEach((edge) => {
    const form = formOf(edge);
    const width = form ? form.width : 0;
    for (let at = edge.offset; form && at < edge.offset + width; at++) fields.set(at, edge);
  });
  const pre = make("pre.hex");
  const base = S.stage === "after" && block.address ? BigInt(block.address) : null;
  for (let row = start - (start % 8); row < length; row += 8) {
    const at = base === null ? (block.offset + row).toString(16).padStart(6, "0") : (base + BigInt(row)).toString(16);
    pre.append(make("span.at", {}, at + "  "));
    let letters = "";
    for (let index = row; index < row + 8; index++) {
      const inside = index >= start && index < length;
      const digits = inside ? text.substr(index * 2, 2) : "  ";
      const gap = index % 8 === 7 ? "  " : " ";
      const edge = inside && fields.get(index);
      if (edge) {
        const name = targetName(formOf(edge));
        const joined = fields.get(index + 1) === edge && index % 8 !== 7;
        pre.append(make("span.fix", { title: formOf(edge).relocation + " " + name }, digits + (joined ? gap : "")), joined ? "" : gap);
      } else pre.append(digits + gap);
      const code = inside ? parseInt(digits, 16) : 32;
      letters += code >= 32 && code < 127 ? String.fromCharCode(code) : "·";
    }
    pre.append(make("span.at", {}, letters), "\n");
  }
  const wanted = size || block.size - start;
  const rest = Math.min(text.length / 2, start + wanted) - length;
  const note = length - start >= wanted ? null : most < MOST_HEX && rest > 0
    ? make("button", { onclick: () => document.getElementById("bytes").replaceWith(hexDump(block, start, size, MOST_HEX)) }, "Show more of its " + bytesText(wanted))
    : make("div.note", {}, "The first " + bytesText(length - start) + " of " + wanted.toLocaleString("en") + ".");
  const when = S.stage === "after" && kept.after ? "in memory" : S.stage === "after" && RANK[D.reached] < RANK.linked ? "before fix-up" : S.stage === "after" ? "" : "in the object";
  return make("section", { id: "bytes" }, make("h4", {}, "Bytes " + when), pre, note);
}

function madeFor(id) {
  const list = [];
  D.made.forEach((made, symbol) => {
    if (D.symbols[made.of].canonical === D.symbols[id].canonical) list.push([symbol, made]);
  });
  if (list.length === 0) return null;
  const users = (symbol) => D.edges.filter((edge) => edge.before && edge.after && edge.after.target === symbol && edge.change);
  return make("section", { id: "made" }, make("h4", {}, "Made for it"), make("ul", {}, list.map(([symbol, made]) => (
    make("li", {}, made.what + (made.address ? " at " : ""), make("code", {}, made.address || ""), ", used by "
      + [made.forStub ? "its stub" : null, users(symbol).length || !made.forStub ? plural(users(symbol).length, "reference") : null].filter(Boolean).join(" and "),
      users(symbol).slice(0, 1).map((edge) => make("small.note", {}, " (" + edge.change.text + ")")))))));
}

function aboutSymbol(symbol) {
  const block = symbol.place.kind === "block" ? D.blocks[symbol.place.block] : null;
  const own = symbol.own.kind === "block" ? D.blocks[symbol.own.block] : null;
  const home = own || block;
  const start = (symbol.own.kind === "block" ? symbol.own : symbol.place).offset || 0;
  const end = start + (symbol.size || (home ? home.size - start : 0));
  const edges = home ? D.edges.slice(home.edges[0], home.edges[1]).filter((edge) => edge.offset >= start && edge.offset < end) : [];
  const winner = symbol.canonical !== symbol.id ? symbolLink(symbol.canonical) : null;
  const outside = !block && symbol.own.kind === "undefined"
    ? (symbol.address && symbol.address !== "0x0" ? "outside the batch" : symbol.address ? "nothing defines it: null" : "not defined") : null;
  return [
    make("h2", {}, symbol.name || symbolName(symbol.id)),
    home ? badges(home) : make("div", {}, make("span.badge.plain", {}, outside || symbol.place.kind)),
    facts([
      ["address", symbol.address && make("code", {}, symbol.address)],
      ["size", symbol.size ? bytesText(symbol.size) : null],
      ["kind", [symbol.scope, symbol.linkage === "strong" ? null : symbol.linkage, symbol.kind === "other" ? null : symbol.kind].filter(Boolean).join(" ")],
      ["object", home ? objectLink(sectionOf(home).object) : objectLink(symbol.object)],
      ["section", home && link("block", home.id, placeName(home, 0))],
      ["stands for", winner],
      ["not in the link", home && isGone(home) ? stateWords(home) : null],
    ]),
    elsewhere(home),
    block && !isGone(block) ? whyLive(block) : null,
    madeFor(symbol.id),
    home ? hexDump(home, start, symbol.size) : null,
    edgesOut(edges, start),
    edgesIn(symbol.into),
  ];
}

function aboutBlock(block) {
  const section = sectionOf(block);
  const group = section.group === null ? null : D.groups[section.group];
  return [
    make("h2", {}, placeName(block, 0)), badges(block),
    facts([
      ["object", objectLink(section.object)], ["address", block.address && make("code", {}, block.address)],
      ["size", bytesText(block.size)], ["alignment", bytesText(block.align)],
      ["COMDAT group", group && group.name + (group.kept === null ? "" : ", kept from " + D.objects[group.kept].name)],
      ["state", stateWords(block)],
    ]),
    elsewhere(block),
    rows("Symbols", ["offset", "name", "size"], block.symbols, (symbol) => [mono("+" + hex(symbol.own.offset)), symbolLinkOwn(symbol), mono(symbol.size || "")]),
    isGone(block) ? null : whyLive(block),
    hexDump(block, 0, 0),
    edgesOut(D.edges.slice(block.edges[0], block.edges[1]), 0),
    edgesIn(block.into.filter((edge) => edge.block !== block.id)),
  ];
}

const symbolLinkOwn = (symbol) => link("symbol", symbol.id, symbol.name);

function aboutObject(id) {
  const object = D.objects[id];
  const blocks = D.blocks.filter((block) => sectionOf(block).object === id);
  const size = (list) => list.reduce((sum, block) => sum + block.size, 0);
  const kept = blocks.filter((block) => !isGone(block));
  return [
    make("h2", {}, object.name),
    facts([["path", object.path && object.path !== object.name ? object.path : null], ["blocks", kept.length + " of " + blocks.length + " are live"],
      ["bytes", bytesText(size(kept)) + " of " + size(blocks).toLocaleString("en")]]),
    rows("Blocks", ["section", "symbols", "bytes", "state"], blocks, (block) => [
      link("block", block.id, placeName(block, 0)), block.symbols.slice(0, 3).map((symbol) => symbol.name).join(", ") + (block.symbols.length > 3 ? ", …" : ""),
      mono(block.size.toLocaleString("en")), mono(block.state)]),
  ];
}

function aboutLink() {
  const stubs = rows("Stubs", ["address", "calls", "kind"], D.stubs, (stub) => [mono(stub.address || ""), symbolLink(stub.target), stub.kind]);
  const slots = rows("GOT slots", ["address", "holds", "used by"], D.slots, (slot) => [mono(slot.address || ""), symbolLink(slot.target), slot.for_stub ? "its stub" : "loads"]);
  const gone = D.blocks.filter((block) => isGone(block) && block.size > 0).sort((a, b) => b.size - a.size);
  const objects = D.objects.map((object, id) => id).filter((id) => !D.objects[id].made);
  return [
    make("h2", {}, "The link"),
    make("p.note", {}, "Pick anything on the map, in the graph or in the list to look closer."),
    facts([["target", D.target ? D.target.format + " " + D.target.arch : null], ["came as far as", D.reached],
      ["loads relaxed", String(D.totals.relaxed)], ["moved out of line", String(D.totals.outlined)]]),
    rows("Segments", ["address", "bytes", "may"], D.segments, (segment) => [mono(segment.address), mono(segment.size.toLocaleString("en")), segment.protection]),
    stubs, slots,
    rows("Not in the link", ["what", "object", "bytes"], gone, (block) => [blockLink(block), objectOf(block).name, mono(block.size.toLocaleString("en"))]),
    rows("Objects", ["name"], objects, (id) => [objectLink(id)]),
  ];
}

function drawDetails() {
  const pick = S.pick;
  const parts = !pick ? aboutLink() : pick.what === "symbol" ? aboutSymbol(D.symbols[pick.id])
    : pick.what === "block" ? aboutBlock(D.blocks[pick.id]) : aboutObject(pick.id);
  details.replaceChildren(...(pick ? [make("a", { href: "#" + fragment({ pick: null }) }, "← The link")] : []), ...parts.filter(Boolean));
  details.dataset.what = pick ? pick.what : "link";
  details.dataset.id = pick ? pick.id : "";
  details.scrollTop = 0;
}
