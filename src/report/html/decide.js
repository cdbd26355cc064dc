// What does the reviewer say to the outputs, and which commands say the same to the project?

const decisions = (() => {
  const store = `promptkeel.decisions.${run.run.id}`;
  const said = new Map();
  // How often it changed: what is drawn by it is drawn again.
  let changes = 0;
  try {
    for (const [path, word] of JSON.parse(remembered(store) ?? '[]')) if (word === 'accept' || word === 'reject') said.set(String(path), word);
  } catch { /* Something else's; begin anew. */ }
  const bar = element('div', { class: 'decisions', role: 'region', 'aria-label': 'Decisions', hidden: true });

  // The pattern that `promptkeel accept` takes; undefined where there is nothing to decide.
  function pattern(cell) {
    const news = cell.snapshot.state === 'changed' || cell.snapshot.state === 'new';
    const match = /^snapshots\/(.+)\.snap$/.exec(cell.snapshot_path ?? '');
    return news && match && cell.samples.some((sample) => sample.reply) && match[1].search(HIDDEN) < 0 ? match[1] : undefined;
  }

  function decide(cells, word) {
    const patterns = cells.map(pattern).filter(Boolean);
    if (!patterns.length) return;
    const undo = patterns.every((one) => said.get(one) === word);
    for (const one of patterns) undo ? said.delete(one) : said.set(one, word);
    changes += 1;
    remember(store, JSON.stringify([...said]));
    render();
  }

  function buttons(cell) {
    const one = pattern(cell);
    if (one === undefined) return undefined;
    const button = (word, label) => element('button', { type: 'button', class: `decide ${word}`, 'aria-pressed': String(said.get(one) === word), 'data-word': word, click: () => {
      decide([cell], word);
      view.querySelector(`[data-column="${column}"] [data-word="${word}"]`)?.focus();
    } }, label);
    const column = state.row?.cells.indexOf(cell);
    const { view } = caseView;
    return element('div', { class: 'decide-row', role: 'group', 'aria-label': 'Decide' }, button('accept', 'Accept'), button('reject', 'Reject'));
  }

  function commands() {
    const quoted = (one) => `'${one.replace(/'/g, "'\\''")}'`;
    return ['accept', 'reject'].flatMap((word) => {
      const patterns = [...said].filter(([, other]) => other === word).map(([one]) => quoted(one));
      return patterns.length ? [`promptkeel ${word} ${patterns.join(patterns.length > 1 ? ' \\\n  ' : ' ')}`] : [];
    }).join('\n');
  }

  let opened = false;

  function update() {
    bar.hidden = said.size === 0;
    if (bar.hidden) return;
    const number = (word) => [...said.values()].filter((other) => other === word).length;
    const words = [['accept', 'accepted'], ['reject', 'rejected']].filter(([word]) => number(word) > 0).map(([word, done]) => `${number(word)} ${done}`).join(', ');
    replace(bar,
      element('div', { class: 'decisions-line' }, element('p', { role: 'status' }, element('strong', null, words), element('span', { class: 'muted' }, ' in this page only, until you run the commands')),
        element('button', { type: 'button', 'aria-expanded': String(opened), click: () => { opened = !opened; update(); bar.querySelector('button').focus(); } }, opened ? 'Hide commands' : 'Show commands'), copying('Copy commands', commands),
        element('button', { type: 'button', class: 'quiet', click: () => { said.clear(); changes += 1; remember(store, '[]'); render(); } }, 'Forget')),
      opened && [element('pre', { class: 'output commands', tabindex: '0', 'aria-label': 'Commands' }, commands()), element('p', { class: 'muted' }, 'For a run that was made elsewhere, such as in CI: ', element('code', null, 'promptkeel accept --from RUN.json'), ' takes the same names, with the JSON report of that run.', run.cells.some((cell) => cell.snapshot.variants) && [' With ', element('code', null, '--add'), ' the accepted variants stay beside the new ones.'])]);
  }

  return { bar, update, buttons, decide, count: () => changes, of: (cell) => said.get(pattern(cell)) };
})();
