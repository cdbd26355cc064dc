// Which part of the report does the address show? Everything that can be looked at has a link: reload, back and a colleague find it again.

const NAMES = ['filter', 'suite', 'tag', 'search', 'compare'];

const state = { view: 'overview', row: undefined, filter: [], suite: '', tag: '', search: '', compare: '' };

function readAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  for (const name of NAMES) state[name] = parameters.get(name) ?? '';
  state.filter = state.filter.split(',').filter((key) => FILTERS.some((filter) => filter.key === key));
  state.case = parameters.get('case') ?? '';
  state.row = rowsByKey.get(state.case);
  state.view = parameters.has('case') ? 'case' : parameters.has('cells') || state.filter.length || state.search || state.suite || state.tag ? 'cells' : 'overview';
}

// The address of what is looked at, with some of it changed: `address({ view: 'case', row })`.
function address(changes) {
  const wanted = { ...state, ...changes };
  const parameters = new URLSearchParams();
  if (wanted.view === 'overview') return '#';
  if (wanted.view === 'case') parameters.set('case', wanted.row?.key ?? wanted.case);
  else parameters.set('cells', '');
  const isCase = wanted.view === 'case';
  for (const name of NAMES) {
    if (!isCase && name === 'compare') continue;
    const value = name === 'filter' ? wanted.filter.join(',') : wanted[name];
    if (value !== '') parameters.set(name, value);
  }
  return `#${parameters.toString().replace(/%3A/g, ':').replace(/%2C/g, ',').replace(/%2F/g, '/').replace('cells=', 'cells')}`;
}

function caseAddress(row, changes) {
  return address({ view: 'case', row, compare: '', ...changes });
}

function go(changes, { quietly = false } = {}) {
  const wanted = address(changes);
  if (wanted === (location.hash || '#')) return;
  if (quietly) location.replace(wanted);
  else location.hash = wanted;
}
