// Can anything that a model or a report file says run, load, or hide?
import { check, closed, equal, opened, settled, step, text } from "./browser.mjs";

// What stands in the page beside texts: nothing that loads or runs, no link that leaves.
async function isHarmless(page, where) {
  const found = await page.evaluate(() => {
    const listeners = (node) => [...node.attributes].filter((attribute) => attribute.name.startsWith("on")).map((attribute) => attribute.name);
    return {
      elements: [...document.querySelectorAll("img, iframe, object, embed, form, base, link, video, audio, foreignObject, style ~ style")].map((node) => node.tagName),
      scripts: document.scripts.length,
      listeners: [...document.querySelectorAll("*")].flatMap(listeners),
      links: [...document.querySelectorAll("[href], [src], [action]")].map((node) => node.getAttribute("href") ?? node.getAttribute("src") ?? "").filter((target) => !target.startsWith("#")),
      hidden: /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\u034f\u{e0000}-\u{e0fff}]/u.exec(document.body.innerText)?.[0].codePointAt(0).toString(16) ?? null,
    };
  });
  equal(found, { elements: [], scripts: 1, listeners: [], links: [], hidden: null }, `${where}: only texts`);
}

// Nothing of what is hostile is hidden.
function seen(whole, where) {
  for (const words of ["</script><script>window.pwned = 1</script>", "<img src=x onerror=", "\\u{202e}evil\\u{202c}", "\\u{1b}[31mred"]) check(whole.includes(words), `${where} shows ${words}`, whole.slice(0, 2000));
}

export async function hostile() {
  const one = await opened("hostile");
  const { page } = one;
  await isHarmless(page, "overview");
  check((await text(page, "main")).includes("</script><script>window.pwned = 1</script>"), "it is shown as it was written");
  // Everything of it is there to be seen: what would run, what would turn the direction, what a terminal would obey.
  for (const title of ["What changed in the prompts", "Passes now, failed before", "Noticed"]) {
    const panel = page.locator(".panel", { hasText: title }).last();
    for (const summary of await panel.locator("summary").all()) if (!(await summary.evaluate((node) => node.parentNode.open))) await summary.click();
    seen(await panel.innerText(), title);
    // Where nothing is cut: also what stands in selectors behind letters.
    if (title === "What changed in the prompts") check((await panel.innerText()).includes("a\\u{e0141}\\u{fe01}\\u{34f}b\\u{fe0f}"), "what is hidden in selectors is shown");
  }
  for (const name of ["Suites", "Prompt versions", "Tags"]) await page.getByRole("button", { name, exact: true }).click();
  await page.keyboard.press("m");
  await page.waitForSelector(".case-row");
  await isHarmless(page, "matrix");
  await page.getByLabel("Tag").selectOption({ index: 1 });
  await settled(page, "tag=");
  await page.locator(".case-row .case-name a").first().click();
  const kinds = new Set();
  for (let index = 0; index < 40; index += 1) {
    await page.waitForSelector(".case h1");
    for (const summary of await page.locator("summary").all()) await summary.click();
    await isHarmless(page, `case ${index}`);
    const variants = page.locator(".column", { hasText: "none of the 2 accepted variants" });
    if ((await variants.count()) > 0) {
      const whole = await variants.innerText();
      for (const words of ["2 of 3 samples match none of the 2 accepted variants", "no sample matches variant 2", "sample 2 of 3 against variant 2 of 2", "2 further kinds of samples", "moved", "The prompt:"]) check(whole.includes(words), `variants say: ${words}`, whole.slice(0, 2000));
      seen(whole, "variants");
      kinds.add("variants");
    }
    for (const kind of await page.locator(".reason").evaluateAll((nodes) => nodes.map((node) => node.className))) kinds.add(kind);
    const compare = page.getByRole("link", { name: "Compare two columns" });
    if ((await compare.count()) > 0) {
      await compare.click();
      await page.waitForSelector(".comparison");
      await isHarmless(page, `comparison ${index}`);
    }
    const next = page.locator("a.button[rel=next][href]");
    if ((await next.count()) === 0) break;
    await next.click();
    await settled(page);
  }
  equal([...kinds].sort(), ["reason error", "reason fail", "reason skipped", "variants"], "failures, errors, skips and variants are among them");
  check((await page.locator(".hidden-character").count()) > 0, "what would be hidden is marked");
  await closed(one, "hostile page");
  step("what is hostile is text everywhere, and nothing of it ran");
}

