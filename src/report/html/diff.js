// What differs between two texts, line by line and word by word, within a bounded time?

const MOST_LINE_EDITS = 1500;
const MOST_WORD_EDITS = 500;
const MOST_WORD_TEXT = 40_000;
const PATIENCE = 300;

// The shortest script from `left` to `right` (Myers), as runs [kind, count] with kind 'same', 'left', 'right'; undefined where it is too long or takes too long.
function script(left, right, most, until) {
  const [n, m] = [left.length, right.length];
  const bound = Math.min(most, n + m);
  const furthest = new Int32Array(2 * bound + 3);
  const origin = bound + 1;
  const trace = [];
  for (let edits = 0; edits <= bound; edits += 1) {
    if ((edits & 31) === 31 && performance.now() > until) return undefined;
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && furthest[origin + k - 1] < furthest[origin + k + 1]);
      let x = down ? furthest[origin + k + 1] : furthest[origin + k - 1] + 1;
      let y = x - k;
      while (x < n && y < m && left[x] === right[y]) { x += 1; y += 1; }
      furthest[origin + k] = x;
      if (x >= n && y >= m) return walkedBack(trace, edits, n, m);
    }
    trace.push(furthest.slice(origin - edits, origin + edits + 1));
  }
  return undefined;
}

function walkedBack(trace, edits, n, m) {
  const runs = [];
  const push = (kind, count) => {
    if (count === 0) return;
    const last = runs[runs.length - 1];
    if (last?.[0] === kind) last[1] += count;
    else runs.push([kind, count]);
  };
  let [x, y] = [n, m];
  for (let d = edits; d > 0; d -= 1) {
    const before = trace[d - 1];
    const at = (k) => before[k + d - 1];
    const k = x - y;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const from = at(down ? k + 1 : k - 1);
    push('same', x - (down ? from : from + 1));
    push(down ? 'right' : 'left', 1);
    x = from;
    y = from - (down ? k + 1 : k - 1);
  }
  push('same', x);
  return runs.reverse();
}

// Numbers for texts, the same for the same.
function numbered(...lists) {
  const numbers = new Map();
  const number = (text) => {
    if (!numbers.has(text)) numbers.set(text, numbers.size);
    return numbers.get(text);
  };
  return lists.map((list) => Int32Array.from(list, number));
}

function common(left, right) {
  const most = Math.min(left.length, right.length);
  let head = 0;
  while (head < most && left[head] === right[head]) head += 1;
  let tail = 0;
  while (tail < most - head && left[left.length - 1 - tail] === right[right.length - 1 - tail]) tail += 1;
  return { head, tail };
}

// Blocks in order: { same: true, text, lines } or { left: parts, right: parts } with parts { text, changed }. `cut`: too different for words.
function compared(left, right) {
  const until = performance.now() + PATIENCE;
  const [a, b] = [left.split('\n'), right.split('\n')];
  const { head, tail } = common(a, b);
  const blocks = [];
  let cut = false;
  const same = (lines) => {
    if (lines.length) blocks.push({ same: true, text: lines.join('\n'), lines: lines.length });
  };
  const change = (gone, come) => {
    const words = worded(gone.join('\n'), come.join('\n'), until);
    cut ||= words.cut;
    // An empty line is a line too.
    const side = (lines, parts) => (lines.length === 0 ? [] : parts.length ? parts : [{ text: '', changed: true }]);
    blocks.push({ same: false, left: side(gone, words.left), right: side(come, words.right) });
  };
  same(a.slice(0, head));
  const [middleA, middleB] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
  const [numbersA, numbersB] = numbered(middleA, middleB);
  const runs = script(numbersA, numbersB, MOST_LINE_EDITS, until);
  if (!runs) {
    cut = true;
    blocks.push({ same: false, left: middleA.length ? [{ text: middleA.join('\n'), changed: true }] : [], right: middleB.length ? [{ text: middleB.join('\n'), changed: true }] : [] });
  } else {
    let [x, y] = [0, 0];
    let [gone, come] = [[], []];
    const flush = () => {
      if (gone.length || come.length) change(gone, come);
      [gone, come] = [[], []];
    };
    for (const [kind, length] of runs) {
      if (kind === 'same') {
        flush();
        same(middleA.slice(x, x + length));
        x += length;
        y += length;
      } else if (kind === 'left') {
        gone = gone.concat(middleA.slice(x, x + length));
        x += length;
      } else {
        come = come.concat(middleB.slice(y, y + length));
        y += length;
      }
    }
    flush();
  }
  same(a.slice(a.length - tail));
  return { blocks, cut };
}

