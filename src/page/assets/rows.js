// Rows and ids by hand: copying, moving by keys, and what a morph must leave alone.

/** Keys of the views, after `g`. */
const VIEWS = { n: '/', r: '/rollouts', l: '/lanes', w: '/windows', e: '/enforcement', j: '/journal' };

let after = '';

/** What a morph must not undo: open parts, and the row that is being looked at. */
export const mayMorph = {
  /**
   * @param {string} name
   * @param {Element} node
   */
  beforeAttributeUpdated(name, node) {
    return !(name === 'open' && (node.localName === 'details' || node.localName === 'dialog')) && !(name === 'aria-current' && node.localName === 'tr');
  },
};

/** @param {string} text */
async function copy(text) {
  await navigator.clipboard.writeText(text);
  const said = document.createElement('div');
  said.className = 'copied';
  said.setAttribute('role', 'status');
  said.textContent = `Copied ${text}`;
  document.body.append(said);
  setTimeout(() => said.remove(), 1_500);
}

document.addEventListener('click', (event) => {
  const button = /** @type {Element} */ (event.target).closest('[data-copy]');
  if (button instanceof HTMLElement && button.dataset.copy) void copy(button.dataset.copy);
});

document.addEventListener('click', (event) => {
  if (/** @type {Element} */ (event.target).closest('[data-print]')) print();
});

/** @param {number} step */
function move(step) {
  const rows = [...document.querySelectorAll('.rows tbody tr[id]')];
  if (rows.length === 0) return;
  const now = rows.findIndex((row) => row.hasAttribute('aria-current'));
  const next = rows[Math.min(Math.max(now + step, 0), rows.length - 1)];
  rows[now]?.removeAttribute('aria-current');
  next.setAttribute('aria-current', 'true');
  next.scrollIntoView({ block: 'nearest' });
}

/** @type {Record<string, (row: Element | null) => void>} */
const ON_ROW = {
  j: () => move(1),
  k: () => move(-1),
  Enter: (row) => row?.querySelector('a')?.click(),
  c: (row) => {
    const id = row?.querySelector('[data-copy]') ?? document.querySelector('main [data-copy]');
    if (id instanceof HTMLElement && id.dataset.copy) void copy(id.dataset.copy);
  },
  '[': () => document.querySelector('a[rel=prev]') instanceof HTMLElement && /** @type {HTMLElement} */ (document.querySelector('a[rel=prev]')).click(),
  ']': () => document.querySelector('a[rel=next]') instanceof HTMLElement && /** @type {HTMLElement} */ (document.querySelector('a[rel=next]')).click(),
  '/': () => document.getElementById('find')?.focus(),
};

document.addEventListener('keydown', (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input, textarea, select, dialog[open]')) return;
  if (event.key === 'Enter' && target !== document.body && target.id !== 'main') return;
  const view = after === 'g' ? VIEWS[/** @type {keyof typeof VIEWS} */ (event.key)] : undefined;
  after = event.key;
  if (view) {
    location.assign(view);
    return;
  }
  const act = ON_ROW[event.key];
  if (!act) return;
  event.preventDefault();
  act(document.querySelector('tr[aria-current]'));
});
