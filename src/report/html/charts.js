// How are shares, costs and latencies drawn? As SVG in shares of the width, so that no text is ever scaled.

function percent(value) {
  return `${Math.max(0, Math.min(100, value)).toFixed(3)}%`;
}

// One bar of parts.
function stacked(parts, label) {
  const whole = parts.reduce((sum, part) => sum + part.value, 0) || 1;
  let from = 0;
  return drawing('svg', { class: 'stacked', role: 'img', 'aria-label': label, width: '100%', height: '8' }, parts.filter((part) => part.value > 0).map((part) => {
    const bar = drawing('rect', { class: `fill ${part.kind}`, x: percent((from / whole) * 100), y: 0, width: percent((part.value / whole) * 100), height: 8 });
    from += part.value;
    return bar;
  }));
}

// The scale below the bars: [where in percent, words], with a line through every bar.
function axis(ticks) {
  return element('div', { class: 'bar axis', 'aria-hidden': 'true' }, element('div'), drawing('svg', { width: '100%', height: '16' }, legible(ticks).map(([at, words]) => drawing('text', { x: percent(at), y: 12, 'text-anchor': at < 8 ? 'start' : at > 92 ? 'end' : 'middle' }, words))), element('div'));
}

// As many as stand beside each other where a chart is narrow.
function legible(ticks) {
  let last = -Infinity;
  return ticks.filter(([at]) => at - last >= 24 && ((last = at), true));
}

function gridLines(ticks) {
  return ticks.map(([at]) => drawing('line', { class: 'grid', x1: percent(at), x2: percent(at), y1: 0, y2: 14 }));
}

// At most four steps from 0 to `most`, in ones, twos or fives.
function costTicks(most) {
  let step = 1n;
  for (let index = 0; most / step >= 4n; index += 1) step = 10n ** BigInt(Math.floor(index / 3)) * [1n, 2n, 5n][index % 3];
  const ticks = [];
  for (let amount = 0n; amount <= most; amount += step) ticks.push([Number((amount * 100_000n) / most) / 1000, amount === 0n ? '$0' : dollars(amount).replace(/(\.\d\d\d*?)0+$/, '$1')]);
  return ticks;
}

// Milliseconds between two powers of ten: ones, twos and fives, fewer where there are many.
function latencyTicks(from, to) {
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = 0; power < 9; power += 1) for (const step of steps) if (Math.log10(step) + power >= from && Math.log10(step) + power <= to) ticks.push(step * 10 ** power);
    if (ticks.length < 6 || steps.length === 1) return ticks.length > 5 ? ticks.filter((_, index) => index % 2 === 0) : ticks;
  }
}

function ranked(sorted, share) {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

function charts() {
  const models = answersByModel();
  if (!models.length) return undefined;
  return element('div', { class: 'two charts' }, costChart(models), latencyChart(models));
}

function chart(title, note, bars) {
  return element('figure', { class: 'panel chart' }, element('figcaption', null, element('h2', null, title), element('p', { class: 'muted' }, note)), element('div', { class: 'bars' }, bars));
}

function bar(name, picture, value) {
  return element('div', { class: 'bar' }, element('div', { class: 'bar-name', title: line(name) }, line(name, 60)), picture, element('div', { class: 'bar-value' }, value));
}

// What the answers are worth, whenever they were paid.
function costChart(models) {
  const most = models.reduce((highest, model) => (model.real + model.simulated > highest ? model.real + model.simulated : highest), 1n);
  const size = (amount) => Number((amount * 100_000n) / most) / 1000;
  // Said once where it holds for all, so that the bars keep their room.
  const all = models.every((model) => model.simulatedAnswers === model.answers);
  const ticks = costTicks(most);
  return chart('Cost', `What all answers of a model are worth${all ? ' at list prices; simulated, nobody paid' : ', whenever they were paid'}`, models.map((model) => {
    const value = [model.real > 0n || model.simulated === 0n ? (model.unpriced && model.real === 0n ? 'unpriced' : dollars(model.real)) : '', model.simulated > 0n ? `${dollars(model.simulated)}${all ? '' : ' simulated'}` : ''].filter(Boolean).join(', ');
    const each = model.answers - model.unpriced;
    const mean = each > 0 ? `${dollars((model.real + model.simulated) / BigInt(each))} an answer` : '';
    return bar(model.name, drawing('svg', { role: 'img', 'aria-label': `${line(model.name)}: ${value}`, width: '100%', height: '14' },
      drawing('rect', { class: 'track', x: 0, y: 0, width: '100%', height: 14 }),
      gridLines(ticks),
      drawing('rect', { class: 'fill cost', x: 0, y: 0, width: percent(size(model.real)), height: 14 }),
      drawing('rect', { class: 'fill simulated', x: percent(size(model.real)), y: 0, width: percent(size(model.simulated)), height: 14 })),
    [value, model.unpriced > 0 && model.real + model.simulated > 0n ? '+' : '', element('span', { class: 'muted' }, mean && ` · ${mean}`)]);
  }).concat(axis(ticks)));
}

// From the 5th to the 95th percentile, the middle half thick, the median marked; on a logarithmic scale, because one slow answer must not flatten the rest.
function latencyChart(all) {
  const models = all.filter((model) => model.latencies.length);
  if (!models.length) return undefined;
  const scale = (milliseconds) => Math.log10(Math.max(1, milliseconds));
  const [low, high] = [Math.min(...models.map((model) => scale(ranked(model.latencies, 0.05)))), Math.max(...models.map((model) => scale(ranked(model.latencies, 0.95))))];
  const [from, to] = high - low < 0.3 ? [Math.max(0, (low + high) / 2 - 0.3), (low + high) / 2 + 0.3] : [low, high];
  const at = (milliseconds) => 2 + ((scale(milliseconds) - from) / (to - from)) * 96;
  const ticks = latencyTicks(from, to).map((milliseconds) => [at(milliseconds), duration(milliseconds).replace('.0', '')]);
  const bars = models.map((model) => {
    const [p5, p25, p50, p75, p95] = [0.05, 0.25, 0.5, 0.75, 0.95].map((share) => ranked(model.latencies, share));
    return bar(model.name, drawing('svg', { role: 'img', 'aria-label': `${line(model.name)}: median ${duration(p50)}, 95 % within ${duration(p95)}`, width: '100%', height: '14' },
      drawing('rect', { class: 'track', x: 0, y: 0, width: '100%', height: 14 }),
      gridLines(ticks),
      drawing('rect', { class: 'fill range', x: percent(at(p5)), y: 6, width: percent(at(p95) - at(p5)), height: 2 }),
      drawing('rect', { class: 'fill latency', x: percent(at(p25)), y: 3, width: percent(Math.max(0.5, at(p75) - at(p25))), height: 8 }),
      drawing('line', { class: 'median', x1: percent(at(p50)), x2: percent(at(p50)), y1: 0, y2: 14 })),
    [`${duration(p50)}`, element('span', { class: 'muted' }, ` · 95 % within ${duration(p95)}`)]);
  });
  return chart('Latency', `Median (line), middle half (bar), 5 % to 95 % of all answers (thin), on a logarithmic scale${models.every((model) => model.simulatedAnswers === model.answers) ? '; simulated' : ''}`, [...bars, axis(ticks)]);
}
