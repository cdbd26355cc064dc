// In which words and figures do all parts of the page name the same thing?

const VERDICTS = {
  pass: { mark: '✓', word: 'passed', kind: 'pass' },
  fail: { mark: '✕', word: 'failed', kind: 'fail' },
  error: { mark: '!', word: 'no verdict', kind: 'error' },
  skipped: { mark: '–', word: 'skipped', kind: 'skipped' },
};

const SNAPSHOTS = { same: 'same', changed: 'changed', new: 'new', unreadable: 'unreadable', none: 'none' };

const SKIPS = {
  interrupted: 'the run was interrupted',
  budget: 'it could have passed the budget',
  max_fail: '`--max-fail` was reached',
  model_unavailable: 'the model cannot be reached',
  store_failed: 'the store takes no more, so nothing more was asked',
  endpoint_down: 'the endpoint is down',
  batch: '',
  run_timeout: "the run's time limit passed",
};

const GATES = { pass: 'holds', fail: 'fails', missing: 'missing', undecided: 'undecided' };

// `rate_limited` as people write it; also for what a later version of the report adds.
function plain(name) {
  return String(name).replace(/_/g, ' ');
}

function skipWords(reason) {
  if (typeof reason === 'string') return SKIPS[reason] ?? plain(reason);
  const [kind, words] = Object.entries(reason)[0] ?? ['', ''];
  return [SKIPS[kind] ?? plain(kind), words].filter(Boolean).join(': ');
}

function count(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

function compact(number) {
  if (number < 10_000) return count(number);
  const [unit, sign] = number < 1_000_000 ? [1e3, 'k'] : [1e6, 'M'];
  return `${(Math.floor(number / (unit / 10)) / 10).toFixed(1)}${sign}`;
}

// Rounded down, so that `99.9 %` is never shown as 100.
function share(part, whole) {
  return whole === 0 ? '–' : `${(Math.floor((part * 1000) / whole) / 10).toFixed(1)} %`;
}

function duration(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  const two = (number) => String(number).padStart(2, '0');
  if (milliseconds < 1000) return `${milliseconds} ms`;
  if (milliseconds < 60_000) return `${(Math.floor(milliseconds / 100) / 10).toFixed(1)} s`;
  if (milliseconds < 3_600_000) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

// Decimal dollars, exact: pico-dollars in an integer.
function money(text) {
  const match = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(text ?? '0');
  if (!match) return 0n;
  const pico = BigInt(match[2]) * 10n ** 12n + BigInt((match[3] ?? '').padEnd(12, '0'));
  return match[1] ? -pico : pico;
}

function dollars(pico) {
  const size = pico < 0n ? -pico : pico;
  let decimals = 2;
  if (size > 0n) decimals = size < 10n ** 6n ? 8 : size < 10n ** 9n ? 6 : size < 10n ** 12n ? 4 : 2;
  const unit = 10n ** BigInt(12 - decimals);
  const rounded = String((size + unit / 2n) / unit).padStart(decimals + 1, '0');
  return `${pico < 0n && size > 0n ? '-' : ''}$${rounded.slice(0, -decimals)}.${rounded.slice(-decimals)}`;
}

// What the answers of a group are worth, paid now or earlier; simulated money is marked and never added to real money.
function worth(bill) {
  const real = money(bill.spent_usd) + money(bill.saved_by_store_usd);
  const simulated = money(bill.simulated_usd);
  const more = bill.unpriced_samples > 0 || bill.unknown_attempts > 0 ? '+' : '';
  if (real === 0n && simulated === 0n && bill.unpriced_samples > 0) return 'unpriced';
  if (simulated === 0n) return `${dollars(real)}${more}`;
  if (real === 0n) return `${dollars(simulated)}${more} simulated`;
  return `${dollars(real)}${more}, ${dollars(simulated)} simulated`;
}

function bytes(text) {
  const size = text.length;
  return size < 10_000 ? counted(size, 'character') : size < 1e6 ? `${Math.round(size / 1000)}k characters` : `${(size / 1e6).toFixed(1)}M characters`;
}
