// Do the page's own differences hold both texts whole, and mark nothing that is on both sides? Any texts, many times, without a browser.
import fs from "node:fs";
import { check, equal, step } from "./browser.mjs";

const source = fs.readFileSync(new URL("../../src/report/html/diff.js", import.meta.url), "utf8");
const { compared, laidOut } = new Function(`${source}; return { compared, laidOut };`)();
const output = fs.readFileSync(new URL("../../src/report/html/output.js", import.meta.url), "utf8");
const { moves } = new Function(`${output}; return { moves };`)();

// Numbers that look random and are the same every time.
let seed = 7;
const random = (below) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
};
const WORDS = ["", "", " ", "\n", "\n", "\n\n", "one", "two", "three", "Straße", "日本", "👩‍👩‍👧", "a_b", ".", ", ", "\t", "é", "\r\n"];
const anyText = () => Array.from({ length: random(30) }, () => WORDS[random(WORDS.length)]).join("");

function edited(text) {
  const at = random(text.length + 1);
  return random(3) === 0 ? anyText() : text.slice(0, at) + WORDS[random(WORDS.length)] + text.slice(Math.min(text.length, at + random(6)));
}

const side = (blocks, name) => blocks.flatMap((block) => (block.same ? [block.text] : block[name].length ? [block[name].map((part) => part.text).join("")] : [])).join("\n");

export async function differences() {
  for (let round = 0; round < 20_000; round += 1) {
    const left = anyText();
    const right = random(2) ? edited(edited(left)) : anyText();
    const { blocks } = compared(left, right);
    equal([side(blocks, "left"), side(blocks, "right")], [left, right], "both texts are there, to the last character");
    const marked = blocks.some((block) => !block.same);
    equal(marked, left !== right, "something is marked exactly where something differs");
  }
  const changes = [{ path: "$.a[0]", old: { id: 1 } }, { path: "$.a[3]", new: { id: 1 } }, { path: "$.b[0]", new: { id: 1 } }, { path: "$.c", old: null, new: 2 }, { path: "$.a[1]", new: 7 }, { path: "$.a[1]", old: 7 }];
  const moved = moves(changes);
  const told = changes.flatMap((change, index) => (moved.get(index) === null ? [] : [moved.has(index) ? `${change.path} -> ${moved.get(index).path}` : change.path]));
  equal(told, ["$.a[0] -> $.a[3]", "$.b[0]", "$.c"], "an item that moved within its list is told once, one that kept its place not at all, and nothing else is");
  const elsewhere = [{ path: "$.user.addr", old: { zip: "1" } }, { path: "$.a", old: "no" }, { path: "$.q", old: "billing" }, { path: "$['odd key'].n", old: 7 }, { path: "$.addr", new: { zip: "1" } }, { path: "$.b", new: "no" }, { path: "$.r", new: "billing" }, { path: "$.s", new: "billing" }, { path: "$.n", new: 7 }];
  equal([...moves(elsewhere)].map(([index, other]) => other && `${elsewhere[index].path} -> ${other.path}`), ["$.user.addr -> $.addr", null, "$['odd key'].n -> $.n", null], "a value that stands elsewhere has moved, unless it stands at several places or tells nothing");
  const { blocks } = compared("the quick brown fox\nstays", "the slow brown fox\nstays");
  equal(blocks[0].left.filter((part) => part.changed).map((part) => part.text), ["quick"], "one word");
  for (const json of ['{"a":[1,2.50,{"b":"x\\"{,}"}],"c":{},"d":[],"e":123456789012345678901234567890,"f":1e5}', "[]", "[[[]]]", ' {"a" : null}\n']) {
    const laid = laidOut(json);
    equal(JSON.parse(laid), JSON.parse(json), "laid out, JSON says the same");
    equal(laid.replace(/\s/g, ""), json.replace(/\s/g, ""), "and every number is written as it came");
  }
  equal(laidOut("```json\n[1,2]\n```"), "```json\n[\n  1,\n  2\n]\n```", "within a fence too");
  for (const text of ["no JSON", "{broken", "12", '"text"', "[".repeat(50_000) + "]".repeat(50_000)]) equal(laidOut(text), undefined, "other texts stay as they are");
  const began = performance.now();
  const line = (number, of) => Array.from({ length: 40 }, (_, index) => `${(number * 7919 + index * of) % 100_003}`).join(" ");
  const many = (of) => Array.from({ length: 20_000 }, (_, number) => line(number, of)).join("\n");
  compared(many(3), many(5));
  check(performance.now() - began < 10_000, "texts of four million characters that share nothing take long", performance.now() - began);
  step("differences hold both texts whole");
}
