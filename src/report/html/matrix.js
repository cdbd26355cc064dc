// The cases and their columns, of which only the rows in view are made: how is it drawn, scrolled and walked through?

const matrix = (() => {
  const OVERSCAN = 12;
  // So many cells stand below one another on a telephone.
  const MOST_BELOW = 6;
  const canvas = element('div', { class: 'canvas', role: 'presentation' });
  const heading = element('div', { class: 'suite-row sticky', 'aria-hidden': 'true' });
  const grid = element('div', { class: 'matrix', role: 'grid', tabindex: '0', id: 'matrix', 'aria-label': 'Cases and models', 'aria-describedby': 'matrix-keys' }, heading, canvas);
  const keys = element('p', { class: 'visually-hidden', id: 'matrix-keys' }, 'Arrow keys move, Enter opens a case.');
  const empty = element('p', { class: 'empty' }, rows.length ? 'No case is left by these filters.' : 'This run has no cells.');
  const narrow = matchMedia('(max-width: 46rem)');
  // What stands in the canvas: heads of suites and rows of cases, each with its place.
  let items = [];
  let made = new Map();
  let listed;
  let place = { row: undefined, column: 0 };
  let scrolled = 0;
  let headed;
  let said = 0;

  function sizes() {
    return narrow.matches ? { suite: 40, row: narrowRow } : { suite: 44, row: () => 41 };
  }

  // A line for the name, and one for every cell; of many columns two cells beside each other.
  function narrowRow(suite) {
    const cells = suite.columns.length;
    return 46 + 30 * (cells > MOST_BELOW ? Math.ceil(cells / 2) : cells);
  }

  function lay(list) {
    const size = sizes();
    items = [];
    let top = 0;
    let suite;
    let number = 0;
    for (const row of list) {
      if (row.suite !== suite) {
        suite = row.suite;
        number += 1;
        items.push({ suite, top, height: size.suite, number });
        top += size.suite;
      }
      number += 1;
      const height = size.row(suite);
      items.push({ row, suite, top, height, number });
      top += height;
    }
    const widest = Math.max(1, ...suites.map((one) => one.columns.length));
    grid.setAttribute('aria-rowcount', String(number));
    grid.setAttribute('aria-colcount', String(widest + 1));
    canvas.style.height = `${top}px`;
    const width = narrow.matches ? '100%' : `max(100%, ${15 + 9 * widest}rem)`;
    canvas.style.width = width;
    heading.style.width = width;
    canvas.replaceChildren();
    made = new Map();
    headed = undefined;
  }

  // The first item that ends below `top`.
  function firstBelow(top) {
    let [low, high] = [0, items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (items[middle].top + items[middle].height > top) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function draw() {
    const top = grid.scrollTop;
    scrolled = top;
    const from = Math.max(0, firstBelow(top) - OVERSCAN);
    const to = Math.min(items.length, firstBelow(top + grid.clientHeight) + 1 + OVERSCAN);
    show(from, to);
    const current = items[Math.min(firstBelow(top), items.length - 1)];
    if (current && headed !== current.suite) {
      headed = current.suite;
      replace(heading, headCells(current.suite));
      columns(heading, current.suite);
    }
    heading.hidden = !current || top === 0;
  }

  function show(from, to) {
    for (const [index, node] of made) {
      if (index < from || index >= to) {
        node.remove();
        made.delete(index);
      }
    }
    const fresh = document.createDocumentFragment();
    for (let index = from; index < to; index += 1) {
      if (made.has(index)) continue;
      const node = items[index].row ? caseRow(items[index]) : suiteRow(items[index]);
      node.style.top = `${items[index].top}px`;
      node.style.height = `${items[index].height}px`;
      made.set(index, node);
      fresh.append(node);
    }
    canvas.append(fresh);
  }

  function columns(node, suite) {
    node.style.setProperty('--columns', String(suite.columns.length));
  }

  function headCells(suite) {
    return [
      element('div', { role: 'rowheader', class: 'case-name' }, element('strong', { title: line(suite.name) }, line(suite.name)), element('span', { class: 'muted' }, ` ${counted(suite.rows.length, 'case')}`)),
      suite.columns.map((column) => element('div', { role: 'columnheader', class: 'column-name', title: `${line(column.prompt)}, ${line(column.model)}${column.gated ? '' : ' (informs only: the gate does not count it)'}` },
        element('span', { class: 'model' }, line(column.model, 60)), (suite.several || !column.gated) && element('span', { class: 'version' }, [versionOf(suite, column), !column.gated && 'informs only'].filter(Boolean).join(' · ')))),
    ];
  }

  function versionOf(suite, column) {
    return suite.several && line(suite.prompts > 1 ? column.prompt : `@${column.version}`, 60);
  }

  // Whose cell it is, where no heads of columns stand above it.
  function labelOf(suite, column) {
    const version = versionOf(suite, column);
    return element('span', { class: 'label', title: `${line(column.prompt)}, ${line(column.model)}` }, element('span', { class: 'model' }, line(column.model, 60)), version && element('span', { class: 'version' }, version));
  }

  function suiteRow(item) {
    const node = element('div', { class: 'suite-row', role: 'row', 'aria-rowindex': item.number }, headCells(item.suite));
    columns(node, item.suite);
    return node;
  }

  function caseRow(item) {
    const { row } = item;
    const node = element('div', { class: `case-row${row.suite.columns.length > MOST_BELOW ? ' many' : ''}`, role: 'row', 'aria-rowindex': item.number, 'data-row': row.index },
      element('div', { role: 'rowheader', class: 'case-name' }, element('a', { href: caseAddress(row), tabindex: '-1', title: line(row.id) }, line(row.id, 120))),
      row.cells.map((cell, column) => cell ? cellOf(row, cell, column) : element('div', { role: 'gridcell', class: 'cell absent', id: idOf(row, column), 'data-column': column, 'aria-label': 'not planned' }, labelOf(row.suite, row.suite.columns[column]), element('span', { class: 'excerpt' }, 'not planned'))));
    columns(node, row.suite);
    if (place.row === row) mark(node);
    return node;
  }

  function cellOf(row, cell, column) {
    const verdict = VERDICTS[cell.verdict];
    const snapshot = cell.snapshot.state;
    const news = snapshot === 'changed' || snapshot === 'new' || snapshot === 'unreadable';
    const warned = isWarned(cell);
    const text = headline(cell);
    return element('div', { role: 'gridcell', class: `cell ${verdict.kind}${cell.gated ? '' : ' informs'}${news ? ' news' : ''}`, id: idOf(row, column), 'data-column': column },
      element('span', { class: `mark ${verdict.kind}`, 'aria-hidden': 'true' }, verdict.mark), element('span', { class: 'visually-hidden' }, verdict.word),
      labelOf(row.suite, row.suite.columns[column]),
      news && element('span', { class: `badge ${snapshot}` }, SNAPSHOTS[snapshot]),
      warned && element('span', { class: 'badge warned' }, 'warning'),
      element('span', { class: 'excerpt', dir: 'auto' }, line(text, 160)), decided(cell));
  }

  function decided(cell) {
    const word = decisions.of(cell);
    return word && element('span', { class: `badge decided ${word === 'accept' ? 'pass' : 'fail'}` }, word === 'accept' ? 'accepted' : 'rejected');
  }

  function idOf(row, column) {
    return `cell-${row.index}-${column}`;
  }

  function mark(node) {
    node.classList.add('current');
    node.querySelector(`[data-column="${place.column}"]`)?.classList.add('current');
  }

  // Selects a place, brings it into view and tells it to assistive technology.
  function select(row, column) {
    canvas.querySelectorAll('.current').forEach((node) => node.classList.remove('current'));
    place = { row, column: Math.max(0, Math.min(column, row.suite.columns.length - 1)) };
    const index = items.findIndex((item) => item.row === row);
    if (index < 0) return;
    const { top, height } = items[index];
    const head = sizes().suite;
    if (top - head < grid.scrollTop) grid.scrollTop = index === 1 ? 0 : top - head;
    else if (top + height > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + height - grid.clientHeight;
    draw();
    const node = made.get(index);
    if (node) {
      mark(node);
      node.querySelector('.cell.current')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    }
    grid.setAttribute('aria-activedescendant', idOf(row, place.column));
  }

  function move(by, across) {
    const list = selection().rows;
    if (!list.length) return;
    const at = list.indexOf(place.row);
    const next = at < 0 ? 0 : Math.max(0, Math.min(list.length - 1, at + by));
    select(list[next], place.column + across);
  }

  function open() {
    if (place.row && selection().rows.includes(place.row)) go({ view: 'case', row: place.row, compare: '' });
  }

  function key(event) {
    const page = Math.max(1, Math.floor(grid.clientHeight / sizes().row) - 2);
    const steps = { j: [1, 0], ArrowDown: [1, 0], k: [-1, 0], ArrowUp: [-1, 0], h: [0, -1], ArrowLeft: [0, -1], l: [0, 1], ArrowRight: [0, 1], PageDown: [page, 0], PageUp: [-page, 0], Home: [-rows.length, 0], End: [rows.length, 0] };
    if (event.key in steps) move(...steps[event.key]);
    else if (event.key === 'Enter') open();
    else if ((event.key === 'a' || event.key === 'r') && place.row) decisions.decide(place.row.cells.filter(Boolean), event.key === 'a' ? 'accept' : 'reject');
    else return false;
    if (document.activeElement !== grid) grid.focus({ preventScroll: true });
    return true;
  }

  function update() {
    const { rows: list } = selection();
    // What is said in the meantime stands in the cells.
    const fresh = listed !== list || said !== decisions.count();
    said = decisions.count();
    listed = list;
    empty.hidden = list.length > 0;
    grid.hidden = list.length === 0;
    if (fresh) {
      lay(list);
      if (!list.includes(place.row)) scrolled = 0;
    }
    grid.scrollTop = scrolled;
    draw();
    if (fresh && list.includes(place.row)) select(place.row, place.column);
  }

  let awaited = false;
  grid.addEventListener('scroll', () => {
    if (awaited) return;
    awaited = true;
    requestAnimationFrame(() => { awaited = false; draw(); });
  }, { passive: true });
  grid.addEventListener('click', (event) => {
    const row = event.target.closest('.case-row');
    if (!row || event.target.closest('a') || String(getSelection()) !== '') return;
    select(rows[Number(row.dataset.row)], Number(event.target.closest('[data-column]')?.dataset.column ?? place.column));
    open();
  });
  grid.addEventListener('focus', () => {
    if (!place.row || !selection().rows.includes(place.row)) move(0, 0);
  });
  new ResizeObserver(() => { if (grid.isConnected) draw(); }).observe(grid);
  narrow.addEventListener('change', () => { if (grid.isConnected) { lay(listed ?? []); draw(); } });
  // A printer has no scrollbar: all rows stand on paper, as many as anyone prints.
  addEventListener('beforeprint', () => { if (grid.isConnected) show(0, Math.min(items.length, 3000)); });
  addEventListener('afterprint', () => { if (grid.isConnected) draw(); });

  const view = element('section', { class: 'cells', 'aria-label': 'Cells' }, element('h1', { class: 'visually-hidden', tabindex: '-1' }, 'Cells'), filterBar.bar, keys, empty, grid);
  return { view, update, key, select: (row) => { place = { row, column: place.row === row ? place.column : 0 }; }, focus: () => grid.focus({ preventScroll: true }) };
})();
