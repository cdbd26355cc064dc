// What is on the page when it opens, and what do keys do?

const main = element('main', { id: 'main' });
const live = element('p', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
const links = {};

const THEMES = { auto: 'as the system', light: 'light', dark: 'dark' };

function themeButton() {
  const names = Object.keys(THEMES);
  const apply = (name) => {
    if (name === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = '◐';
    button.title = `Colours: ${THEMES[name]} (t)`;
    button.setAttribute('aria-label', `Colours: ${THEMES[name]}`);
    button.dataset.name = name;
  };
  const button = element('button', { type: 'button', class: 'quiet theme', click: () => {
    const name = names[(names.indexOf(button.dataset.name) + 1) % names.length];
    remember('promptkeel.theme', name);
    apply(name);
  } });
  const kept = remembered('promptkeel.theme');
  apply(names.includes(kept) ? kept : 'auto');
  return button;
}

const KEYS = [
  [['j', 'k'], 'next and previous case'], [['↑', '↓', '←', '→'], 'move in the matrix; ← → also between cases'], [['Enter'], 'open the case'], [['Esc'], 'back'],
  [['/'], 'search'], [['c'], 'compare two columns or samples of a case'], [['a', 'r'], 'accept or reject the changed outputs of a case, also in the matrix; again to undo'],
  [['o'], 'overview'], [['m'], 'cells'], [['t'], 'light, dark or as the system'], [['?'], 'this help'],
];

const help = (() => {
  const close = element('button', { type: 'button', click: () => dialog.close() }, 'Close');
  const dialog = element('dialog', { class: 'help', 'aria-labelledby': 'help-title' }, element('h2', { id: 'help-title' }, 'Keys'),
    element('dl', { class: 'keys' }, KEYS.map(([keys, words]) => [element('dt', null, keys.map((key) => [element('kbd', null, key), ' '])), element('dd', null, words)])), close);
  return dialog;
})();

const theme = themeButton();

function frame() {
  const { code: exit, headline: word } = document.body.dataset;
  links.overview = element('a', { href: '#' }, 'Overview');
  links.cells = element('a', { href: '#cells' }, 'Cells');
  const header = element('header', { class: 'top' },
    element('p', { class: 'brand' }, element('strong', null, 'promptkeel'), element('span', { class: `verdict ${exit === '0' ? 'pass' : exit === '1' ? 'fail' : 'error'}` }, word.toLowerCase())),
    element('nav', { 'aria-label': 'Views' }, links.overview, links.cells),
    element('div', { class: 'tools' }, theme, element('button', { type: 'button', class: 'quiet', 'aria-label': 'Keys', title: 'Keys (?)', click: () => help.showModal() }, '?')));
  const simulated = run.run.simulated || run.cells.some((cell) => cell.samples.some((sample) => sample.reply?.simulated));
  const banner = simulated && element('aside', { class: 'simulated-banner', 'aria-label': 'Simulated' }, element('strong', null, 'Simulated. '), run.run.simulated ? 'Every reply came from a simulator: no number here is about a real model.' : 'Some replies came from a simulator; they are marked, and their costs are never added to real money.');
  const skip = element('button', { type: 'button', class: 'skip', click: () => (main.querySelector('#matrix') ?? main.querySelector('h1') ?? main).focus() }, 'Skip to the content');
  replace(document.getElementById('page'), skip, header, banner, main, decisions.bar, live, help);
}

let drawn;

function render() {
  const { view } = state;
  const part = view === 'overview' ? overview : view === 'cells' ? matrix : caseView;
  const moved = drawn !== view || view === 'case';
  for (const [name, link] of Object.entries(links)) {
    if (name === view || (name === 'cells' && view === 'case')) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  // The matrix keeps its filters while one looks elsewhere; a link to all cells drops them.
  if (view === 'overview' && !overview.view.hasChildNodes()) overview.build();
  if (part.view.parentNode !== main) replace(main, part.view);
  document.body.dataset.view = view;
  if (view === 'cells') filterBar.update();
  if (view === 'case' && state.row) matrix.select(state.row);
  part.update?.();
  decisions.update();
  return moved;
}

// After a step by hand: where the reader is, for eyes and ears.
function arrive() {
  readAddress();
  const { case: before } = arrive;
  const changed = drawn !== state.view || before !== state.case;
  render();
  if (changed && drawn !== undefined) {
    if (state.view === 'cells') matrix.focus();
    else {
      scrollTo(0, 0);
      main.querySelector('h1')?.focus({ preventScroll: true });
    }
    live.textContent = state.view === 'case' ? `Case ${line(state.case)}` : state.view === 'cells' ? 'Cells' : 'Overview';
  }
  drawn = state.view;
  arrive.case = state.case;
}

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (isTyping(event.target)) return;
  // A button, a link and a summary keep their own keys.
  const own = event.target.closest?.('a, button, summary') && (event.key === 'Enter' || event.key === ' ');
  // Arrows scroll what can be scrolled.
  const scrolls = event.key.startsWith('Arrow') && event.target.closest?.('pre, .scrolling, .sides, .diff');
  if (own || scrolls) return;
  const general = {
    '/': () => { if (state.view !== 'cells') { location.hash = address({ view: 'cells' }); } setTimeout(() => { filterBar.search.focus(); filterBar.search.select(); }); },
    '?': () => help.showModal(),
    o: () => go({ view: 'overview' }),
    m: () => go({ view: 'cells' }),
    t: () => theme.click(),
  };
  if (event.key in general) general[event.key]();
  else if (state.view === 'cells' && matrix.key(event)) { /* Done. */ }
  else if (state.view === 'cells' && event.key === 'Escape') go(isFiltered() ? { filter: [], suite: '', tag: '', search: '' } : { view: 'overview' });
  else if (state.view === 'case' && caseView.key(event)) { /* Done. */ }
  else if (state.view === 'overview' && (event.key === 'j' || event.key === 'Enter')) go({ view: 'cells' });
  else return;
  event.preventDefault();
}

frame();
arrive();
addEventListener('hashchange', arrive);
addEventListener('keydown', pressed);
