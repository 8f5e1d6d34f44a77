// The question of a verb beside the view: the same page that opens without script, in a dialog.
//
// Invariants: nothing is done here; the form is the daemon's and goes to its own address. While the daemon is lost or nobody is
// signed in, no form leaves: the browser would show what came of it in place of what was typed.

import { parse } from './trust.js';

/**
 * What only a browser knows: the view that a choice is made on, and the reader's own zone.
 * @param {Element | Document} part
 */
function fill(part) {
  for (const field of part.querySelectorAll('input[data-here]')) field.setAttribute('value', location.pathname + location.search);
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const zones of part.querySelectorAll('select[data-zones]')) {
    if (zones instanceof HTMLSelectElement && mine && ![...zones.options].some((zone) => zone.value === mine)) zones.add(new Option(`in mine, ${mine}`, mine));
  }
}

fill(document);

/** Whether nothing can be asked for now; the bar says why, and is said again. */
function isOut() {
  const notice = document.getElementById('lost');
  if (!notice) return false;
  notice.replaceWith(notice);
  return true;
}

/** @param {HTMLAnchorElement} link */
async function ask(link) {
  const answer = await fetch(link.href, { cache: 'no-store', redirect: 'manual' }).catch(() => null);
  // The bar says soon that the daemon is lost.
  if (!answer) return;
  if (!answer.ok) {
    location.assign(link.href);
    return;
  }
  const made = parse(await answer.text());
  const question = made.querySelector('.question');
  if (!question) {
    location.assign(link.href);
    return;
  }
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-label', question.querySelector('h1')?.textContent ?? 'Question');
  dialog.append(document.adoptNode(question));
  dialog.querySelector('[data-cancel]')?.addEventListener('click', (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    link.focus();
  });
  fill(dialog);
  document.body.append(dialog);
  dialog.showModal();
  const first = dialog.querySelector('input:not([type=hidden])');
  if (first instanceof HTMLElement) first.focus();
}

document.addEventListener('click', (event) => {
  const link = /** @type {Element} */ (event.target).closest('a[data-question]');
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  if (!isOut()) void ask(link);
});

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form instanceof HTMLFormElement && form.method === 'post' && isOut()) event.preventDefault();
});
