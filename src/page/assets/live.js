// Keeps a view live: a stream says that something moved, then the view's own address is asked again and morphed in.
//
// Invariants: what is shown is always a view that the daemon made; a stream that is lost is said to be lost; a tab that
// nobody sees holds no connection.

import { Idiomorph } from './vendor/idiomorph.esm.js';
import { setClock } from './clock.js';
import { holdStill, mayMorph, onShow } from './rows.js';
import { parse } from './trust.js';
import './dialog.js';
import './upload.js';

/** The stream says something at least this often, in milliseconds; after that it is lost. */
const SILENT_MAX = 35_000;
/** Views are asked for at most this often. */
const PACE = 250;
/** Waits before a lost stream is opened again; the last one for ever. */
const RETRY = [1_000, 2_000, 5_000, 10_000];
/** Without a stream a visible tab asks this often. */
const POLL = 5_000;
/** Streams of one browser: a connection each, of which a browser has six. */
const STREAMS = 4;

/** @type {EventSource | null} */
let source = null;
let silence = 0;
let lost = 0;
let tag = '';
let asking = false;
let again = false;
let last = 0;
let opening = false;
let polling = false;
/** Whoever looks has no session any more. */
let out = false;
/** What the forms carry is of a session that ended. */
let stale = false;
/** @type {(() => void) | null} */
let release = null;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Says how live the view is.
 * @param {'live' | 'lost' | 'out' | 'still'} state
 * @param {string} text
 */
function say(state, text) {
  const live = element('live');
  if (live.dataset.state === state) return;
  live.textContent = text;
  live.dataset.state = state;
  document.documentElement.dataset.live = state;
  document.getElementById('lost')?.remove();
  if (state !== 'lost' && state !== 'out') return;
  const notice = document.createElement('div');
  notice.id = 'lost';
  notice.className = 'notice lost';
  notice.setAttribute('role', 'alert');
  const at = element('clock').textContent;
  if (state === 'lost') {
    notice.textContent = `Not live since ${at}; this is how it was. Trying again.`;
  } else {
    const link = document.createElement('a');
    link.href = '/sign-in';
    link.target = '_blank';
    link.textContent = 'Sign in';
    notice.append(`You are signed out since ${at}; this is how it was. `, link, ' in another tab and come back: what you typed stays.');
  }
  element('notices').before(notice);
}

/** Nothing is asked for any more until somebody looks at this tab again. */
function signedOut() {
  [out, stale] = [true, true];
  close();
  say('out', 'Signed out');
}

/**
 * Asks for the view again, one at a time and not too often.
 * @returns {Promise<boolean>} whether somebody answered, or is being asked
 */
async function refresh() {
  // A report, and a plan that is being written, stay as they are.
  if (document.querySelector('main[data-still]') && !stale) return true;
  if (asking) {
    again = true;
    return true;
  }
  let answered = true;
  asking = true;
  const wait = last + PACE - performance.now();
  if (wait > 0) await new Promise((done) => setTimeout(done, wait));
  last = performance.now();
  try {
    const answer = await fetch(location.href, { headers: tag ? { 'If-None-Match': tag } : {}, cache: 'no-store', redirect: 'manual' });
    if (answer.type === 'opaqueredirect' || answer.status === 401) {
      signedOut();
    } else if (answer.status !== 304) {
      tag = answer.headers.get('ETag') ?? '';
      morph(await answer.text());
    }
  } catch {
    // Whoever has a stream hears of it there; what is shown stays.
    answered = false;
  } finally {
    asking = false;
    if (again) {
      again = false;
      void refresh();
    }
  }
  return answered;
}

/**
 * Lets forms that are being filled in go on in the new session, if it is the same person's.
 * @param {Document} made
 */
function signedInAgain(made) {
  const who = (/** @type {Document} */ of) => of.querySelector('.who b')?.textContent;
  const fresh = made.querySelector('.who input[name=form]');
  if (!(fresh instanceof HTMLInputElement)) return;
  if (who(made) !== who(document)) {
    location.reload();
    return;
  }
  stale = false;
  for (const field of document.querySelectorAll('input[name=form]')) field.setAttribute('value', fresh.value);
}

