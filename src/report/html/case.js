// One case: what did each model and version answer, what was asserted, what changed, and what did it take?

const caseView = (() => {
  const view = element('section', { class: 'case', 'aria-label': 'Case' });
  // Which sample of a cell is looked at.
  const chosen = new WeakMap();
  const narrow = matchMedia('(max-width: 46rem)');
  narrow.addEventListener('change', () => { if (view.isConnected) update(); });

  function update() {
    const { row } = state;
    if (!row) {
      replace(view, element('h1', { tabindex: '-1' }, 'No such case'), element('p', null, 'This report has no case ', element('code', null, line(state.case)), '. ', element('a', { href: '#cells' }, 'All cells')));
      return;
    }
    // One below the other, what a reviewer came for stands first.
    const shownFirst = ([cell]) => Number(narrow.matches && (cell.verdict === 'pass' || cell.verdict === 'skipped') && (cell.snapshot.state === 'same' || cell.snapshot.state === 'none'));
    const columns = row.cells.map((cell, index) => [cell, index]).filter(([cell]) => cell).sort((a, b) => shownFirst(a) - shownFirst(b));
    replace(view, head(row), comparison(row), element('div', { class: 'columns' }, columns.map(([cell, index]) => columnOf(row, cell, index))));
    view.querySelector('.columns').style.setProperty('--columns', String(row.cells.filter(Boolean).length));
  }

  function head(row) {
    const list = selection().rows;
    const at = list.indexOf(row);
    const step = (by, label, keyName) => {
      const other = at < 0 ? undefined : list[at + by];
      return element('a', { class: 'button', href: other && caseAddress(other), 'aria-disabled': other ? undefined : 'true', role: other ? undefined : 'link', rel: by < 0 ? 'prev' : 'next', 'aria-keyshortcuts': keyName }, label);
    };
    return element('header', { class: 'case-head' },
      element('div', { class: 'case-title' },
        element('p', { class: 'crumbs' }, element('a', { href: address({ view: 'cells' }) }, isFiltered() ? 'Filtered cells' : 'Cells'), ' / ', element('a', { href: address({ view: 'cells', filter: [], tag: '', search: '', suite: row.suite.name }) }, line(row.suite.name))),
        element('h1', { tabindex: '-1' }, line(row.id)),
        element('p', { class: 'muted' }, element('code', null, `${line(row.site.file)}:${row.site.line}`), row.tags.map((tag) => [' ', element('a', { class: 'tag', href: address({ view: 'cells', filter: [], suite: '', search: '', tag }) }, line(tag, 60))]))),
      element('nav', { class: 'steps', 'aria-label': 'Other cases' },
        element('span', { class: 'muted' }, at < 0 ? 'not among the filtered' : `${count(at + 1)} of ${count(list.length)}`), step(-1, 'Previous', 'k'), step(1, 'Next', 'j')));
  }

  // ---- comparing two columns, or two samples ----

  // What can be compared: `2` is a column as it is looked at, `2.0` its first sample.
  function comparable(row) {
    return row.cells.flatMap((cell, index) => {
      const answered = cell?.samples.filter((sample) => sample.reply) ?? [];
      const { label } = row.suite.columns[index];
      return answered.length > 1 ? answered.map((sample) => ({ key: `${index}.${sample.index}`, label: `${label} · sample ${sample.index + 1}`, sample, index })) : answered.map((sample) => ({ key: `${index}`, label, sample, index }));
    });
  }

  function named(row, key) {
    const all = comparable(row);
    return all.find((one) => one.key === key) ?? all.find((one) => `${one.index}` === key && one.sample === current(row.cells[one.index]));
  }

  // The two that a reviewer most likely wants: two versions of one model, else the first two models, else two samples.
  function usual(row) {
    const columns = row.cells.flatMap((cell, index) => (cell && current(cell)?.reply ? [index] : []));
    const of = (index) => row.suite.columns[index];
    for (const one of columns.slice().reverse()) {
      const before = columns.filter((other) => other < one && of(other).model === of(one).model && of(other).name === of(one).name).pop();
      if (before !== undefined) return [before, one];
    }
    if (columns.length > 1) return columns.slice(0, 2);
    const [first, ...others] = comparable(row);
    return [first.key, (others.find((other) => other.sample.reply.text !== first.sample.reply.text) ?? others[0]).key];
  }

  function comparison(row) {
    const all = comparable(row);
    if (all.length < 2) return undefined;
    const [one, other] = state.compare.split(':').map((key) => named(row, key));
    if (!one || !other) {
      const columns = new Set(all.map(({ index }) => index)).size;
      const label = columns < 2 ? 'Compare two samples' : all.length > columns ? 'Compare two columns or samples' : 'Compare two columns';
      return element('p', { class: 'compare-offer' }, element('a', { class: 'button', href: caseAddress(row, { compare: usual(row).join(':') }), 'aria-keyshortcuts': 'c' }, label));
    }
    const choice = (label, chosenOne, changed) => element('select', { 'aria-label': label, change: (event) => go(changed(event.target.value)) },
      all.map(({ key, label: name, sample }) => element('option', { value: key, selected: sample === chosenOne.sample }, line(name, 80))));
    return element('section', { class: 'panel comparison', 'aria-label': 'Comparison' },
      element('header', null, element('h2', null, 'Compare'),
        choice('First column', one, (key) => ({ compare: `${key}:${other.key}` })), element('span', { class: 'muted' }, 'with'), choice('Second column', other, (key) => ({ compare: `${one.key}:${key}` })),
        element('a', { class: 'button', href: caseAddress(row) }, 'Close')),
      sideBySide(one.sample.reply.text, other.sample.reply.text, [line(one.label), line(other.label)]));
  }

  // ---- one column ----

  function current(cell) {
    return chosen.get(cell) ?? leading(cell);
  }

  function columnOf(row, cell, index) {
    const column = row.suite.columns[index];
    const sample = current(cell);
    const verdict = VERDICTS[cell.verdict];
    const name = line(column.label);
    return element('article', { class: `column ${verdict.kind}`, 'aria-label': name, 'data-column': index },
      element('header', { class: 'slot column-head' },
        element('h2', null, line(column.model), row.suite.several && element('span', { class: 'version' }, line(column.prompt))),
        element('p', { class: 'state' }, element('span', { class: `verdict ${verdict.kind}` }, element('span', { 'aria-hidden': 'true' }, verdict.mark), ` ${verdict.word}`),
          snapshotBadge(cell), flakyBadge(cell), !cell.gated && element('span', { class: 'badge', title: 'the gate does not count it' }, 'informs only'), sample?.reply?.simulated && !run.run.simulated && element('span', { class: 'badge simulated' }, 'simulated')),
        facts(sample), samplesOf(cell, sample), decisions.buttons(cell)),
      element('div', { class: 'slot' }, sample && reasons(sample)),
      element('div', { class: 'slot' }, snapshotBlock(cell)),
      element('div', { class: 'slot' }, sample?.reply && answer(sample.reply, `Output of ${name}`)),
      element('div', { class: 'slot' }, sample && [holding(sample), request(cell), taken(cell, sample)]));
  }

  function snapshotBadge(cell) {
    const { state: kind } = cell.snapshot;
    return kind !== 'none' && element('span', { class: `badge ${kind}` }, kind === 'same' ? 'as accepted' : `snapshot ${SNAPSHOTS[kind] ?? plain(kind)}`);
  }

  function facts(sample) {
    const reply = sample?.reply;
    if (!reply) return undefined;
    const cost = reply.cost_usd === null || reply.cost_usd === undefined ? 'unpriced' : dollars(money(reply.cost_usd));
    return element('p', { class: 'facts muted' }, [cost, duration(reply.latency_ms), `${counted(prompted(reply.usage), 'token')} in, ${count(reply.usage.output_tokens)} out`, reply.served].map((fact, index) => [index > 0 && ' · ', fact]));
  }

  function prompted(usage) {
    return usage.input_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens + usage.cache_read_tokens;
  }

  function samplesOf(cell, sample) {
    if (cell.samples.length < 2) return undefined;
    return element('div', { class: 'samples', role: 'group', 'aria-label': 'Samples' }, element('span', { class: 'muted' }, 'Sample '), cell.samples.map((one) => element('button', {
      type: 'button', class: `sample ${VERDICTS[one.verdict].kind}`, 'aria-pressed': String(one === sample), 'aria-label': `sample ${one.index + 1}: ${VERDICTS[one.verdict].word}`,
      click: () => { chosen.set(cell, one); update(); },
    }, `${one.index + 1} ${VERDICTS[one.verdict].mark}`)), cell.sampled && element('span', { class: 'muted' }, sampled(cell.sampled)));
  }

  // Rounded away from the rate: never narrower than the interval is.
  function sampled({ passes, samples, interval }) {
    const [low, high] = [Math.floor(interval.low * 1000 + 1e-9) / 10, Math.ceil(interval.high * 1000 - 1e-9) / 10];
    return ` ${passes} of ${samples} pass (95 % interval ${low.toFixed(1)}–${high.toFixed(1)} %)`;
  }

  function place(site) {
    return site && element('span', { class: 'site' }, `${line(site.file)}:${site.line}`);
  }

  // Why there is no verdict, and what did not hold.
  function reasons(sample) {
    return [
      sample.error && element('div', { class: 'reason error' }, element('h3', null, `No verdict: ${plain(sample.error.kind)}`), element('p', null, prose(sample.error.message)), sample.error.hint && element('p', { class: 'muted' }, 'hint: ', prose(sample.error.hint))),
      sample.skipped && element('div', { class: 'reason skipped' }, element('h3', null, 'Nothing was asked'), element('p', null, prose(skipWords(sample.skipped)))),
      findings(sample).map((assertion) => {
        const { fail, error } = assertion.outcome;
        const weight = assertion.severity === 'fail' ? undefined : element('span', { class: `badge ${assertion.severity === 'warn' ? 'warned' : 'failed'}` }, assertion.severity === 'warn' ? 'warning' : 'critical');
        return element('div', { class: `reason ${assertion.severity === 'warn' ? 'warn' : error ? 'error' : 'fail'}` },
          element('h3', null, shown(assertion.name), weight, place(assertion.site)),
          fail ? element('dl', { class: 'expected' }, element('dt', null, 'expected'), element('dd', null, prose(fail.expected)), element('dt', null, 'got'), element('dd', null, prose(fail.got))) : element('p', null, 'could not be judged: ', prose(error)),
          fail?.diff && difference(fail.diff));
      }),
    ];
  }

  // What changed in the prompt since the accepted output.
  function promptChange(accepted, { address: { prompt, version } }) {
    const change = run.prompt_changes?.find(({ from, to }) => from === accepted && to === `${prompt}@${version}`);
    return change && element('details', { class: 'request' }, element('summary', null, 'The prompt: ', element('code', null, `${line(change.from)} → ${line(change.to)}`)), textDifference(change.diff));
  }

  function snapshotBlock(cell) {
    const { state: kind, accepted_prompt: accepted, reason, message } = cell.snapshot;
    if (kind === 'changed') {
      const other = accepted !== `${cell.address.prompt}@${cell.address.version}`;
      return [element('h3', { class: 'part' }, 'Changed since it was accepted', other && element('span', { class: 'muted' }, ' ', element('code', null, `${line(accepted)} → ${line(cell.address.prompt)}@${cell.address.version}`))), strangers(cell.snapshot), other && promptChange(accepted, cell)];
    }
    if (kind === 'unreadable') return element('div', { class: 'reason error' }, element('h3', null, 'The snapshot cannot be read'), element('p', null, prose(message)));
    if (kind === 'new' && reason) return element('p', { class: 'muted' }, 'New: ', prose(reason));
    return undefined;
  }

  function answer(reply, label) {
    return [
      element('h3', { class: 'part' }, 'Output', reply.stop_reason !== 'end_turn' && element('span', { class: 'badge' }, `stopped: ${plain(reply.stop_reason)}`)),
      reply.refusal && element('p', { class: 'muted' }, 'refused', reply.refusal.category && [' as ', element('code', null, line(reply.refusal.category))], reply.refusal.explanation && [': ', shown(reply.refusal.explanation)]),
      outputBlock(reply.text, label),
      reply.other_blocks?.length > 0 && [element('h3', { class: 'part' }, reply.other_blocks.every((block) => block.type === 'tool_use') ? counted(reply.other_blocks.length, 'tool call') : counted(reply.other_blocks.length, 'other block')), reply.other_blocks.map(jsonBlock)],
    ];
  }

  function holding(sample) {
    const holds = sample.assertions.filter((assertion) => outcomeOf(assertion) === 'pass');
    if (!holds.length) return undefined;
    return element('details', null, element('summary', null, `${counted(holds.length, 'assertion')} ${holds.length === 1 ? 'holds' : 'hold'}`), element('ul', { class: 'holding' }, holds.map((assertion) => element('li', null, element('span', { class: 'mark pass', 'aria-hidden': 'true' }, '✓'), ' ', shown(assertion.name), ' ', place(assertion.site)))));
  }

  function request(cell) {
    if (!cell.request) return undefined;
    const turn = (name, indexes) => element('div', { class: 'turn' }, element('h4', null, name), (indexes ?? []).map((index) => run.texts?.[index] ?? '').map((text) => passage(name === 'parameters' ? laidOut(text) ?? text : text, `Request: ${name}`)));
    const { system, turns, parameters } = cell.request;
    return element('details', { class: 'request' }, element('summary', null, 'Request'), system?.length > 0 && turn('system', system), (turns ?? []).map((one) => turn(plain(one.role), one.content)),
      parameters !== undefined && turn('parameters', [parameters]));
  }

  function taken(cell, sample) {
    const { reply, error } = sample;
    const attempts = reply?.attempts ?? error?.attempts ?? [];
    const usage = reply?.usage ?? {};
    const pairs = [
      ['model', cell.model_id], ['endpoint', cell.endpoint],
      ...(reply ? [
        ['served', reply.served], ['answered', reply.answered_at?.replace('T', ' ').replace(/\.\d+/, '')], ['request id', reply.request_id], ['stop reason', reply.stop_reason],
        ['cost', reply.cost_usd && `$${reply.cost_usd}${reply.simulated ? ' simulated' : ''}`], ['without cache', reply.uncached_cost_usd && reply.uncached_cost_usd !== reply.cost_usd && `$${reply.uncached_cost_usd}`],
        ...Object.entries(usage).filter(([, value]) => value).map(([key, value]) => [plain(key).replace(/ tokens$/, ''), typeof value === 'number' ? count(value) : value]),
      ] : []),
      ['snapshot', cell.snapshot_path], ['answer key', sample.key],
    ].filter(([, value]) => value);
    return element('details', null, element('summary', null, `Usage and ${counted(attempts.length, 'attempt')}`),
      element('dl', { class: 'pairs' }, pairs.map(([key, value]) => [element('dt', null, key), element('dd', null, line(value))])),
      attempts.length > 0 && element('ol', { class: 'attempts' }, attempts.map((attempt) => element('li', { class: attempt.error ? 'fail' : 'pass' },
        element('strong', null, attempt.status ?? 'no response'), ` ${attempt.error ? plain(attempt.error) : 'answered'} in ${duration(attempt.duration_ms)}`,
        attempt.unsent && ', nothing was sent', attempt.message && [': ', shown(attempt.message)], attempt.request_id && element('span', { class: 'site' }, line(attempt.request_id))))));
  }

  function step(by) {
    const list = selection().rows;
    const at = list.indexOf(state.row);
    const next = at < 0 ? list[0] : list[at + by];
    if (next) go({ view: 'case', row: next, compare: '' });
  }

  function key(event) {
    if (event.key === 'j' || event.key === 'ArrowRight') step(1);
    else if (event.key === 'k' || event.key === 'ArrowLeft') step(-1);
    else if (event.key === 'Escape') {
      if (state.compare) go({ compare: '' });
      else go({ view: 'cells' });
    } else if (event.key === 'c' && state.row && comparable(state.row).length > 1) go({ compare: state.compare ? '' : usual(state.row).join(':') });
    else if ((event.key === 'a' || event.key === 'r') && state.row) decisions.decide(state.row.cells.filter(Boolean), event.key === 'a' ? 'accept' : 'reject');
    else return false;
    return true;
  }

  return { view, update, key };
})();
