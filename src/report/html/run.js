// What is in the report, arranged as it is looked at: suites, their columns, a row for each case?

const run = (() => {
  const island = document.getElementById('report');
  const report = JSON.parse(island.textContent);
  // The parsed report is enough.
  island.remove();
  return report;
})();

// A suite: { name, columns, rows }. A row: { suite, id, key, cells, index }, its cells in the suite's columns. A column: { model, prompt, label }.
const { suites, rows } = arranged(run.cells);

function arranged(cells) {
  const bySuite = new Map();
  for (const cell of cells) {
    const { suite: name, case: id } = cell.address;
    if (!bySuite.has(name)) bySuite.set(name, { name, columns: new Map(), rows: new Map() });
    const suite = bySuite.get(name);
    const prompt = `${cell.address.prompt}@${cell.address.version}`;
    const key = `${prompt}\n${cell.address.model}`;
    if (!suite.columns.has(key)) suite.columns.set(key, { key, model: cell.address.model, prompt, name: cell.address.prompt, version: cell.address.version, gated: cell.gated });
    if (!suite.rows.has(id)) suite.rows.set(id, { id, key: `${name}::${id}`, found: new Map(), site: cell.site, tags: cell.tags });
    suite.rows.get(id).found.set(key, cell);
  }
  const all = [];
  const list = [...bySuite.values()].map(({ name, columns: found, rows: cases }) => {
    const columns = ordered([...found.values()]);
    const several = new Set(columns.map((column) => column.prompt)).size > 1;
    for (const column of columns) column.label = several ? `${column.prompt} · ${column.model}` : column.model;
    const suite = { name, columns, several, prompts: new Set(columns.map((column) => column.name)).size, rows: [] };
    for (const row of cases.values()) {
      const cellsOfRow = columns.map((column) => row.found.get(column.key));
      const made = { suite, id: row.id, key: row.key, site: row.site, tags: row.tags, cells: cellsOfRow, index: all.length };
      suite.rows.push(made);
      all.push(made);
    }
    return suite;
  });
  return { suites: list, rows: all };
}

// Models as they are planned, the versions of a prompt side by side.
function ordered(columns) {
  const models = [...new Set(columns.map((column) => column.model))];
  const names = [...new Set(columns.map((column) => column.name))];
  return columns.sort((a, b) => models.indexOf(a.model) - models.indexOf(b.model) || names.indexOf(a.name) - names.indexOf(b.name) || a.version - b.version);
}

const rowsByKey = new Map(rows.map((row) => [row.key, row]));

// The sample that stands for the cell: the first with the cell's verdict, else the first that did not pass.
function leading(cell) {
  return cell.samples.find((sample) => sample.verdict === cell.verdict) ?? cell.samples.find((sample) => sample.verdict !== 'pass') ?? cell.samples[0];
}

function output(cell) {
  return leading(cell)?.reply?.text;
}

function outcomeOf(assertion) {
  return typeof assertion.outcome === 'string' ? assertion.outcome : Object.keys(assertion.outcome)[0];
}

// What did not hold, warnings last.
function findings(sample) {
  const news = sample.assertions.filter((assertion) => outcomeOf(assertion) !== 'pass');
  return [...news.filter((assertion) => assertion.severity !== 'warn'), ...news.filter((assertion) => assertion.severity === 'warn')];
}

function isWarned(cell) {
  return cell.verdict === 'pass' && cell.samples.some((sample) => findings(sample).some((assertion) => assertion.severity === 'warn'));
}