/** @param {string} html */
function morph(html) {
  const made = parse(html);
  if (stale) signedInAgain(made);
  if (document.querySelector('main[data-still]')) return;
  document.title = made.title;
  for (const id of ['notices', 'main', 'foot', 'views']) {
    const [now, next] = [document.getElementById(id), made.getElementById(id)];
    // A form stays as it was typed, and a refusal as it was said; if the record moves, the next answer says so.
    if (id === 'main' && now?.querySelector('.question form, .question .said')) continue;
    if (id === 'main' && now && next) holdStill(now, next);
    if (now && next) Idiomorph.morph(now, next, { morphStyle: 'outerHTML', ignoreActiveValue: true, callbacks: mayMorph });
  }
}

function heard() {
  clearTimeout(silence);
  silence = window.setTimeout(() => void fail(), SILENT_MAX);
  lost = 0;
  out = false;
  say('live', 'Live');
}

/** Whether the daemon answers that whoever looks may not. */
async function isSignedOut() {
  try {
    return [401, 403].includes((await fetch('/v1/daemon', { cache: 'no-store' })).status);
  } catch {
    return false;
  }
}

async function fail() {
  const refused = source?.readyState === EventSource.CLOSED;
  source?.close();
  source = null;
  clearTimeout(silence);
  if (refused && (await isSignedOut())) signedOut();
  else window.setTimeout(() => void open(), missed());
}

/** Says that nobody answers; gives how long to wait before asking again. */
function missed() {
  say('lost', 'Not live');
  const wait = RETRY[Math.min(lost, RETRY.length - 1)];
  lost += 1;
  return wait;
}

/** Takes one of the browser's places for a stream, or polls. */
async function open() {
  if (document.hidden || source || opening || polling) return;
  opening = true;
  const placed = release !== null || !navigator.locks || (await place());
  opening = false;
  // Nobody looks any more: the place is another tab's.
  if (document.hidden) close();
  else if (placed) listen();
  else void poll();
}

function listen() {
  source = new EventSource('/v1/moved');
  source.addEventListener('moved', () => {
    heard();
    void refresh();
  });
  source.addEventListener('beat', (event) => {
    heard();
    setClock(JSON.parse(event.data).now);
  });
  source.addEventListener('open', () => {
    heard();
    void refresh();
  });
  source.addEventListener('signed_out', signedOut);
  source.addEventListener('error', () => void fail());
}

/** @returns {Promise<boolean>} whether this tab may hold a stream */
async function place() {
  for (let number = 0; number < STREAMS; number += 1) {
    const got = await new Promise((done) => {
      void navigator.locks.request(`sealift-stream-${number}`, { ifAvailable: true }, (lock) => {
        done(lock !== null);
        return lock ? new Promise((free) => { release = () => free(undefined); }) : undefined;
      });
    });
    if (got) return true;
  }
  return false;
}

/** Asks again and again, until this tab is hidden or a place for a stream is free. */
async function poll() {
  polling = true;
  while (!document.hidden && !out && !(await place())) {
    const before = tag;
    let wait = POLL;
    if (!(await refresh())) {
      wait = missed();
    } else {
      lost = 0;
      if (!out) say('live', 'Live');
      if (tag !== before) wait = 0;
    }
    await new Promise((done) => setTimeout(done, wait));
  }
  polling = false;
  if (document.hidden || out) close();
  else void open();
}

function close() {
  source?.close();
  source = null;
  clearTimeout(silence);
  release?.();
  release = null;
}

onShow(() => {
  tag = '';
  void refresh();
});
document.documentElement.dataset.script = '';
document.addEventListener('visibilitychange', () => {
  out = false;
  if (document.hidden) close();
  else void open();
});
addEventListener('pagehide', close);
void open();
