// How are outputs and differences shown: whole, bounded at first sight, every change visible without colour?

const FIRST_SIGHT = 40_000;
const EACH_MORE = 400_000;

// Where a text can be cut near `at` without cutting a character.
function whole(text, at) {
  return /[\ud800-\udbff]/.test(text[at - 1] ?? '') ? at - 1 : at;
}

// A text as it came. A very long one is shown in parts, so that the page stays quick.
function passage(text, label) {
  const pre = element('pre', { class: 'output', dir: 'auto', tabindex: '0', 'aria-label': label }, shown(text.slice(0, whole(text, FIRST_SIGHT))));
  if (text.length <= FIRST_SIGHT) return pre;
  let from = whole(text, FIRST_SIGHT);
  const more = element('button', { type: 'button', class: 'quiet', click: () => {
    const to = whole(text, from + EACH_MORE);
    append(pre, shown(text.slice(from, to)));
    from = to;
    if (from >= text.length) more.remove();
    else more.textContent = rest();
  } });
  const rest = () => `Show more (${bytes(text.slice(from))} left)`;
  more.textContent = rest();
  return element('div', null, pre, more);
}

// An output; JSON with a line for each member, and as it came at a click.
function outputBlock(text, label) {
  if (text === '') return element('p', { class: 'muted' }, 'The reply has no text.');
  const formatted = laidOut(text);
  const copy = copying('Copy', () => text);
  if (formatted === undefined || formatted === text) return element('div', { class: 'with-tools' }, passage(text, label), element('div', { class: 'tools' }, copy));
  const place = element('div', null, passage(formatted, label));
  let raw = false;
  const toggle = element('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', click: () => {
    raw = !raw;
    toggle.setAttribute('aria-pressed', String(raw));
    replace(place, passage(raw ? text : formatted, label));
  } }, 'As it came');
  return element('div', { class: 'with-tools' }, place, element('div', { class: 'tools' }, toggle, copy));
}

function difference(diff) {
  return diff.text ? textDifference(diff.text) : jsonDifference(diff.json ?? []);
}

const SIGNS = { same: ' ', removed: '−', added: '+' };
const CHANGES = { same: undefined, removed: 'del', added: 'ins' };

// The lines of a diff that the report holds: unified, words emphasised.
function textDifference(diff) {
  const hunks = diff.hunks.map((hunk, index) => [
    (index > 0 || hunk.old_start > 1) && element('div', { class: 'hunk' }, `line ${count(hunk.new_start)}`),
    hunk.lines.map((one) => element('div', { class: `diff-line ${one.change}` },
      element('span', { class: 'sign', 'aria-label': one.change === 'same' ? undefined : one.change }, SIGNS[one.change]),
      element('span', { class: 'diff-text' }, one.parts.map((part) => (part.emphasised && CHANGES[one.change] ? changedPart(CHANGES[one.change], part.text) : shown(part.text)))))),
  ]);
  return [
    element('div', { class: 'diff', dir: 'auto', tabindex: '0', role: 'group', 'aria-label': 'Difference' }, hunks),
    diff.cut && element('p', { class: 'muted' }, 'Some of the difference was left out: it was too large or took too long.'),
  ];
}

// An item that was taken out at one place of an array and put in, equal, at another one moved; the second of the two has no row of its own.
function withMoves(changes) {
  const open = new Map();
  const rows = [];
  for (const change of changes) {
    const out = change.old !== undefined;
    const array = /^(.*)\[\d+\]$/.exec(change.path)?.[1];
    const row = { change };
    if (array !== undefined && !change.shortened && out !== (change.new !== undefined)) {
      const key = JSON.stringify([array, out ? change.old : change.new]);
      const waiting = open.get(key) ?? [];
      const at = waiting.findIndex((other) => other.out !== out);
      if (at >= 0) {
        const [{ row: other }] = waiting.splice(at, 1);
        const [from, to] = out ? [change, other.change] : [other.change, change];
        Object.assign(other, { from: from.path, to: to.path, value: from.old });
        continue;
      }
      open.set(key, [...waiting, { out, row }]);
    }
    rows.push(row);
  }
  return rows;
}

