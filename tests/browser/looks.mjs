// Can everyone use it: contrast, names and roles, 400 pixels, paper? And what does it look like?
import path from "node:path";
import { axe, check, closed, equal, opened, pictures, step } from "./browser.mjs";

const CASE = "#case=release-summary::calendar-view-en";
const CHANGED = "#case=invoice-extraction::discount-and-shipping&filter=changed";
const FORTY = { forty: "#", "forty-matrix": "#cells&filter=changed", "forty-text": "#case=answers::login", "forty-json": "#case=orders::export", "forty-refusal": "#case=answers::badge", "forty-error": "#case=answers::trial", "forty-samples": "#case=answers::login&compare=1.0:1.1", "forty-keys": "#case=orders::board&compare=2:3" };
const VIEWS = { overview: "#", matrix: "#cells", filtered: "#cells&filter=changed,new", case: CASE, changed: CHANGED, compare: `${CHANGED}&compare=0:1` };

async function shownAt(page, hash) {
  await page.evaluate((target) => { location.hash = target; }, hash);
  await page.evaluate(() => new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done)))));
}

export async function everyView() {
  for (const [file, views] of [["review", VIEWS], ["forty", FORTY]]) await everyViewOf(file, views);
  step(`every view is accessible in light and dark, at 1280 and 400 pixels; screenshots in ${pictures}`);
}

async function everyViewOf(file, views) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 400]) {
      const one = await opened(file, "", { colorScheme, viewport: { width, height: 860 } });
      const { page } = one;
      await page.evaluate(axe);
      for (const [name, hash] of Object.entries(views)) {
        await shownAt(page, hash);
        const where = `${name}, ${colorScheme}, ${width} pixels`;
        const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
        equal(violations.flatMap((one) => one.nodes.slice(0, 3).map((node) => `${one.id}: ${node.target.join(" ")}: ${node.failureSummary.split("\n")[1]}`)), [], `${where}: accessible`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        check(wide <= 0, `${where}: the page itself does not scroll sideways`, wide);
        await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}-${width}.png`), fullPage: !hash.startsWith("#cells") });
      }
      await closed(one, `${colorScheme}, ${width}`);
    }
  }
}

// Twenty columns and names without an end.
export async function muchOfEverything() {
  for (const width of [1280, 400]) {
    const one = await opened("wide", "", { viewport: { width, height: 860 } });
    const { page } = one;
    for (const [name, hash] of Object.entries({ overview: "#", matrix: "#cells" })) {
      await shownAt(page, hash);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${name} of twenty models at ${width} pixels does not scroll sideways`, wide);
      await page.screenshot({ path: path.join(pictures, `wide-${name}-${width}.png`), fullPage: name === "overview" });
    }
    const cut = await page.evaluate(() => [...document.querySelectorAll(".case-row .case-name a")].filter((name) => name.scrollWidth > name.clientWidth && getComputedStyle(name).textOverflow !== "ellipsis").length);
    equal(cut, 0, "a name that is cut says so");
    const marks = await page.evaluate(() => [...document.querySelectorAll(".case-row .cell .mark")].filter((mark) => mark.getBoundingClientRect().right > mark.closest(".cell").getBoundingClientRect().right + 0.5).length);
    equal(marks, 0, `no mark is cut at ${width} pixels`);
    await closed(one, `wide, ${width}`);
  }
  step("twenty models and long names keep to their places");
}

export async function paper() {
  const one = await opened("review", "#cells");
  const { page } = one;
  await page.emulateMedia({ media: "print" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  equal(await page.locator(".case-row").count(), 74, "every case stands on paper");
  check(!(await page.locator("nav[aria-label=Views]").isVisible()), "what can only be clicked does not");
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  await shownAt(page, CASE);
  const pdf = await page.pdf({ path: path.join(pictures, "case.pdf"), format: "A4" });
  check(pdf.length > 10_000, "a case is printed");
  await closed(one, "paper");
  const still = await opened("review", "", { reducedMotion: "reduce" });
  equal(await still.page.evaluate(() => [...new Set([...document.querySelectorAll("button, a")].map((node) => getComputedStyle(node).transitionDuration))]), ["0s"], "nothing moves where that is asked for");
  await closed(still, "reduced motion");
  step("paper, and no motion where none is wanted");
}
