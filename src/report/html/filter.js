// Which cases are looked at: by what came of them, suite, tag and words?

const FILTERS = [
  { key: 'failed', label: 'Failed', cell: (cell) => cell.verdict === 'fail' },
  { key: 'error', label: 'No verdict', cell: (cell) => cell.verdict === 'error' },
  { key: 'skipped', label: 'Skipped', cell: (cell) => cell.verdict === 'skipped' },
  { key: 'changed', label: 'Changed', cell: (cell) => cell.snapshot.state === 'changed' || cell.snapshot.state === 'unreadable' },
  { key: 'new', label: 'New', cell: (cell) => cell.snapshot.state === 'new' },
  { key: 'warned', label: 'Warned', cell: isWarned },
  { key: 'verdicts', label: 'Verdicts differ', row: (row) => (row.verdictsDiffer ??= differ(row, (cell) => cell.verdict)), title: 'the models come to different verdicts under the same prompt' },
  { key: 'outputs', label: 'Outputs differ', row: (row) => (row.outputsDiffer ??= differ(row, (cell) => output(cell)?.replace(/\s+/g, ' ').trim())), title: 'the models answer differently under the same prompt' },
];

function fits(row, filter) {
  return filter.row ? filter.row(row) : row.cells.some((cell) => cell && filter.cell(cell));
}

// What is searched: addresses, tags and everything that was answered.
function searchable(row) {
  row.searchable ??= [row.key, ...row.tags, ...row.suite.columns.map((column) => column.label), ...row.cells.flatMap((cell) => cell?.samples.map((sample) => sample.reply?.text ?? '') ?? [])].join('\n').toLowerCase();
  return row.searchable;
}

// Cases of the suite and the tag that hold all the words, whatever came of them.
function scoped() {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) =>
    (state.suite === '' || row.suite.name === state.suite) &&
    (state.tag === '' || row.tags.includes(state.tag)) &&
    words.every((word) => searchable(row).includes(word)));
}

let selected = { key: undefined, scope: rows, rows };

// The cases that all filters leave, in the order of the plan.
function selection() {
  const key = JSON.stringify([state.filter, state.suite, state.tag, state.search]);
  if (selected.key !== key) {
    const scope = scoped();
    const filters = FILTERS.filter((filter) => state.filter.includes(filter.key));
    selected = { key, scope, rows: filters.length ? scope.filter((row) => filters.some((filter) => fits(row, filter))) : scope };
  }
  return selected;
}

function numberOf(filter, scope) {
  let number = 0;
  for (const row of scope) {
    if (filter.row) number += filter.row(row) ? 1 : 0;
    else for (const cell of row.cells) number += cell && filter.cell(cell) ? 1 : 0;
  }
  return number;
}

function isFiltered() {
  return state.filter.length > 0 || state.suite !== '' || state.tag !== '' || state.search !== '';
}

const filterBar = (() => {
  const chips = element('div', { class: 'chips', role: 'group', 'aria-label': 'Show only' });
  const search = element('input', { type: 'search', id: 'search', placeholder: 'Search ids and outputs', 'aria-label': 'Search ids and outputs', autocomplete: 'off', spellcheck: 'false' });
  const choice = (label, name, values) => values.length < 2 ? undefined : element('select', { 'aria-label': label, 'data-name': name, change: (event) => go({ [name]: event.target.value }) },
    element('option', { value: '' }, `All ${name}s`), values.map((value) => element('option', { value }, line(value, 60))));
  const tags = [...new Set(rows.flatMap((row) => row.tags))].sort();
  const selects = [choice('Suite', 'suite', suites.map((suite) => suite.name)), choice('Tag', 'tag', tags)].filter(Boolean);
  const result = element('p', { class: 'result', role: 'status', 'aria-live': 'polite' });
  let typed;
  search.addEventListener('input', () => {
    clearTimeout(typed);
    typed = setTimeout(() => go({ search: search.value.trim() }, { quietly: true }), 120);
  });
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === 'ArrowDown') {
      event.preventDefault();
      clearTimeout(typed);
      go({ search: search.value.trim() }, { quietly: true });
      matrix.focus();
    } else if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      if (search.value === '') return matrix.focus();
      search.value = '';
      clearTimeout(typed);
      go({ search: '' }, { quietly: true });
    }
  });
  const bar = element('div', { class: 'filters', role: 'search', 'aria-label': 'Filters' }, element('div', { class: 'fields' }, search, selects), chips, result);

  function update() {
    const { scope, rows: left } = selection();
    if (document.activeElement !== search) search.value = state.search;
    for (const select of selects) select.value = state[select.dataset.name];
    const focused = chips.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    const toggle = (key) => go({ filter: state.filter.includes(key) ? state.filter.filter((other) => other !== key) : [...state.filter, key] });
    const made = FILTERS.map((filter) => ({ filter, number: numberOf(filter, scope) })).filter(({ filter, number }) => number > 0 || state.filter.includes(filter.key));
    replace(chips,
      element('button', { type: 'button', class: 'chip', 'data-key': 'all', 'aria-pressed': String(state.filter.length === 0), click: () => go({ filter: [] }) }, 'All'),
      made.map(({ filter, number }) => element('button', { type: 'button', class: `chip ${filter.key}`, 'data-key': filter.key, title: filter.title, 'aria-pressed': String(state.filter.includes(filter.key)), click: () => toggle(filter.key) },
        filter.label, ' ', element('span', { class: 'number' }, count(number)))));
    if (focused) chips.querySelector(`[data-key="${focused}"]`)?.focus();
    const cells = left.reduce((sum, row) => sum + row.cells.filter(Boolean).length, 0);
    replace(result, isFiltered() ? `${count(left.length)} of ${counted(rows.length, 'case')}` : `${counted(rows.length, 'case')}, ${counted(cells, 'cell')}`,
      isFiltered() && element('button', { type: 'button', class: 'quiet', click: () => go({ filter: [], suite: '', tag: '', search: '' }) }, 'Clear filters'));
  }

  return { bar, search, update };
})();
