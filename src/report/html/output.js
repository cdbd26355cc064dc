// How are outputs and differences shown: whole, bounded at first sight, every change visible without colour?

const FIRST_SIGHT = 40_000;
const EACH_MORE = 400_000;

// Where a text can be cut near `at` without cutting a character.
function whole(text, at) {
  return /[\ud800-\udbff]/.test(text[at - 1] ?? '') ? at - 1 : at;
}

// A text as it came. A very long one is shown in parts, so that the page stays quick.
function passage(text, label) {
  const pre = element('pre', { class: 'output', dir: 'auto', tabindex: '0', 'aria-label': label }, written(text.slice(0, whole(text, FIRST_SIGHT))));
  if (text.length <= FIRST_SIGHT) return pre;
  let from = whole(text, FIRST_SIGHT);
  const more = element('button', { type: 'button', class: 'quiet', click: () => {
    const to = whole(text, from + EACH_MORE);
    append(pre, written(text.slice(from, to)));
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

// Blanks between two changed words belong to the change, and a line that changed whole needs no marks.
function marked({ change, parts }) {
  const isBlank = (part) => part.text.trim() === '';
  const joint = parts.map((part, index) => ({ text: part.text, emphasised: Boolean(CHANGES[change] && (part.emphasised || (isBlank(part) && parts[index - 1]?.emphasised && parts[index + 1]?.emphasised))) }));
  const whole = joint.every((part) => part.emphasised || isBlank(part)) && joint.some((part) => !isBlank(part));
  const merged = [];
  for (const { text, emphasised } of joint) {
    const last = merged[merged.length - 1];
    if (last && last.emphasised === (emphasised && !whole)) last.text += text;
    else merged.push({ text, emphasised: emphasised && !whole });
  }
  return merged;
}

const SIGNS = { same: ' ', removed: '−', added: '+' };
const CHANGES = { same: undefined, removed: 'del', added: 'ins' };

// The lines of a diff that the report holds: unified, words emphasised.
function textDifference(diff) {
  const hunks = diff.hunks.map((hunk, index) => [
    (index > 0 || hunk.old_start > 1) && element('div', { class: 'hunk' }, `line ${count(hunk.new_start)}`),
    hunk.lines.map((one) => element('div', { class: `diff-line ${one.change}` },
      element('span', { class: 'sign', 'aria-label': one.change === 'same' ? undefined : one.change }, SIGNS[one.change]),
      element('span', { class: 'diff-text' }, marked(one).map((part) => (part.emphasised ? changedPart(CHANGES[one.change], part.text) : written(part.text)))))),
  ]);
  return [
    element('div', { class: 'diff', dir: 'auto', tabindex: '0', role: 'group', 'aria-label': 'Difference' }, hunks),
    leftOut(diff) && element('p', { class: 'muted' }, leftOut(diff)),
  ];
}

function leftOut({ cut, left_out_removed: removed = 0, left_out_added: added = 0 }) {
  const sides = [removed > 0 && `${count(removed)} removed`, added > 0 && `${count(added)} added`].filter(Boolean);
  if (sides.length) return `… ${removed + added === 1 ? '1 more line is' : `${count(removed + added)} more lines are`} not shown: ${sides.join(', ')}`;
  return cut && 'Some of the difference was left out: it was too large or took too long.';
}

// Which changes are one item that was taken out of a list and put in, equal, at another place: of each pair the first with the other, the second with nothing.
function moves(changes) {
  const open = new Map();
  const moved = new Map();
  changes.forEach((change, index) => {
    const list = /^(.*)\[\d+\]$/.exec(change.path)?.[1];
    if (list === undefined || change.shortened || (change.old === undefined) === (change.new === undefined)) return;
    const key = JSON.stringify([list, change.old ?? change.new ?? null]);
    const here = open.get(key) ?? [];
    const at = here.findIndex((other) => (changes[other].old === undefined) !== (change.old === undefined));
    if (at < 0) open.set(key, [...here, index]);
    else {
      const other = here.splice(at, 1)[0];
      // Where it was, while its neighbours moved: nothing to tell.
      moved.set(other, changes[other].path === change.path ? null : change).set(index, null);
    }
  });
  // Of what is not there nobody knows whether it is the same value once more.
  if (!changes[changes.length - 1]?.left_out) movedElsewhere(changes, moved);
  return moved;
}

// From one object or array to another moves only a value that is taken for itself, and not for one that is equal by chance.
function movedElsewhere(changes, moved) {
  const sides = new Map();
  changes.forEach((change, index) => {
    if (change.shortened || moved.has(index) || (change.old === undefined) === (change.new === undefined)) return;
    const value = JSON.stringify(change.old ?? change.new ?? null);
    const both = sides.get(value) ?? { gone: [], come: [] };
    both[change.new === undefined ? 'gone' : 'come'].push(index);
    sides.set(value, both);
  });
  const member = (path) => /\['((?:[^'\\]|\\.)*)'\]$|\.([^.\]]*)$/.exec(path)?.[0];
  for (const { gone, come } of sides.values()) {
    if (gone.length !== 1 || come.length !== 1) continue;
    const [first, second] = [Math.min(gone[0], come[0]), Math.max(gone[0], come[0])];
    const key = member(changes[first].path);
    if (isTelling(changes[gone[0]].old, key !== undefined && key === member(changes[second].path))) moved.set(first, changes[second]).set(second, null);
  }
}

function isTelling(value, sameKey) {
  if (typeof value === 'number') return sameKey;
  if (typeof value === 'string') return [...value.slice(0, 8)].length >= (sameKey ? 1 : 4);
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}

const SHORT = 60;

function jsonDifference(changes) {
  const moved = moves(changes);
  const path = (one) => element('code', null, shown(one.path));
  const value = (kind, what) => element(kind, null, shown(JSON.stringify(what, null, JSON.stringify(what).length > SHORT ? 2 : 0)));
  const told = (change, other) => {
    if (other) {
      const [from, to] = change.old === undefined ? [other, change] : [change, other];
      return [element('p', null, path(from), ' → ', path(to), element('span', { class: 'badge changed' }, 'moved')), element('div', { class: 'stayed' }, shown(JSON.stringify(from.old)))];
    }
    const [before, after] = [change.old !== undefined && value('del', change.old), change.new !== undefined && value('ins', change.new)];
    return [element('p', null, path(change), !before && element('span', { class: 'badge' }, 'added'), !after && element('span', { class: 'badge' }, 'removed')), element('div', { class: 'values' }, before, before && after && element('span', { class: 'muted' }, ' → '), after)];
  };
  const leftOut = changes[changes.length - 1]?.left_out ?? 0;
  return [
    element('ul', { class: 'paths', 'aria-label': 'Difference by path' }, changes.map((change, index) => moved.get(index) !== null && element('li', null, told(change, moved.get(index))))),
    changes.some((change) => change.shortened) && element('p', { class: 'muted' }, 'Values that end in … are shortened: the output has them whole.'),
    leftOut > 0 && element('p', { class: 'muted' }, `${counted(leftOut, 'further change')} left out: the difference is too large to keep whole.`),
  ];
}

// Blanks that changed are coloured, but nothing is struck through or underlined where there is no word.
function changedPart(tag, text) {
  return element(tag, { class: /\S/.test(text) ? undefined : 'blank' }, text === '' ? '⏎' : written(text));
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
      return [part.changed ? changedPart(tag, text) : written(text), text.length < part.text.length && element('span', { class: 'muted' }, ` … ${bytes(part.text.slice(text.length))} more`)];
    });
  };
  const same = (text) => cells(true, written(text), written(text));
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
