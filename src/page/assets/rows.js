// Rows and ids by hand: copying, moving by keys, narrowing, and what a morph must leave alone.

// Paper has the address and the time of the view at the foot of each sheet.
const paper = document.querySelector('.paper')?.textContent;
if (paper) document.documentElement.style.setProperty('--paper', JSON.stringify(paper));

/** Keys of the views, after `g`. */
const VIEWS = { n: '/', r: '/rollouts', l: '/lanes', w: '/windows', e: '/enforcement', j: '/journal', p: '/plans/new' };

let after = '';

/** What a morph must not undo: open parts, what is typed or chosen, and the row that is being looked at. */
export const mayMorph = {
  /**
   * @param {string} name
   * @param {Element} node
   */
  beforeAttributeUpdated(name, node) {
    if (node.closest('form[data-kept]')) return !['value', 'selected'].includes(name);
    return !(name === 'open' && (node.localName === 'details' || node.localName === 'dialog')) && !(name === 'aria-current' && node.localName === 'tr');
  },
};

/**
 * Whether somebody is at these rows: with the pointer, with the keyboard, or with a selection.
 * @param {Element} table
 */
function isUsed(table) {
  const selected = getSelection();
  const holds = selected && !selected.isCollapsed && selected.anchorNode && table.contains(selected.anchorNode);
  return Boolean(holds) || table.matches(':hover') || table.contains(document.activeElement) || table.querySelector('tr[aria-current]') !== null;
}

/**
 * Leaves rows where they are while somebody is at them: what no longer fits is dimmed, what newly fits is told in a bar.
 * @param {Element} now the part that is shown
 * @param {Element} next what the daemon made of it, which is changed
 */
export function holdStill(now, next) {
  const [shown, made] = [now.querySelector('table[data-steady]'), next.querySelector('table[data-steady]')];
  if (!(shown instanceof HTMLTableElement) || !made || !isUsed(shown)) return;
  const fresh = new Map([...made.querySelectorAll('tbody tr[id]')].map((row) => [row.id, row]));
  let gone = 0;
  const bodies = [...shown.tBodies].map((body) => /** @type {HTMLElement} */ (body.cloneNode(true)));
  for (const row of bodies.flatMap((body) => [...body.querySelectorAll('tr[id]')])) {
    const found = fresh.get(row.id);
    if (found) {
      fresh.delete(row.id);
      row.replaceWith(found);
    } else {
      row.classList.add('gone');
      gone += 1;
    }
  }
  for (const body of made.querySelectorAll('tbody')) body.remove();
  made.append(...bodies);
  const news = next.querySelector('#news');
  if (!news || (fresh.size === 0 && gone === 0)) return;
  const parts = [fresh.size > 0 ? `${fresh.size} more newly fit` : '', gone > 0 ? `${gone} no longer fit` : ''];
  news.textContent = `${parts.filter((part) => part !== '').join(', ')}. `;
  const show = document.createElement('button');
  show.className = 'link';
  show.dataset.show = '';
  show.textContent = 'Show';
  news.append(show);
  news.removeAttribute('hidden');
}

/** @param {() => void} show shows the rows as they are */
export function onShow(show) {
  document.addEventListener('click', (event) => {
    if (!(/** @type {Element} */ (event.target).closest('[data-show]'))) return;
    document.querySelector('tr[aria-current]')?.removeAttribute('aria-current');
    getSelection()?.removeAllRanges();
    show();
  });
  document.addEventListener('pointerout', (event) => {
    const table = /** @type {Element} */ (event.target).closest('table[data-steady]');
    const left = table && !(event.relatedTarget instanceof Node && table.contains(event.relatedTarget));
    if (left && document.querySelector('#news:not([hidden])')) show();
  });
}

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
  const target = /** @type {Element} */ (event.target);
  if (target.closest('[data-print]')) print();
  if (target.closest('[data-copy-link]')) void copy(location.href);
});

// A choice narrows the changes at once; without script there is the button beside it.
document.addEventListener('change', (event) => {
  const form = event.target instanceof HTMLSelectElement && event.target.closest('form[data-kept]');
  if (form instanceof HTMLFormElement) form.requestSubmit();
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
  '?': () => document.getElementById('help')?.click(),
};

document.addEventListener('keydown', (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (document.documentElement.dataset.keys === 'off' || event.ctrlKey || event.metaKey || event.altKey || target.closest('input, textarea, select, dialog[open]')) return;
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
