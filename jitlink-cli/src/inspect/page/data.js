"use strict";
// The data, with what is looked up often, and small helpers. All text goes on the page as text, never as markup.

const D = JSON.parse(document.getElementById("data").textContent);
const RANK = { nothing: 0, read: 1, resolved: 2, pruned: 3, placed: 4, linked: 5 };
const isPlaced = RANK[D.reached] >= RANK.placed;
const S = { view: "map", stage: isPlaced ? "after" : "before", pick: null };

const isGone = (block) => block.state === "pruned" || block.state === "discarded";
const sectionOf = (block) => D.sections[block.section];
const objectOf = (block) => D.objects[sectionOf(block).object];
const protectionClass = (section) => ({ "r-x": "rx", "r--": "r" })[section.protection] || "rw";
const isShownSymbol = (symbol) => symbol.name !== "" && symbol.kind !== "section" && symbol.kind !== "file";

D.blocks.forEach((block, id) => { block.id = id; block.symbols = []; block.into = []; });
D.symbols.forEach((symbol, id) => {
  symbol.id = id;
  symbol.into = [];
  if (symbol.own.kind === "block" && isShownSymbol(symbol)) D.blocks[symbol.own.block].symbols.push(symbol);
});
D.blocks.forEach((block) => block.symbols.sort((a, b) => a.own.offset - b.own.offset || (a.scope === "local") - (b.scope === "local")));
// An edge: where it is, its form in the object, its form in memory, and what was done to it.
const side = (tuple) => tuple && { relocation: D.relocations[tuple[0]], width: D.widths[tuple[0]], subject: tuple[1], target: tuple[2], addend: BigInt(tuple[3]) };
D.edges = D.edges.map(([block, offset, before, after, change], id) => (
  { id, block, offset, before: side(before), after: side(after), change: change === null ? null : D.changes[change] }));
D.made = new Map();
D.slots.forEach((slot) => D.made.set(slot.symbol, { what: "GOT slot", of: slot.target, address: slot.address, forStub: slot.for_stub }));
D.stubs.forEach((stub) => D.made.set(stub.symbol, { what: stub.kind === "thunk" ? "thunk" : "stub", of: stub.target, address: stub.address }));

/** The symbol that an edge means: a named one also where the edge gives a section and an offset in it. */
function meant(form) {
  const symbol = D.symbols[form.target];
  if (symbol.kind !== "section" || symbol.own.kind !== "block") return form.target;
  const at = symbol.own.offset + Number(form.addend);
  const known = D.blocks[symbol.own.block].symbols;
  // The addends of relative references are a few bytes less than the offset that is meant.
  const named = known.length === 1 ? known[0] : known.find((known) => known.own.offset === at || known.own.offset === at + 4);
  return named ? named.id : form.target;
}

D.edges.forEach((edge) => {
  const form = edge.before || edge.after;
  const target = D.symbols[form.target];
  D.symbols[D.symbols[meant(form)].canonical].into.push(edge);
  if (target.place.kind === "block") D.blocks[target.place.block].into.push(edge);
});

/** The form of an edge at the stage that is shown. */
const formOf = (edge) => (S.stage === "after" ? edge.after : edge.before);

/** Whether a block is shown at the stage. */
const isShown = (block) => (S.stage === "after" ? block.address !== null : block.state !== "made" || !objectOf(block).made);

/** What people call a symbol: its name, or what it stands for. */
function symbolName(id) {
  const symbol = D.symbols[id];
  if (symbol.name !== "") return symbol.name;
  const made = D.made.get(id);
  if (made) return made.what + " of " + symbolName(made.of);
  return symbol.place.kind === "block" ? placeName(D.blocks[symbol.place.block], symbol.place.offset) : "symbol " + id;
}

const targetName = (form) => symbolName(meant(form));

const blockName = (block) => {
  const named = block.symbols.find((symbol) => symbol.scope !== "local") || block.symbols[0];
  return named ? named.name : placeName(block, 0);
};
const placeName = (block, offset) => {
  const at = block.offset + offset;
  return sectionOf(block).name + (at ? "+" + hex(at) : "");
};
const hex = (number) => "0x" + number.toString(16);
const signedHex = (number) => (number < 0n ? "-0x" + (-number).toString(16) : "+0x" + number.toString(16));
const bytesText = (size) => size.toLocaleString("en") + (size === 1 ? " byte" : " bytes");
const plural = (number, what) => number.toLocaleString("en") + " " + what + (number === 1 ? "" : "s");

/** The symbol that covers a place in a block. */
function enclosing(block, offset) {
  for (let index = block.symbols.length - 1; index >= 0; index--) {
    const symbol = block.symbols[index];
    if (symbol.own.offset <= offset && (symbol.size === 0 || offset < symbol.own.offset + symbol.size)) return symbol;
  }
  return null;
}

/** Makes an element: a name with classes, its attributes, and what is in it. */
function make(name, attributes = {}, ...inside) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...inside.flat(Infinity).filter((part) => part !== null && part !== undefined));
  return element;
}

const tip = document.getElementById("tip");
function showTip(event, text) {
  tip.hidden = text === null;
  if (text === null) return;
  tip.textContent = text;
  const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const y = event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18;
  tip.style.left = x + "px";
  tip.style.top = y + "px";
}

/** What a hover says of a block. */
function blockTip(block) {
  const section = sectionOf(block);
  const names = block.symbols.slice(0, 6).map((symbol) => symbol.name).join(", ");
  const more = block.symbols.length > 6 ? ", …" : "";
  return [
    names ? names + more : placeName(block, 0),
    objectOf(block).name + " " + placeName(block, 0),
    (block.address ? block.address + ", " : "") + bytesText(block.size) + ", " + section.protection,
    stateWords(block),
  ].join("\n");
}

const stateWords = (block) => ({
  undecided: "the link failed before it was decided on",
  live: block.address ? "live" : "live, but the link failed before it had an address",
  pruned: "pruned: nothing live needs it",
  discarded: "discarded: another object's copy of its COMDAT group is kept",
  absorbed: "its bytes went into one of the linker's blocks",
  made: "made by the linker",
})[block.state];
