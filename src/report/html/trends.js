// How did the suites go, run after run, and which cells are flaky? What the history knows; nothing where there is none.

const flakyCells = new Map((run.remembered?.flaky ?? []).map((cell) => [addressKey(cell), cell]));

function addressKey({ suite, case: id, prompt, version, model }) {
  return JSON.stringify([suite, id, prompt, version, model]);
}

function flakyBadge(cell) {
  const known = flakyCells.get(addressKey(cell.address));
  return known && element('span', { class: 'badge warned flaky' }, `flaky: passed ${count(known.passed)} and failed ${count(known.failed)} of ${count(known.passed + known.failed)} different answers, unchanged`);
}

function trends() {
  const known = run.remembered?.trends ?? [];
  if (!known.length) return undefined;
  const longest = Math.max(...known.map(({ points }) => points.length));
  const rowOf = ({ suite, model, points }) => {
    const rates = points.map(({ passed, failed }) => (passed + failed > 0 ? (100 * passed) / (passed + failed) : undefined));
    const costs = points.map(({ cost_usd: cost }) => (cost === null || cost === undefined ? undefined : Number(money(cost))));
    const latencies = points.map(({ latency_p50_ms: latency }) => latency ?? undefined);
    const rate = (value) => `${(Math.floor(value * 10) / 10).toFixed(1)} %`;
    const cost = (value) => dollars(BigInt(value));
    const name = `${line(suite, 60)}, ${line(model, 60)}`;
    // Ten points of pass rate at least, so that one cell of many is no cliff; costs and latencies from 0.
    const lowest = Math.min(90, ...rates.filter(known_));
    return element('tr', null,
      element('th', { scope: 'row' }, line(model, 80), element('span', { class: 'where muted' }, line(suite, 80))),
      trend(`${name}: pass rate`, rates, lowest, 100, rate), trend(`${name}: cost`, costs, 0, Math.max(1, ...costs.filter(known_)), cost), trend(`${name}: median latency`, latencies, 0, Math.max(1, ...latencies.filter(known_)), duration));
  };
  const simulated = run.run.simulated ? '; simulated, nobody paid' : '';
  return element('section', { class: 'panel' }, element('header', null, element('h2', null, 'Trends'), element('p', { class: 'muted' }, `The last ${longest} whole runs of the same kind, this one last${simulated}`)),
    element('div', { class: 'scrolling', tabindex: '0', role: 'group', 'aria-label': 'Trends' }, element('table', { class: 'totals trends' },
      element('thead', null, element('tr', null, element('th', { scope: 'col' }, element('span', { class: 'visually-hidden' }, 'Model')), ['Pass rate', 'Cost', 'Median latency'].map((head) => element('th', { scope: 'col' }, head)))),
      element('tbody', null, known.map(rowOf)))));
}

function known_(value) {
  return value !== undefined;
}

// A line through the runs, the last one marked. A run without a value is a gap.
function trend(what, values, low, high, said) {
  const given = values.filter(known_);
  if (!given.length) return element('td', { class: 'muted' }, '–');
  const last = values[values.length - 1];
  const x = (index) => percent(values.length > 1 ? 2 + (96 * index) / (values.length - 1) : 50);
  const y = (value) => (25 - (22 * (value - low)) / (high - low || 1)).toFixed(1);
  const lines = values.slice(1).map((value, index) => value !== undefined && values[index] !== undefined && drawing('line', { class: 'course', x1: x(index), y1: y(values[index]), x2: x(index + 1), y2: y(value) }));
  const marks = values.map((value, index) => value !== undefined && (index === values.length - 1 || (values[index - 1] === undefined && values[index + 1] === undefined)) && drawing('circle', { class: 'fill cost', cx: x(index), cy: y(value), r: 3 }));
  const range = [Math.min(...given), Math.max(...given)].map(said);
  const told = range[0] === range[1] ? `always ${range[0]}` : `${range[0]} to ${range[1]}`;
  return element('td', null, element('span', { class: 'trend' },
    drawing('svg', { role: 'img', 'aria-label': `${what} of ${values.length} runs, ${told}, now ${last === undefined ? 'none' : said(last)}`, width: '100%', height: '28' }, drawing('line', { class: 'grid', x1: 0, x2: '100%', y1: 27.5, y2: 27.5 }), lines, marks),
    element('strong', null, last === undefined ? '–' : said(last)), element('span', { class: 'muted' }, told)));
}
