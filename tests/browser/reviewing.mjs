// Does a reviewer find, understand and decide, by mouse and by keys?
import fs from "node:fs";
import path from "node:path";
import { check, closed, equal, folder, hash, opened, settled, step, text } from "./browser.mjs";

const current = (page) => page.locator(".case-row.current .case-name").innerText();
const shownCases = (page) => page.locator(".case-row .case-name").allInnerTexts();

export async function overview() {
  const one = await opened("review");
  const { page } = one;
  const report = JSON.parse(fs.readFileSync(path.join(folder, "run.json"), "utf8"));
  equal(await page.title(), `FAILED (simulated) · ${report.run.id} · promptkeel`, "the title says the verdict and that it is simulated");
  check((await text(page, ".summary h1")).startsWith("Failed"), "the verdict stands first");
  check((await text(page, ".simulated-banner")).startsWith("Simulated."), "a simulated run says so");
  const { planned, passed, failed } = report.totals;
  equal(await text(page, ".sum"), `${planned} cells planned = ${passed} passed + ${failed} failed + 0 errored + 0 skipped`, "the sum");
  equal(await page.locator(".attention h3").allInnerTexts(), ["Changed 7", "New 1"], "what to look at");
  equal(await page.locator(".attention li").count(), 8, "each of them is listed");
  for (const chart of ["Cost", "Latency"]) {
    const figure = page.locator("figure", { hasText: chart });
    check((await figure.locator("svg[role=img][aria-label]").count()) === 2, `${chart} is drawn for both models`);
  }
  await page.getByRole("button", { name: "Prompt versions" }).click();
  check((await text(page, ".totals")).includes("ticket-triage@3"), "totals by version");
  await page.locator(".attention li a").first().click();
  check((await hash(page)).startsWith("#case="), "an item opens its case");
  await closed(one, "overview");
  step("the overview says the verdict, the sums, what to look at and the charts");
}

export async function filtering() {
  const one = await opened("review", "#cells");
  const { page } = one;
  equal(await text(page, ".result"), "74 cases, 228 cells", "all cases");
  await page.getByRole("button", { name: "Changed 7" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".case-row").length < 8);
  const changed = await page.locator(".badge.changed").count();
  equal(changed, 7, "seven cells changed");
  equal(await hash(page), "#cells&filter=changed", "the filter is in the address");
  await page.getByRole("button", { name: "New 1" }).click();
  await settled(page, "changed,new");
  equal(await page.locator(".badge.new").count(), 1, "two filters show what either shows");
  await page.goBack();
  await page.goBack();
  await settled(page);
  equal(await text(page, ".result"), "74 cases, 228 cells", "back undoes filters");
  await page.getByLabel("Suite").selectOption("support-answers");
  await page.waitForFunction(() => document.querySelector(".result").textContent.startsWith("24 of"));
  await page.getByLabel("Tag").selectOption({ index: 1 });
  await settled(page, "tag=");
  const [shown, all] = (await text(page, ".result")).match(/\d+/g).map(Number);
  check(shown >= 0 && shown < 24 && all === 74, "a tag narrows a suite", shown, all);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await page.keyboard.press("/");
  await page.waitForFunction(() => document.activeElement?.id === "search");
  await page.keyboard.type("Hafner werkzeuge");
  await page.waitForFunction(() => document.querySelector(".result").textContent.startsWith("1 of"));
  equal(await shownCases(page), ["discount-and-shipping"], "an output is found, in upper or lower case");
  equal(await hash(page), "#cells&search=Hafner+werkzeuge", "the search is in the address");
  await page.reload();
  await page.waitForFunction(() => globalThis.drawnAt);
  equal(await shownCases(page), ["discount-and-shipping"], "a reload keeps it");
  await page.locator("#search").fill("nothing has this");
  await page.waitForFunction(() => document.querySelector(".empty:not([hidden])"));
  check((await text(page, ".result")).startsWith("0 of 74 cases"), "nothing is left, and that is said");
  for (const name of ["Verdicts differ", "Outputs differ"]) {
    await page.getByRole("button", { name: "Clear filters" }).click();
    await page.getByRole("button", { name }).click();
    await settled(page, "filter=");
    const number = Number(/\d+/.exec(await text(page, ".result"))[0]);
    check(number > 0 && number < 74, `${name} leaves some`, number);
  }
  await closed(one, "filters");
  step("filters, search, back and reload");
}

