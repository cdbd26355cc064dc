// What did the run come to, what needs a look, and what did it cost?

const overview = (() => {
  const MOST = 12;
  const view = element('section', { class: 'overview', 'aria-label': 'Overview' });
  const { totals, bill } = run;
  const [compared, hints] = ['compared', 'hints'].map((id) => document.getElementById(id));

  function build() {
    replace(view,
      verdict(), compared,
      element('div', { class: 'two' }, element('div', null, attention(), gates()), element('div', null, prompts(), money_(), facts())),
      hints, charts(), groups(), trends(), improved(), problems(), orphans());
  }

  function verdict() {
    const { code: exit, headline: word, meaning } = document.body.dataset;
    const parts = [['passed', 'pass'], ['failed', 'fail'], ['errored', 'error'], ['skipped', 'skipped']];
    const filter = { failed: 'failed', errored: 'error', skipped: 'skipped' };
    return element('header', { class: `summary ${exit === '0' ? 'pass' : exit === '1' ? 'fail' : 'error'}` },
      element('h1', { tabindex: '-1' }, word.charAt(0) + word.slice(1).toLowerCase(), element('span', { class: 'meaning' }, meaning, element('span', { class: 'muted' }, ` · exit ${exit}`))),
      stacked(parts.map(([name, kind]) => ({ value: totals[name], kind })), `${totals.passed} passed, ${totals.failed} failed, ${totals.errored} without a verdict, ${totals.skipped} skipped`),
      element('p', { class: 'sum' }, element('strong', null, counted(totals.planned, 'cell')), ' planned = ', parts.map(([name, kind], index) => [index > 0 && ' + ',
        filter[name] && totals[name] > 0 ? element('a', { href: address({ view: 'cells', filter: [filter[name]] }) }, number(kind, totals[name], name)) : number(kind, totals[name], name)]),
      totals.warned > 0 && element('span', { class: 'muted' }, ` · ${count(totals.warned)} passed with warnings`)));
  }

  function number(kind, value, word) {
    return element('span', { class: `figure ${value > 0 ? kind : 'muted'}` }, `${count(value)} ${word}`);
  }

  // What a reviewer opens first: failures that count, what has no verdict, then snapshots.
  function attention() {
    const news = (kind) => (cell) => cell.snapshot.state === kind;
    const groups = [
      ['failed', 'Failed', (cell) => cell.verdict === 'fail' && cell.gated],
      ['error', 'Without a verdict', (cell) => cell.verdict === 'error'],
      ['changed', 'Changed', (cell) => news('changed')(cell) || news('unreadable')(cell)],
      ['new', 'New', news('new')],
    ].map(([key, title, test]) => ({ key, title, cells: run.cells.filter(test) })).filter(({ cells }) => cells.length);
    const informing = run.cells.filter((cell) => cell.verdict === 'fail' && !cell.gated).length;
    const rest = informing > 0 && element('p', { class: 'muted' }, `${counted(informing, 'cell')} ${informing === 1 ? 'fails' : 'fail'} and only ${informing === 1 ? 'informs' : 'inform'}: an older version, or a model with `, element('code', null, 'gate: false'), '. ', element('a', { href: address({ view: 'cells', filter: ['failed'] }) }, 'Look at them'));
    return element('section', { class: 'panel' }, element('h2', null, 'To look at'),
      !groups.length && element('p', null, totals.planned === 0 ? 'Nothing was selected.' : 'Nothing: no failure that counts, no changed or new output.'),
      groups.map(({ key, title, cells }) => element('div', { class: 'attention' },
        element('h3', null, title, ' ', element('span', { class: 'number' }, count(cells.length))),
        element('ul', null, cells.slice(0, MOST).map((cell) => item(cell, key))),
        key === 'changed' && element('p', { class: 'muted hint' }, 'Open one: ', element('kbd', null, 'a'), ' accepts, ', element('kbd', null, 'r'), ' rejects, ', element('kbd', null, 'j'), ' is the next; the page then shows the commands.'),
        cells.length > MOST && element('p', null, element('a', { href: address({ view: 'cells', filter: [key] }) }, `All ${count(cells.length)} in the matrix`)))),
      rest);
  }

  function item(cell, key) {
    const row = rowsByKey.get(`${cell.address.suite}::${cell.address.case}`);
    const verdict = VERDICTS[cell.verdict];
    return element('li', null, element('a', { href: caseAddress(row, { filter: key === 'improved' ? [] : [key], suite: '', tag: '', search: '' }) },
      element('span', { class: `mark ${verdict.kind}`, title: verdict.word }, verdict.mark),
      element('span', { class: 'what' }, element('span', { class: 'where' }, element('strong', null, line(cell.address.case, 80)), element('span', { class: 'muted' }, ` ${line(cell.address.suite, 60)} · ${line(row.suite.several ? `@${cell.address.version} ` : '', 20)}${line(cell.address.model, 60)}`)), element('span', { class: 'excerpt', dir: 'auto' }, line((key === 'changed' && changeLine(cell.snapshot.diff)) || headline(cell), 200)), key === 'failed' && flakyBadge(cell))));
  }

  // What changed in the prompts between what was accepted and what answered.
  function prompts() {
    if (!run.prompt_changes?.length) return undefined;
    return element('section', { class: 'panel' }, element('h2', null, 'What changed in the prompts'), run.prompt_changes.map(({ from, to, file, diff }) => element('details', { open: run.prompt_changes.length === 1 },
      element('summary', null, element('code', null, `${line(from)} → ${line(to)}`)), element('p', { class: 'muted' }, element('code', null, line(file))), textDifference(diff))));
  }

  function improved() {
    const known = run.improved?.filter(({ cells }) => cells.length) ?? [];
    if (!known.length) return undefined;
    const found = ({ suite, case: id, prompt, version, model }) => rowsByKey.get(`${suite}::${id}`)?.cells.filter((cell) => cell && cell.address.prompt === prompt && cell.address.version === version && cell.address.model === model) ?? [];
    const since = ({ run: before, cells }) => [element('p', { class: 'muted' }, 'in run ', element('code', null, line(before))), element('ul', null, cells.slice(0, 100).flatMap(found).map((cell) => item(cell, 'improved')))];
    return element('section', { class: 'panel attention' }, element('h2', null, 'Passes now, failed before ', element('span', { class: 'number' }, count(known.reduce((sum, { cells }) => sum + cells.length, 0)))), known.slice(0, 100).flatMap(since));
  }

  function gates() {
    if (!run.gates.length) return undefined;
    const kind = { pass: 'pass', fail: 'fail', missing: 'error', undecided: 'error' };
    const rowOf = (gate) => element('li', null, element('span', { class: `verdict ${kind[gate.outcome] ?? 'error'}` }, GATES[gate.outcome] ?? plain(gate.outcome)),
      element('span', null, element('strong', null, [gate.suite, gate.model].filter(Boolean).map((name) => line(name, 80)).join(' · ') || 'The run'), element('span', null, `: ${line(gate.message, 600)}`)));
    const [open, hold] = [run.gates.filter((gate) => gate.outcome !== 'pass'), run.gates.filter((gate) => gate.outcome === 'pass')];
    return element('section', { class: 'panel' }, element('h2', null, 'Gates'), open.length > 0 && element('ul', { class: 'gates' }, open.slice(0, MOST).map(rowOf)),
      open.length > MOST && element('details', null, element('summary', null, `${count(open.length - MOST)} more do not hold`), element('ul', { class: 'gates' }, open.slice(MOST).map(rowOf))),
      hold.length > 0 && element('details', null, element('summary', null, open.length ? `${count(hold.length)} more hold` : hold.length === 1 ? 'The one gate holds' : `All ${count(hold.length)} hold`), element('ul', { class: 'gates' }, hold.map(rowOf))));
  }

  function pairs(list) {
    return element('dl', { class: 'pairs' }, list.filter((pair) => pair[1] !== undefined && pair[1] !== null && pair[1] !== '' && pair[1] !== false).map(([key, value]) => [element('dt', null, key), element('dd', null, value)]));
  }

  function money_() {
    const amount = (text) => (money(text) === 0n ? undefined : dollars(money(text)));
    const { tokens } = totals;
    return element('section', { class: 'panel' }, element('h2', null, 'Bill'), pairs([
      run.run.simulated ? ['spent', 'nothing'] : ['spent', element('strong', null, dollars(money(bill.spent_usd)))],
      ['saved by the store', amount(bill.saved_by_store_usd)],
      ['saved by prompt caching', amount(bill.saved_by_prompt_cache_usd)], ['saved by batches', amount(bill.saved_by_batch_usd ?? '0')],
      ['simulated', amount(bill.simulated_usd) && `${amount(bill.simulated_usd)} at list prices, which nobody paid`],
      ['not in these sums', [bill.unpriced_samples > 0 && `${counted(bill.unpriced_samples, 'answer')} without a price`, bill.unknown_attempts > 0 && `${counted(bill.unknown_attempts, 'failed attempt')} that may be billed${bill.unknown_at_most_usd ? `, at most ${dollars(money(bill.unknown_at_most_usd))}` : ''}`].filter(Boolean).join(', ')],
      ['may be wrong by', bill.doubtful_samples > 0 && `${counted(bill.doubtful_samples, 'answer')} whose counted tokens cannot be right`],
      ['requests', [`${count(totals.requests_asked)} asked`, `${count(totals.requests_cached)} already answered`, totals.requests_retried > 0 && `${counted(totals.requests_retried, 'retry', 'retries')}`, totals.refusals > 0 && `${count(totals.refusals)} refused`, totals.truncations > 0 && `${count(totals.truncations)} cut off`].filter(Boolean).join(', ')],
      ['tokens', [`${compact(tokens.input)} in`, tokens.cache_read > 0 && `${compact(tokens.cache_read)} from cache`, tokens.cache_write > 0 && `${compact(tokens.cache_write)} to cache`, `${compact(tokens.output)} out`].filter(Boolean).join(', ')],
      ['snapshots', [['same', totals.snapshots_same], ['changed', totals.snapshots_changed], ['new', totals.snapshots_new], ['orphaned', totals.snapshots_orphaned]].filter(([, value]) => value > 0).map(([word, value]) => `${count(value)} ${word}`).join(', ')],
    ]));
  }

  function facts() {
    const { id, started_at: started, duration_ms: took, tool, revision, endpoints, shard, filtered } = run.run;
    return element('section', { class: 'panel' }, element('h2', null, 'Run'), pairs([
      ['id', element('code', null, line(id))], ['started', line(started).replace('T', ' ').replace(/\.\d+/, '').replace('Z', ' UTC')], ['took', duration(took)],
      ['revision', revision && element('code', null, line(revision.replace(/^([0-9a-f]{12})[0-9a-f]+/, '$1')))], ['asked', endpoints.map((name) => line(name)).join(', ')],
      ['shard', shard && `${shard.index} of ${shard.count}: \`promptkeel merge\` judges the whole`], ['selection', filtered && 'a part of the suites'], ['made by', line(tool)],
    ]));
  }

  // ---- the groups ----

  let grouped = 'models';

  function groups() {
    const kinds = [['models', 'Models'], ['suites', 'Suites'], ['versions', 'Prompt versions'], ['tags', 'Tags']].filter(([key]) => run[key]?.length > 0);
    if (!kinds.length) return undefined;
    const place = element('div', { class: 'scrolling', tabindex: '0', role: 'group', 'aria-label': 'Totals' });
    const buttons = kinds.map(([key, label]) => element('button', { type: 'button', class: 'chip', 'aria-pressed': String(key === grouped), click: () => choose(key) }, label));
    const choose = (key) => {
      grouped = key;
      kinds.forEach(([other], index) => buttons[index].setAttribute('aria-pressed', String(other === key)));
      replace(place, table(run[key], key === 'models'), key === 'models' && run.cells.some((cell) => !cell.gated) && element('p', { class: 'muted' }, 'Pass rates are those that the gate counts: without older versions of a prompt.'));
    };
    choose(kinds.some(([key]) => key === grouped) ? grouped : kinds[0][0]);
    return element('section', { class: 'panel' }, element('header', null, element('h2', null, 'Totals'), element('div', { class: 'chips', role: 'group', 'aria-label': 'Totals by' }, buttons)), place);
  }

  function table(list, bySuite) {
    const heads = ['', 'Cells', 'Passed', '', 'Cost', 'Tokens in/out', 'p50 / p95', 'Errors', 'Refusals'];
    const rowOf = (group) => {
      const { totals: sums } = group;
      const rate = (bySuite && gatedRates.get(`${group.suite}\n${group.name}`)) || sums;
      return element('tr', null,
        element('th', { scope: 'row' }, line(group.name, 80), !group.gated && element('span', { class: 'badge', title: 'the gate does not count it' }, 'informs')),
        element('td', { class: 'number-cell' }, count(sums.planned)), element('td', { class: 'number-cell' }, share(rate.passed, rate.passed + rate.failed)),
        element('td', { class: 'bar-cell' }, stacked([{ value: rate.passed, kind: 'pass' }, { value: rate.failed, kind: 'fail' }, { value: sums.errored, kind: 'error' }, { value: sums.skipped, kind: 'skipped' }], `${rate.passed} passed, ${rate.failed} failed`)),
        element('td', { class: 'number-cell' }, worth(group.bill)),
        element('td', { class: 'number-cell' }, `${compact(sums.tokens.input + sums.tokens.cache_read + sums.tokens.cache_write)} / ${compact(sums.tokens.output)}`),
        element('td', { class: 'number-cell' }, group.latency_p50_ms === null || group.latency_p50_ms === undefined ? '–' : `${duration(group.latency_p50_ms)} / ${duration(group.latency_p95_ms)}`),
        element('td', { class: 'number-cell' }, count(sums.errored)), element('td', { class: 'number-cell' }, count(sums.refusals)));
    };
    const sections = bySuite ? [...new Set(list.map((group) => group.suite))].map((suite) => [suite, list.filter((group) => group.suite === suite)]) : [[undefined, list]];
    return element('table', { class: 'totals' }, element('thead', null, element('tr', null, heads.map((head, index) => element('th', { scope: 'col', class: index === 0 || index === 3 ? undefined : 'number-cell' }, head || element('span', { class: 'visually-hidden' }, index ? 'Share' : 'Name'))))),
      sections.map(([suite, members]) => element('tbody', null, suite && element('tr', { class: 'section' }, element('th', { scope: 'rowgroup', colspan: heads.length }, element('a', { href: address({ view: 'cells', filter: [], tag: '', search: '', suite }) }, line(suite, 100)))), members.map(rowOf))));
  }

  function problems() {
    if (!run.problems.length) return undefined;
    const kind = { error: 'fail', warning: 'warn', note: 'note' };
    return element('section', { class: 'panel' }, element('h2', null, 'Noticed'), run.problems.slice(0, 100).map(({ severity, message, place, hint, diff }) => element('div', { class: `reason ${kind[severity] ?? 'note'}` },
      element('h3', null, element('span', null, `${severity}: `), prose(message), place && element('span', { class: 'site' }, `${line(place.file)}:${place.line}:${place.column}`)),
      place?.source && element('pre', { class: 'output source' }, shown(place.source), '\n', ' '.repeat(Math.min(500, Math.max(0, place.column - 1))), '^'.repeat(Math.min(200, Math.max(1, place.length)))),
      hint && element('p', { class: 'muted' }, 'hint: ', prose(hint)), diff && textDifference(diff))), run.problems.length > 100 && element('p', { class: 'muted' }, `and ${count(run.problems.length - 100)} more`));
  }

  function orphans() {
    if (!run.orphans.length) return undefined;
    return element('section', { class: 'panel' }, element('h2', null, 'Orphaned snapshots'), element('p', { class: 'muted' }, 'No case of any suite owns them. ', element('code', null, 'promptkeel run --unreferenced delete'), ' deletes them.'),
      element('ul', { class: 'orphans' }, run.orphans.slice(0, 500).map((path) => element('li', null, element('code', null, line(path, 400))))), run.orphans.length > 500 && element('p', { class: 'muted' }, `and ${count(run.orphans.length - 500)} more`));
  }

  return { view, build };
})();
