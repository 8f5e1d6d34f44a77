// A plan that is checked without losing the files that were chosen: a browser forgets them with the page.
//
// Invariant: the form is the daemon's and goes to its own address; what comes back is its own view.

import { parse } from './trust.js';

/** Fields whose files stay chosen from one check to the next; the plan's own text comes back in its field. */
const KEPT = ['file', 'discovered'];

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} submitter
 */
async function check(form, submitter) {
  const answer = await fetch(form.action, { method: 'POST', body: new FormData(form, submitter), cache: 'no-store', redirect: 'manual' }).catch(() => null);
  const made = parse((await answer?.text().catch(() => '')) ?? '');
  const next = made.getElementById('main');
  if (!next?.querySelector('[data-upload]')) {
    unchecked(form, next?.querySelector('p')?.textContent ?? 'The daemon did not answer, or you are signed out.');
    return;
  }
  for (const name of KEPT) {
    const [before, blank] = [form.elements.namedItem(name), next.querySelector(`input[name="${name}"]`)];
    if (before instanceof HTMLInputElement) blank?.replaceWith(before);
  }
  document.title = made.title;
  document.getElementById('main')?.replaceWith(document.adoptNode(next));
  const first = document.querySelector('#mistakes, #would');
  first?.setAttribute('tabindex', '-1');
  if (first instanceof HTMLElement) first.focus();
}

/**
 * Says why the plan was not checked; what was typed and chosen stays.
 * @param {HTMLFormElement} form
 * @param {string} why
 */
function unchecked(form, why) {
  const said = document.createElement('p');
  said.className = 'said';
  said.setAttribute('role', 'alert');
  said.textContent = `It was not checked, and nothing was done: ${why}`;
  form.querySelector('.said')?.remove();
  form.prepend(said);
}

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (event.defaultPrevented || !(form instanceof HTMLFormElement) || !form.matches('[data-upload]')) return;
  event.preventDefault();
  void check(form, event.submitter);
});

document.addEventListener('keydown', (event) => {
  const form = /** @type {Element} */ (event.target).closest('[data-upload]');
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && form instanceof HTMLFormElement) form.requestSubmit();
});

document.addEventListener('dragover', (event) => {
  if (document.querySelector('[data-upload]')) event.preventDefault();
});

document.addEventListener('drop', (event) => {
  const form = document.querySelector('[data-upload]');
  if (!(form instanceof HTMLFormElement) || !event.dataTransfer) return;
  event.preventDefault();
  const sorted = { plan: new DataTransfer(), file: new DataTransfer(), discovered: new DataTransfer() };
  for (const file of event.dataTransfer.files) {
    const first = /\.ya?ml$/.test(file.name) && sorted.plan.files.length === 0;
    sorted[first ? 'plan' : file.name.endsWith('.jsonl') ? 'discovered' : 'file'].items.add(file);
  }
  for (const [name, files] of Object.entries(sorted)) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement && files.files.length > 0) field.files = files.files;
  }
});