export async function keys() {
  const one = await opened("review", "#cells&filter=changed");
  const { page } = one;
  await page.keyboard.press("j");
  const first = await current(page);
  await page.keyboard.press("j");
  const second = await current(page);
  check(first !== second, "j goes on", first, second);
  await page.keyboard.press("ArrowUp");
  equal(await current(page), first, "an arrow goes back");
  await page.keyboard.press("ArrowRight");
  const active = await page.locator("#matrix").getAttribute("aria-activedescendant");
  equal(await page.locator(`[id="${active}"]`).getAttribute("data-column"), "1", "the current cell is told");
  await page.keyboard.press("End");
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".case h1");
  equal(await text(page, ".case h1"), first, "Enter opens");
  equal(await page.evaluate(() => document.activeElement.tagName), "H1", "the focus goes along");
  await page.keyboard.press("j");
  await page.waitForFunction((name) => document.querySelector(".case h1").textContent !== name, first);
  equal(await text(page, ".case h1"), second, "j is the next of the filtered cases");
  await page.keyboard.press("k");
  await page.waitForFunction((name) => document.querySelector(".case h1").textContent === name, first);
  await page.keyboard.press("c");
  await page.waitForSelector(".comparison");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".comparison", { state: "detached" });
  await page.keyboard.press("Escape");
  await page.waitForSelector("#matrix");
  equal(await current(page), first, "Escape returns to where one was");
  await page.keyboard.press("?");
  check(await page.locator("dialog.help").isVisible(), "? is the help");
  await page.keyboard.press("Escape");
  check(!(await page.locator("dialog.help").isVisible()), "and closes");
  equal(await hash(page), "#cells&filter=changed", "and nothing else");
  await page.keyboard.press("t");
  await page.keyboard.press("t");
  equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), "dark", "t goes through the colours");
  await page.keyboard.press("t");
  await page.keyboard.press("o");
  await page.waitForSelector(".overview h1");
  // By the tab key alone: to the content, and into it.
  await page.reload();
  await page.waitForFunction(() => globalThis.drawnAt);
  await page.keyboard.press("Tab");
  equal(await page.evaluate(() => document.activeElement.className), "skip", "the first stop skips to the content");
  await page.keyboard.press("Enter");
  equal(await page.evaluate(() => document.activeElement.tagName), "H1", "and does");
  await closed(one, "keys");
  step("keys");
}

export async function deciding() {
  const one = await opened("review", "#cells&filter=changed");
  const { page } = one;
  await page.locator(".case-row .case-name a").first().click();
  await page.waitForSelector(".case");
  check((await page.locator(".diff ins, .paths ins").count()) > 0, "the difference to what was accepted, words marked");
  await page.keyboard.press("a");
  await page.waitForSelector(".decisions:not([hidden])");
  equal(await text(page, ".decisions strong"), "2 accepted", "a accepts what changed in the case");
  await page.keyboard.press("a");
  await page.waitForSelector(".decisions[hidden]", { state: "attached" });
  await page.getByRole("button", { name: "Accept" }).first().click();
  equal(await text(page, ".decisions strong"), "1 accepted", "a click accepts one");
  equal(await page.locator('.decide.accept[aria-pressed="true"]').count(), 1, "and it shows");
  equal(await page.evaluate(() => document.activeElement.dataset.word), "accept", "the focus stays");
  const before = await text(page, ".case h1");
  await page.locator("body").press("j");
  await page.waitForFunction((name) => document.querySelector(".case h1").textContent !== name, before);
  await page.getByRole("button", { name: "Reject" }).first().click();
  equal(await text(page, ".decisions strong"), "1 accepted, 1 rejected", "a click rejects");
  await page.reload();
  await page.waitForFunction(() => globalThis.drawnAt);
  equal(await text(page, ".decisions strong"), "1 accepted, 1 rejected", "a reload forgets nothing");
  await page.getByRole("button", { name: "Show commands" }).click();
  fs.writeFileSync(path.join(folder, "commands.txt"), await text(page, ".commands"));
  await page.keyboard.press("Escape");
  await page.waitForSelector("#matrix");
  equal(await page.locator(".badge.decided").allInnerTexts(), ["accepted", "rejected"], "the matrix shows what was said");
  await closed(one, "decisions");
  step("decisions");
}

