// Does the page of a comparison do what it promises: readable and accessible everywhere, by key alone, without scripts, and deaf to what a model wrote?
import path from "node:path";
import { address, axe, browser, check, closed, equal, opened, pictures, step } from "./browser.mjs";

export async function compared() {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 400]) {
      for (const name of ["against", "pair"]) {
        const one = await opened(name, "", { colorScheme, viewport: { width, height: 860 } });
        const { page } = one;
        const where = `${name}, ${colorScheme}, ${width} pixels`;
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
        equal(violations.flatMap((one) => one.nodes.slice(0, 3).map((node) => `${one.id}: ${node.target.join(" ")}: ${node.failureSummary.split("\n")[1]}`)), [], `${where}: accessible`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        check(wide <= 0, `${where}: the page itself does not scroll sideways`, wide);
        const outside = await page.evaluate(() => {
          const frame = document.querySelector(".plot").closest(".panel").getBoundingClientRect();
          return [...document.querySelectorAll(".plot text, .plot circle, .plot line")].filter((node) => { const box = node.getBoundingClientRect(); return box.left < frame.left || box.right > frame.right; }).map((node) => node.textContent || node.tagName);
        });
        equal(outside, [], `${where}: what is drawn stays within its frame`);
        await page.screenshot({ path: path.join(pictures, `compared-${name}-${colorScheme}-${width}.png`), fullPage: true });
        await closed(one, where);
      }
    }
  }
  await byKey();
  await withoutScripts();
  step("a comparison is one quiet page: accessible in light and dark, at 1280 and 400 pixels, by key, and without scripts");
}

async function byKey() {
  const one = await opened("against");
  const { page } = one;
  await page.keyboard.press("Tab");
  equal(await page.evaluate(() => document.activeElement.textContent), "To the comparison", "the first stop");
  await page.keyboard.press("Enter");
  const folded = page.locator("details:not([open])").first();
  check((await folded.count()) === 1, "with several candidates every case is folded");
  for (let stop = 0; stop < 20; stop += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.tagName === "SUMMARY")) break;
  }
  await page.keyboard.press("Enter");
  check(await page.locator("details[open] del").first().isVisible(), "a key unfolds what changed");
  await closed(one, "by key");
}

async function withoutScripts() {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(address("pair"));
  check((await page.locator("h1").innerText()).includes("claude-opus-4-8"), "the verdict stands without scripts");
  check(await page.locator("ins").first().isVisible(), "so do the words that changed");
  equal(await page.locator("circle").count(), 2, "and the drawing");
  await context.close();
}

// The comparisons in the page of a run: what they came to stands above what needs a look, and does not push it away.
export async function panel() {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 400]) {
      const one = await opened("held", "", { colorScheme, viewport: { width, height: 860 } });
      const { page } = one;
      const where = `the comparisons of a run, ${colorScheme}, ${width} pixels`;
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document.getElementById("compared"), { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }));
      equal(violations.flatMap((one) => one.nodes.slice(0, 3).map((node) => `${one.id}: ${node.target.join(" ")}: ${node.failureSummary.split("\n")[1]}`)), [], `${where}: accessible`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${where}: the page itself does not scroll sideways`, wide);
      await page.screenshot({ path: path.join(pictures, `held-${colorScheme}-${width}.png`), fullPage: true });
      await closed(one, where);
    }
  }
  const one = await opened("held");
  const { page } = one;
  const panel = page.locator("#compared");
  equal(await panel.locator(".said h2").count(), 2, "two models are held against the third");
  const said = await panel.innerText();
  for (const told of ["compared with", "pass rate", "difference in points", "cost per 1,000 calls", "refusals", "no verdict"]) check(said.toLowerCase().includes(told), `the panel says: ${told}`, said);
  const order = await page.evaluate(() => { const [own, look] = [document.getElementById("compared"), [...document.querySelectorAll("h2")].find((title) => title.innerText.startsWith("To look at"))]; return Boolean(look && own.compareDocumentPosition(look) & Node.DOCUMENT_POSITION_FOLLOWING); });
  check(order, "what needs a look comes below");
  const folded = panel.locator(".differences > details");
  equal([await folded.count(), await panel.locator(".differences > details[open]").count()], [1, 0], "the cases that differ are folded");
  check(!(await folded.locator("details summary").first().isVisible()), "none of them takes a line before it is asked for");
  await folded.locator("> summary").focus();
  await page.keyboard.press("Enter");
  equal(await folded.locator("details summary").evaluateAll((all) => all.filter((node) => node.checkVisibility()).length), 4, "a key unfolds the four that got worse");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  check(await folded.locator("details[open] del").first().isVisible(), "and the words that changed");
  await page.locator("header.summary a").first().click();
  await page.waitForFunction(() => !document.querySelector("#compared")?.checkVisibility());
  await page.goBack();
  await page.waitForFunction(() => document.querySelector("#compared")?.checkVisibility());
  equal(await panel.count(), 1, "it is there again, once, after another view");
  await closed(one, "the comparisons of a run");
  step("the comparisons in the page of a run are accessible, stand above what needs a look, and unfold by key");
}
