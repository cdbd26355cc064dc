// What do all checks of a page need? A page that tells everything that went wrong in it, checks that say what they saw, a clock.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

export const [chromium, modules, folder, pictures] = process.argv.slice(2);
const require = createRequire(path.join(modules, "_"));
const { chromium: driver } = require("playwright-core");
export const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const begun = performance.now();

export function check(holds, what, ...facts) {
  if (!holds) throw new Error([what, ...facts.map((fact) => `    ${typeof fact === "string" ? fact : JSON.stringify(fact)}`)].join("\n"));
}

export function equal(got, wanted, what) {
  check(JSON.stringify(got) === JSON.stringify(wanted), what, `wanted ${JSON.stringify(wanted)}`, `got    ${JSON.stringify(got)}`);
}

export function step(what) {
  console.log(`  ${((performance.now() - begun) / 1000).toFixed(1).padStart(5)}s  ${what}`);
}

// Playwright makes a profile of its own for every start, and removes it.
export const browser = await driver.launch({ executablePath: chromium, args: FLAGS });

export function address(name, hash = "") {
  return pathToFileURL(path.join(folder, `${name}.html`)).href + hash;
}

// Opens a page; what it must not do is collected in `wrong`.
export async function opened(name, hash = "", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const wrong = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => { wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("popup", (popup) => wrong.push(`popup: ${popup.url()}`));
  page.on("request", (request) => request.url().split("#")[0] !== address(name) && !request.url().startsWith("data:") && wrong.push(`request: ${request.url()}`));
  await page.addInitScript(() => {
    globalThis.violations = [];
    // The address changes before the page hears of it: what the page has heard of, it has drawn.
    globalThis.arrived = location.hash;
    addEventListener("hashchange", () => { globalThis.arrived = location.hash; });
    addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
    const ready = () => (document.querySelector("main h1, #matrix .case-row") ? requestAnimationFrame(() => setTimeout(() => { globalThis.drawnAt = performance.now(); })) : setTimeout(ready, 1));
    ready();
  });
  await page.goto(address(name, hash));
  await page.waitForFunction(() => globalThis.drawnAt);
  return { page, context, wrong };
}

// Nothing went wrong: no error, no request, no violation of the policy, and nothing that a model wrote has run.
export async function closed({ page, context, wrong }, what) {
  const violations = await page.evaluate(() => globalThis.violations);
  const pwned = await page.evaluate(() => globalThis.pwned ?? null);
  equal([wrong, violations, pwned], [[], [], null], `${what}: errors, violations, what ran`);
  await context.close();
}

export const text = (page, selector) => page.locator(selector).first().innerText();
// Waits until the page shows what its address says, which holds `part`.
export const settled = (page, part = "") => page.waitForFunction((held) => globalThis.arrived === location.hash && location.hash.includes(held), part);
export async function hash(page) {
  await settled(page);
  return page.evaluate(() => location.hash);
}