// The words that changed between two passages.
function worded(left, right, until) {
  const { head, tail } = outer(left, right);
  const [a, b] = [left.slice(head, left.length - tail), right.slice(head, right.length - tail)];
  const whole = (text, cut) => ({ left: joined([[left.slice(0, head), false], [a, true], [left.slice(left.length - tail), false]]), right: joined([[right.slice(0, head), false], [b, true], [right.slice(right.length - tail), false]]), cut });
  if (a.length + b.length > MOST_WORD_TEXT) return whole(a, true);
  const [wordsA, wordsB] = [split(a), split(b)];
  const [numbersA, numbersB] = numbered(wordsA, wordsB);
  const runs = script(numbersA, numbersB, MOST_WORD_EDITS, until);
  if (!runs) return whole(a, true);
  const [partsA, partsB] = [[[left.slice(0, head), false]], [[right.slice(0, head), false]]];
  let [x, y, kept] = [0, 0, 0];
  runs.forEach(([kind, length], index) => {
    const textA = kind === 'right' ? '' : wordsA.slice(x, x + length).join('');
    const textB = kind === 'left' ? '' : wordsB.slice(y, y + length).join('');
    // A blank between two changed words is no island of its own.
    const between = kind === 'same' && index > 0 && index < runs.length - 1 && /^\s*$/.test(textA);
    if (kind === 'same' && !between) kept += textA.replace(/\s/g, '').length;
    if (kind !== 'right') { partsA.push([textA, kind === 'left' || between]); x += length; }
    if (kind !== 'left') { partsB.push([textB, kind === 'right' || between]); y += length; }
  });
  // Passages that share a word here and there are easier to read as two.
  const size = Math.max(a.replace(/\s/g, '').length, b.replace(/\s/g, '').length);
  if (a && b && kept < size / 5) return whole(a, false);
  partsA.push([left.slice(left.length - tail), false]);
  partsB.push([right.slice(right.length - tail), false]);
  return { left: joined(partsA), right: joined(partsB), cut: false };
}

function split(text) {
  return text.match(/[\p{L}\p{M}\p{N}_]+|\s+|[^\p{L}\p{M}\p{N}_\s]/gu) ?? [];
}

// What two texts begin and end with alike, in whole words.
function outer(left, right) {
  let { head, tail } = common(left, right);
  const isInner = (text, at) => /[\p{L}\p{M}\p{N}_\ud800-\udfff]/u.test(text[at - 1] ?? ' ') && /[\p{L}\p{M}\p{N}_\ud800-\udfff]/u.test(text[at] ?? ' ');
  while (head > 0 && (isInner(left, head) || isInner(right, head))) head -= 1;
  while (tail > 0 && (isInner(left, left.length - tail) || isInner(right, right.length - tail))) tail -= 1;
  return { head, tail };
}

function joined(parts) {
  const whole = [];
  for (const [text, changed] of parts) {
    if (text === '') continue;
    const last = whole[whole.length - 1];
    if (last?.changed === changed) last.text += text;
    else whole.push({ text, changed });
  }
  return whole;
}

// JSON with a line for each member, its numbers and strings exactly as they came; undefined where the text is no object or list.
function laidOut(text) {
  const fenced = /^(\s*```\w*\n)([^]*?)(\n```\s*)$/.exec(text.length > 1_000_000 ? '' : text);
  if (fenced) {
    const inner = laidOut(fenced[2]);
    return inner && fenced[1] + inner + fenced[3];
  }
  if (text.length > 1_000_000 || !/^\s*[[{]/.test(text)) return undefined;
  try { JSON.parse(text); } catch { return undefined; }
  const parts = [];
  let depth = 0;
  let before = 'other';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/g)) {
    const closes = token === '}' || token === ']';
    if (closes) depth -= 1;
    const isEmpty = closes && before === 'open';
    if (closes ? !isEmpty : before !== 'other') parts.push(`\n${'  '.repeat(depth)}`);
    const opens = token === '{' || token === '[';
    before = opens ? 'open' : token === ',' ? 'comma' : 'other';
    parts.push(token === ':' ? ': ' : token);
    if (opens) depth += 1;
    // Deeper than anyone reads, and every level would widen every line.
    if (depth > 60) return undefined;
  }
  return parts.join('');
}