export async function oneCase() {
  const id = "#case=invoice-extraction::discount-and-shipping";
  const one = await opened("review", id);
  const { page } = one;
  equal(await text(page, ".case h1"), "discount-and-shipping", "a link opens a case");
  equal(await page.locator(".column h2").allInnerTexts(), ["claude-haiku-4-5", "claude-sonnet-4-6"], "all columns side by side");
  const tops = await page.locator(".column .with-tools pre.output").evaluateAll((nodes) => nodes.map((node) => Math.round(node.getBoundingClientRect().top)));
  equal(new Set(tops).size, 1, "their outputs stand at one height");
  check((await text(page, ".column .facts")).includes("tokens in"), "usage and cost");
  await page.getByText("Usage and 1 attempt").first().click();
  check((await page.locator(".attempts").first().innerText()).includes("200 answered"), "attempts");
  check((await page.locator(".pairs", { hasText: "request id" }).first().innerText()).includes("req_"), "request ids");
  await page.getByText("assertions hold").first().click();
  check(/suites\/invoice-extraction\.yaml:\d+/.test(await page.locator(".holding").first().innerText()), "assertions with their place");
  if ((await page.locator(".request").count()) > 0) {
    await page.locator(".request summary").first().click();
    check((await page.locator(".request pre").first().innerText()).length > 20, "the request");
  }
  await page.getByRole("link", { name: "Compare two columns" }).click();
  await page.waitForSelector(".sides");
  equal(await hash(page), `${id}&compare=0:1`, "the comparison has a link");
  const gone = (await page.locator(".sides del").allInnerTexts()).join("|");
  const come = (await page.locator(".sides ins").allInnerTexts()).join("|");
  check(gone.includes("items") && come.includes("positions") && !gone.includes("supplier"), "words that differ between two columns, and only they", gone, come);
  const before = await page.locator(".side").count();
  await page.locator(".folded").first().click();
  check((await page.locator(".side").count()) > before, "what is the same unfolds");
  await page.getByLabel("Second column").selectOption("0");
  await page.waitForSelector(".equal");
  await page.goBack();
  await page.waitForSelector(".sides");
  await closed(one, "case");
  const linked = await opened("review", `${id}&compare=1:0`);
  equal(await linked.page.locator(".side-name").allInnerTexts(), ["− claude-sonnet-4-6", "+ claude-haiku-4-5"], "the link of a comparison works by itself");
  await closed(linked, "comparison");
  const failing = await opened("review", "#case=release-summary::calendar-view-en");
  check((await failing.page.locator(".reason.fail").first().innerText()).includes("expected"), "what was expected and what came");
  check(/suites\/release-summary\.yaml:\d+/.test(await failing.page.locator(".reason.fail").first().innerText()), "and where that is written");
  await closed(failing, "failing case");
  const none = await opened("review", "#case=gone::gone");
  equal(await text(none.page, ".case h1"), "No such case", "a link to what is not there says so");
  await closed(none, "no case");
  step("a case with outputs, assertions, usage and comparison");
}
