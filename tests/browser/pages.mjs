// Runs every check of the pages; one line each, the first that does not hold ends it.
import { browser } from "./browser.mjs";
import { compared, panel } from "./compared.mjs";
import { differences } from "./differences.mjs";
import { samples, sevenOfForty } from "./forty.mjs";
import { everyView, muchOfEverything, paper } from "./looks.mjs";
import { deciding, filtering, keys, oneCase, overview } from "./reviewing.mjs";
import { hostile, large, long, policy } from "./safe.mjs";

try {
  const only = process.env.ONLY?.split(",");
  for (const checked of [differences, overview, filtering, keys, oneCase, deciding, sevenOfForty, samples, hostile, policy, long, large, everyView, muchOfEverything, paper, compared, panel]) if (!only || only.includes(checked.name)) await checked();
} catch (error) {
  console.error(`FAILED: ${error.message}\n${error.stack.split("\n").filter((line) => line.includes(".mjs:")).slice(0, 4).join("\n")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