// One line that says what is to be seen in a cell: what is wrong, else what was answered.
function headline(cell) {
  const sample = leading(cell);
  if (!sample) return '';
  if (sample.error) return `${plain(sample.error.kind)}: ${sample.error.message}`;
  if (sample.skipped) return skipWords(sample.skipped);
  const first = findings(sample)[0];
  if (first) {
    const { fail, error } = first.outcome;
    return fail ? `${first.name}: expected ${fail.expected}, got ${fail.got}` : `${first.name}: ${error}`;
  }
  return changeLine(cell.snapshot.diff) ?? sample.reply?.text.slice(0, 1000).replace(/^\s*```\w*\s*/, '').replace(/\s+/g, ' ') ?? '';
}

// The first thing that changed, in a line.
function changeLine(diff) {
  if (diff?.json?.length) {
    const moved = moves(diff.json);
    const told = diff.json.findIndex((_, index) => moved.get(index) !== null);
    const value = (what) => JSON.stringify(what).slice(0, 120);
    const first = diff.json[Math.max(0, told)];
    const other = moved.get(told);
    const [from, to] = first.old === undefined ? [other, first] : [first, other];
    const what = other ? `${from.path} → ${to.path}: moved` : first.old === undefined ? `${first.path}: added ${value(first.new)}` : first.new === undefined ? `${first.path}: removed ${value(first.old)}` : `${first.path}: ${value(first.old)} → ${value(first.new)}`;
    const more = diff.json.filter((_, index) => moved.get(index) !== null).length - 1 + (diff.json[diff.json.length - 1].left_out ?? 0);
    return `${what}${more > 0 ? ` (and ${count(more)} more)` : ''}`;
  }
  const lines = diff?.text?.hunks.flatMap((hunk) => hunk.lines) ?? [];
  // The words that changed, with what stands around them; both sides are to be seen.
  const told = (change, sign) => {
    const found = lines.find((one) => one.change === change);
    if (!found) return [];
    const { parts } = found;
    const text = parts.map((part) => part.text).join('');
    const length = (list) => list.reduce((sum, part) => sum + part.text.length, 0);
    const at = parts.findIndex((part) => part.emphasised);
    const from = at < 0 ? 0 : Math.max(0, length(parts.slice(0, at)) - 16);
    const to = Math.min(from + 60, at < 0 ? 60 : length(parts.slice(0, at + 1)) + 12);
    return [`${sign} ${from > 0 ? '…' : ''}${text.slice(from, to)}${to < text.length ? '…' : ''}`];
  };
  return lines.length ? [...told('removed', '−'), ...told('added', '+')].join('   ') : undefined;
}

// Passed and failed cells of a suite's model as the gate counts them: without older versions, unless nothing of it is gated.
const gatedRates = (() => {
  const rates = new Map();
  for (const { address: { suite, model }, gated, verdict } of run.cells) {
    if (!gated) continue;
    const key = `${suite}\n${model}`;
    if (!rates.has(key)) rates.set(key, { passed: 0, failed: 0 });
    if (verdict === 'pass') rates.get(key).passed += 1;
    if (verdict === 'fail') rates.get(key).failed += 1;
  }
  return rates;
})();

// Models answer differently where, under the same prompt, their outputs differ in more than blanks.
function differ(row, what) {
  const byPrompt = new Map();
  for (const cell of row.cells) {
    if (!cell) continue;
    const value = what(cell);
    if (value === undefined) continue;
    const prompt = `${cell.address.prompt}@${cell.address.version}`;
    if (!byPrompt.has(prompt)) byPrompt.set(prompt, value);
    else if (byPrompt.get(prompt) !== value) return true;
  }
  return false;
}

const nearby = new Map();

// Answers in the order of their latency, of every model of every suite: for the charts.
function answersByModel() {
  for (const cell of nearby.size ? [] : run.cells) {
    for (const { reply } of cell.samples) {
      if (!reply) continue;
      const name = cell.address.model;
      if (!nearby.has(name)) nearby.set(name, { name, latencies: [], answers: 0, real: 0n, simulated: 0n, unpriced: 0, simulatedAnswers: 0 });
      const model = nearby.get(name);
      model.answers += 1;
      // The hours of a batch say nothing about the model.
      if (reply.usage.service_tier !== 'batch') model.latencies.push(reply.latency_ms);
      if (reply.simulated) model.simulatedAnswers += 1;
      if (reply.cost_usd === null || reply.cost_usd === undefined) model.unpriced += 1;
      else if (reply.simulated) model.simulated += money(reply.cost_usd);
      else model.real += money(reply.cost_usd);
    }
  }
  const models = [...nearby.values()];
  for (const model of models) model.latencies.sort((a, b) => a - b);
  return models;
}
