// Seven of forty cases come out otherwise: does someone who has this page alone find each, understand it, and say yes or no?
import fs from "node:fs";
import path from "node:path";
import { check, closed, equal, folder, hash, opened, pictures, settled, step, text } from "./browser.mjs";

const CHANGED = ["refund", "login", "badge", "webhook", "export", "board"];

// What tells each of them on its own page.
const TOLD = {
  refund: ["2 of 3 samples differ from the accepted output", /samples \d and \d of 3/, "Billing"],
  login: ["2 of 3 samples differ", /sample \d of 3\n[^]*sample \d of 3\n/, "cookies", "telling us of"],
  badge: ["all 3 samples", "this one with refusal", "refused as bio: This request was declined."],
  webhook: ["this one with max_tokens", "stopped: max tokens"],
  export: ["$.items[2] → $.items[0]", "moved", "12.5", "13", "orders@1 → orders@2"],
  board: ["$.priority", "high", "$.notes", "removed", "orders@1 → orders@2"],
};

export async function sevenOfForty() {
  const one = await opened("forty");
  const { page } = one;
  equal(await page.locator(".attention h3").allInnerTexts(), ["Failed 2", "Without a verdict 1", "Changed 6"], "what to look at, with numbers");
  const changed = page.locator(".attention", { has: page.locator("h3", { hasText: "Changed" }) }).locator("li");
  const excerpts = await changed.locator(".excerpt").allInnerTexts();
  check(excerpts[0].includes("Workspace") && excerpts[0].includes("Billing"), "what changed in a text, in a line, both sides of it", excerpts[0]);
  equal(excerpts.slice(4), ["$.items[2] → $.items[0]: moved (and 1 more)", '$.priority: "normal" → "high" (and 1 more)'], "and what changed in JSON");
  const prompts = page.locator(".panel", { hasText: "What changed in the prompts" });
  equal(await prompts.locator("ins").allInnerTexts().then((words) => words.some((word) => word.includes("of customers"))), true, "the prompt that changed is told beside them");
  check((await prompts.innerText()).includes("</script> is text."), "and shown as it was written");
  check((await page.locator(".panel", { hasText: "Noticed" }).innerText()).includes(", and kind"), "an accepted version whose text changed");
  for (const [chart, first] of [["Cost", "$0"], ["Latency", undefined]]) {
    const ticks = await page.locator("figure", { hasText: chart }).locator(".axis text").allTextContents();
    check(ticks.length > 1 && (first === undefined || ticks[0] === first) && ticks.slice(1).every((tick) => /^\$[\d.]+$|^\d+(\.\d)? (ms|s)$/.test(tick)), `${chart} has a scale with units`, ticks);
  }
  // By keys alone: the filter's link, then j from case to case.
  await changed.locator("a").first().click();
  for (const [index, name] of CHANGED.entries()) {
    await page.waitForFunction((wanted) => document.querySelector(".case h1")?.textContent === wanted, name);
    check((await text(page, ".steps .muted")) === `${index + 1} of 6`, "how many there are, and which this is", await text(page, ".steps .muted"));
    const whole = await text(page, ".columns");
    for (const words of TOLD[name]) check(words instanceof RegExp ? words.test(whole) : whole.includes(words), `${name} tells: ${words}`, whole.slice(0, 2000));
    await page.keyboard.press(index % 2 ? "r" : "a");
    await page.waitForFunction((number) => [...document.querySelectorAll(".decisions strong")].some((node) => [...node.textContent.matchAll(/\d+/g)].reduce((sum, [digits]) => sum + Number(digits), 0) === number), index + 1);
    await page.keyboard.press("j");
  }
  equal(await text(page, ".decisions strong"), "3 accepted, 3 rejected", "each has its answer");
  await page.getByRole("button", { name: "Show commands" }).click();
  const commands = await text(page, ".commands");
  equal([...commands.matchAll(/'([^']+)'/g)].map((match) => match[1].split("/")[1]).sort(), [...CHANGED].sort(), "and stands in the commands");
  check((await text(page, ".decisions")).includes("--add"), "with the way to keep what is accepted beside the new");
  // The matrix takes the same keys.
  await page.keyboard.press("Escape");
  await page.waitForSelector("#matrix");
  await page.keyboard.press("r");
  check((await text(page, ".decisions strong")) === "3 accepted, 2 rejected", "again takes it back, in the matrix too", await text(page, ".decisions strong"));
  await closed(one, "seven of forty");
  step("seven of forty: found, understood and decided by keys");
}

export async function samples() {
  const one = await opened("forty", "#case=answers::login");
  const { page } = one;
  await page.getByRole("link", { name: "Compare two columns or samples" }).click();
  await page.waitForSelector(".comparison");
  equal(await page.getByLabel("First column").locator("option").allInnerTexts(), ["claude-haiku-4-5", "claude-sonnet-4-6"].flatMap((model) => [1, 2, 3].map((number) => `${model} · sample ${number}`)), "any two samples of any columns");
  // Samples are asked side by side: which of them got which answer is the run's to say.
  const replies = JSON.parse(fs.readFileSync(path.join(folder, "forty.json"), "utf8")).cells.find(({ address: { suite, case: id, model } }) => suite === "answers" && id === "login" && model.includes("sonnet")).samples.map((sample) => sample.reply.text);
  const [edited, usual] = [replies.findIndex((reply) => reply.includes("telling")), replies.findIndex((reply) => reply.startsWith("Thank you for asking"))];
  await page.getByLabel("First column").selectOption(`1.${edited}`);
  await settled(page, `compare=1.${edited}:`);
  await page.getByLabel("Second column").selectOption(`1.${usual}`);
  await settled(page, `compare=1.${edited}:1.${usual}`);
  equal([await page.locator(".sides del").allInnerTexts(), await page.locator(".sides ins").allInnerTexts()], [["telling us of"], ["asking about"]], "two samples of one cell differ in these words");
  equal(await page.locator(".side-name").allInnerTexts(), [`− claude-sonnet-4-6 · sample ${edited + 1}`, `+ claude-sonnet-4-6 · sample ${usual + 1}`], "and are named");
  await page.reload();
  await page.waitForFunction(() => globalThis.drawnAt);
  equal(await page.getByLabel("Second column").inputValue(), `1.${usual}`, "the link of two samples works by itself");
  await closed(one, "samples");
  const wide = await opened("forty", "#case=answers::login&compare=0:1");
  // Two equal texts stand there once and without names; what was chosen is told all the same.
  equal(await wide.page.getByLabel("First column").inputValue(), "0.0", "a link to columns means the samples that are looked at");
  await closed(wide, "columns with samples");
  const small = await opened("forty", "#case=orders::export", { viewport: { width: 400, height: 860 } });
  equal(await small.page.locator(".column").first().getAttribute("data-column"), "1", "on a telephone what changed stands first");
  check((await text(small.page, ".column .state")).includes("snapshot changed"), "and says so");
  await small.page.screenshot({ path: path.join(pictures, "forty-first-400.png") });
  check((await hash(small.page)).startsWith("#case="), "with the same link");
  await closed(small, "telephone");
  const cells = await opened("forty", "#cells", { viewport: { width: 400, height: 860 } });
  await cells.page.waitForSelector(".case-row");
  const told = await cells.page.locator(".case-row").evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll(".cell")].map((cell) => {
    const [box, label, own] = [cell.closest(".case-row").getBoundingClientRect(), cell.querySelector(".label"), cell.getBoundingClientRect()];
    return label?.offsetWidth > 0 && own.bottom <= box.bottom + 0.5 ? label.innerText.trim() : "(not to be seen)";
  })));
  check(told.length > 3 && told.every((row) => row.length > 1 && new Set(row).size === row.length && !row.includes("(not to be seen)")), "each cell of the matrix says whose it is where no column does", told.slice(0, 4));
  await cells.page.screenshot({ path: path.join(pictures, "forty-cells-400.png") });
  await closed(cells, "matrix on a telephone");
  step("any two columns or samples are compared");
}