// The policy stops what the page's own code would let through.
export async function policy() {
  const { page, context } = await opened("review");
  const stopped = await page.evaluate(async () => {
    const tried = {};
    const attempt = (name, action) => { try { action(); tried[name] = "went through"; } catch (error) { tried[name] = error.name; } };
    attempt("html", () => { document.createElement("div").innerHTML = "<b>x</b>"; });
    attempt("script", () => { const script = document.createElement("script"); script.textContent = "globalThis.pwned = 1"; document.body.append(script); });
    const image = document.createElement("img");
    image.src = "http://127.0.0.1:9/x.png";
    document.body.append(image);
    tried.request = await fetch("http://127.0.0.1:9/x").then(() => "went through", (error) => error.name);
    const style = document.createElement("style");
    style.textContent = "body { display: none }";
    document.body.append(style);
    await new Promise((done) => setTimeout(done, 200));
    return { ...tried, ran: globalThis.pwned ?? null, display: getComputedStyle(document.body).display, violated: [...new Set(globalThis.violations.map((one) => one.split(":")[0]))].sort() };
  });
  equal([stopped.html, stopped.script, stopped.request, stopped.ran, stopped.display], ["TypeError", "TypeError", "TypeError", null, "block"], "the policy stops HTML, scripts, requests and styles");
  for (const directive of ["connect-src", "img-src", "require-trusted-types-for", "style-src-elem"]) check(stopped.violated.includes(directive), `${directive} was violated and told`, stopped.violated);
  await context.close();
  step("the policy stops what is not the page's own");
}

// Ten million characters a side, compared in bounded time.
export async function long() {
  const one = await opened("hostile", "#case=long::long");
  const { page } = one;
  const facts = [];
  for (const [pair, what] of [["0:1", "one word"], ["0:2", "every line"]]) {
    const began = performance.now();
    await page.evaluate((columns) => { location.hash = `#case=long::long&compare=${columns}`; }, pair);
    await settled(page, `compare=${pair}`);
    await page.waitForFunction(() => document.querySelector(".sides"));
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
    const took = performance.now() - began;
    check(took < 15_000, `ten million characters that differ in ${what} take long`, took);
    facts.push(`${what} ${Math.round(took)} ms`);
    if (pair === "0:1") equal(await page.locator(".sides del").allInnerTexts(), ["2500"], "one word of ten million characters");
  }
  await closed(one, "long outputs");
  step(`outputs of ten million characters are compared: ${facts.join(", ")}`);
}

export async function large() {
  const one = await opened("large");
  const { page } = one;
  const opening = await page.evaluate(() => globalThis.drawnAt);
  check(opening < 20_000, "ten thousand cells open in time", opening);
  const matrix = await timed(page, () => { location.hash = "#cells"; }, "#matrix .case-row");
  equal(await text(page, ".result"), "2,500 cases, 10,000 cells", "all of them are there");
  const scrolling = await page.evaluate(async () => {
    const grid = document.getElementById("matrix");
    const frames = [];
    let last = performance.now();
    for (let index = 0; index < 120; index += 1) {
      grid.scrollTop += 400;
      await new Promise(requestAnimationFrame);
      frames.push(performance.now() - last);
      last = performance.now();
    }
    grid.scrollTop = grid.scrollHeight;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    frames.sort((a, b) => a - b);
    return { median: frames[60], worst: frames[119], nodes: document.querySelectorAll("#matrix *").length, last: [...document.querySelectorAll(".case-row .case-name")].some((node) => node.textContent === "case-2499") };
  });
  check(scrolling.nodes < 3_000, "only rows in view are made", scrolling.nodes);
  check(scrolling.last, "the last row is reached");
  await page.keyboard.press("/");
  const began = performance.now();
  await page.locator("#search").fill("hafner");
  await page.waitForFunction(() => /^\d+ of/.test(document.querySelector(".result").textContent));
  const searching = performance.now() - began;
  const filtering = await timed(page, () => { location.hash = "#cells&filter=outputs"; }, "#matrix .case-row");
  await closed(one, "ten thousand cells");
  const round = (value) => Math.round(value);
  step(`ten thousand cells: opened in ${round(opening)} ms, matrix in ${round(matrix)} ms, a frame of scrolling ${round(scrolling.median)} ms (worst ${round(scrolling.worst)} ms), first search ${round(searching)} ms, filter ${round(filtering)} ms`);
}

async function timed(page, action, selector) {
  const began = performance.now();
  await page.evaluate(action);
  await page.waitForSelector(selector);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
  return performance.now() - began;
}
