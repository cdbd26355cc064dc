// How does something get onto the page? As nodes and texts, never as HTML: whatever a model wrote stays text.

const SVG = 'http://www.w3.org/2000/svg';

// What emoji are made of.
const PICTURES = '\\u203c\\u2049\\u2100-\\u214f\\u2190-\\u21ff\\u2300-\\u27bf\\u2900-\\u297f\\u2b00-\\u2bff\\u3030\\u303d\\u3297\\u3299\\u{1f000}-\\u{1faff}';
// What would be acted upon or not seen: the same characters as in every other report. Line breaks and tabs stay.
const HIDDEN = new RegExp([
  '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0d\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]',
  // A joiner that joins nothing: neither behind a letter of a script that has joiners, nor between emoji.
  '(?<![\\u0600-\\u109f\\u1700-\\u18af\\u1900-\\u1cff\\ua800-\\uabff\\ufb50-\\ufdff\\ufe70-\\ufefc\\u{10a00}-\\u{11fff}\\u{1e900}-\\u{1e95f}](?=[^][^]))(?<!PICTURED(?=[^]PICTURED))[\\u200c\\u200d]'
    .replaceAll('PICTURED', `[\\ufe0f\\u20e3${PICTURES}]`),
  // A selector behind what has but one look, or behind another selector.
  `(?<![#*0-9\\u00a9\\u00ae${PICTURES}])[\\ufe0e\\ufe0f]`,
  '(?<![\\u1820-\\u18aa])[\\u180b-\\u180d\\u180f]',
].join('|'), 'gu');
// In an output also a backslash that would read like an escape of ours: the letters are never taken for the character.
const WRITTEN = new RegExp(`\\\\(?=u\\{[0-9A-Fa-f]{1,6}\\})|${HIDDEN.source}`, 'gu');
const MOST_MARKED = 2000;

function element(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawing(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

// A function is what listens to an event of that name; everything else is an attribute. Nothing that comes from a report names an attribute.
function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(node, child);
    else if (child !== undefined && child !== null && child !== false) node.append(child);
  }
}

function replace(node, ...children) {
  node.replaceChildren();
  append(node, children);
}

function code(character) {
  return `\\u{${character.codePointAt(0).toString(16)}}`;
}

// A text with its hidden characters written out and marked.
function shown(text, hidden = HIDDEN) {
  if (text.search(hidden) < 0) return [text];
  const nodes = [];
  let from = 0;
  let marked = 0;
  for (const match of text.matchAll(hidden)) {
    if (++marked > MOST_MARKED) break;
    if (match.index > from) nodes.push(text.slice(from, match.index));
    const written = match[0] === '\r' ? '\\r' : code(match[0]);
    nodes.push(element('span', { class: 'hidden-character', title: 'a character that would not be seen' }, written));
    from = match.index + match[0].length;
  }
  nodes.push(text.slice(from).replace(hidden, code));
  return nodes;
}

// An output, or a part of one.
function written(text) {
  return shown(text, WRITTEN);
}

// The same on one line, as a string: for names, titles and labels.
function line(text, most = 300) {
  const whole = String(text).slice(0, 4 * most).replace(HIDDEN, code).replace(/\n/g, '⏎ ').replace(/\t/g, ' ');
  return whole.length > most ? `${whole.slice(0, most)}…` : whole;
}

// Prose of ours with code between backquotes, as the messages have it.
function prose(text) {
  const parts = String(text).split('`');
  if (parts.length % 2 === 0) return [element('span', { class: 'prose' }, shown(String(text)))];
  return parts.map((part, index) => (index % 2 ? element('code', null, shown(part)) : element('span', { class: 'prose' }, shown(part))));
}

// A button that copies; where that is not allowed the text can still be selected.
function copying(label, text) {
  const button = element('button', { type: 'button', class: 'quiet', click: async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Select and copy it by hand';
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  } }, label);
  return button;
}

function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

// What the browser keeps between visits; a page from a disk may not have it.
function remembered(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* The page works without. */ }
}