function jsonDifference(changes) {
  const value = (kind, what) => (what === undefined ? element('span', { class: 'muted' }, '–') : element(kind, null, shown(JSON.stringify(what, null, 2))));
  const path = (text) => element('code', null, shown(text));
  const row = ({ change, from, to, value: moved }) => (from === undefined
    ? element('tr', null, element('th', { scope: 'row' }, path(change.path)), element('td', null, value('del', change.old)), element('td', null, value('ins', change.new)))
    : element('tr', null, element('th', { scope: 'row' }, path(from), ' → ', path(to)), element('td', { colspan: '2' }, 'moved ', shown(JSON.stringify(moved)))));
  return element('div', { class: 'scrolling', tabindex: '0', role: 'group', 'aria-label': 'Difference by path' }, element('table', { class: 'paths' },
    element('thead', null, element('tr', null, ['Path', 'Before', 'After'].map((head) => element('th', { scope: 'col' }, head)))),
    element('tbody', null, withMoves(changes).map(row))));
}

// Blanks that changed are coloured, but nothing is struck through or underlined where there is no word.
function changedPart(tag, text) {
  return element(tag, { class: /\S/.test(text) ? undefined : 'blank' }, text === '' ? '⏎' : shown(text));
}

const CONTEXT = 3;

// Two texts beside each other, what changed marked, long passages that are the same folded.
function sideBySide(left, right, names) {
  const [a, b] = [laidOut(left) ?? left, laidOut(right) ?? right];
  if (a === b) return element('p', { class: 'equal' }, left === right ? 'Both outputs are the same, to the last character.' : 'Both outputs are the same JSON, laid out differently.');
  const { blocks, cut } = compared(a, b);
  const cells = (same, one, other) => [element('div', { class: `side left${same ? ' same' : ''}`, dir: 'auto' }, one), element('div', { class: `side right${same ? ' same' : ''}`, dir: 'auto' }, other)];
  const parts = (tag, list) => {
    let room = EACH_MORE;
    return list.map((part) => {
      const text = part.text.slice(0, Math.max(0, room));
      room -= part.text.length;
      return [part.changed ? changedPart(tag, text) : shown(text), text.length < part.text.length && element('span', { class: 'muted' }, ` … ${bytes(part.text.slice(text.length))} more`)];
    });
  };
  const same = (text) => cells(true, shown(text), shown(text));
  const rowsOf = (block, index) => {
    if (!block.same) return cells(false, parts('del', block.left), parts('ins', block.right));
    const lines = block.text.split('\n');
    const [head, tail] = [index === 0 ? 0 : CONTEXT, index === blocks.length - 1 ? 0 : CONTEXT];
    const hidden = lines.length - head - tail;
    if (hidden <= 3) return same(block.text);
    const folded = element('button', { type: 'button', class: 'folded', click: () => folded.replaceWith(...same(lines.slice(head, lines.length - tail).join('\n').slice(0, EACH_MORE))) }, `${count(hidden)} lines are the same`);
    return [head > 0 && same(lines.slice(0, head).join('\n')), folded, tail > 0 && same(lines.slice(-tail).join('\n'))];
  };
  return [
    cut && element('p', { class: 'notice' }, 'These outputs are too long and too different for every word: whole passages are marked.'),
    element('div', { class: 'sides', tabindex: '0', role: 'group', 'aria-label': 'Difference between two outputs' },
      ['− ', '+ '].map((sign, index) => element('div', { class: 'side-name' }, element('span', { class: 'muted', 'aria-hidden': 'true' }, sign), names[index])),
      blocks.map(rowsOf)),
  ];
}

function jsonBlock(value) {
  return passage(JSON.stringify(value, null, 2), 'JSON');
}
