// What the page costs and how quick it is, as one document on standard output: `make bench ARGS='--parts page'` starts this.

import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { userInfo } from 'node:os';
import { gzipSync } from 'node:zlib';

import { Bed, live, until } from './bed.mjs';

/** How much of it: `{changes, loads, answers, events, carried, pairs, readers, minutes}`. */
const asked = JSON.parse(process.argv[2]);

/** The steps of a plan that one person lets begin: all but one are queued until then. */
const WAITING = 'strategy:\n  max_in_flight: 50\n  waves:\n    - {name: first, size: 1, promote: manual}\n    - {name: rest, size: rest}\n';
const AT_ONCE = 'strategy: {max_in_flight: 100}\n';
/** Views are asked for again at most this often, as the page's own script does. */
const PACE = 250;
/** The bound of `src/api/streams.rs`. */
const STREAMS_OF_ONE = 8;

const sorted = (values) => [...values].sort((one, other) => one - other);
const quantile = (values, share) => sorted(values)[Math.floor((values.length - 1) * share)];
const tell = (text) => process.stderr.write(`page: ${text}\n`);

/** The head of a request of this tab's session. */
async function cookie(page) {
  const cookies = await page.context().cookies();
  return cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
}

/** A request of this session, outside of the browser. */
const ask = (bed, path, head, more = {}) => fetch(`http://127.0.0.1:${bed.port}${path}`, { ...more, headers: { host: `sealift.localhost:${bed.port}`, cookie: head } });

/** Bytes of all files of one rollout's first load, each gzipped. */
async function firstLoad(bed, page) {
  const bodies = [];
  page.on('response', (answer) => { if (!answer.url().endsWith('/v1/moved')) bodies.push(answer.body()); });
  await page.goto(bed.url('/rollouts/large'));
  await live(page);
  const sizes = (await Promise.all(bodies)).map((body) => gzipSync(body, { level: 6 }).length);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Seconds of each view's answers, with all changes but one queued. */
async function answers(bed, page) {
  const head = await cookie(page);
  const views = ['/', '/rollouts', '/rollouts/large', '/rollouts/large?state=failed,in_doubt', '/rollouts/large?state=all', '/rollouts/large/changes/0', '/lanes', '/windows', '/journal'];
  const taken = {};
  for (const view of views) {
    const times = [];
    for (let number = 0; number < asked.answers; number += 1) {
      const begun = performance.now();
      const answer = await ask(bed, view, head);
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`${view} answered ${answer.status}`);
      times.push((performance.now() - begun) / 1000);
    }
    taken[view] = [quantile(times, 0.5), quantile(times, 0.95)];
  }
  return taken;
}

/** Seconds to the first paint with content, each in a browser context that knows nothing. */
async function paints(bed) {
  const times = [];
  for (let number = 0; number < asked.loads; number += 1) {
    const page = await bed.signIn();
    await page.goto(bed.url('/rollouts/large'));
    times.push(await page.evaluate(() => new Promise((done) => {
      const look = (seen) => seen.getEntriesByName('first-contentful-paint').forEach((paint) => done(paint.startTime / 1000));
      new PerformanceObserver(look).observe({ type: 'paint', buffered: true });
    })));
    await page.context().close();
  }
  return times;
}

/** Seconds from an entry's commit to the frame that shows it or one after it. */
async function pixels(bed, page) {
  await page.goto(bed.url('/rollouts/events'));
  await live(page);
  await page.evaluate(() => {
    window.frames_ = [];
    const look = () => {
      const seq = Number(document.getElementById('main').dataset.seq);
      const last = window.frames_.at(-1);
      if (!last || last[0] !== seq) window.frames_.push([seq, Date.now()]);
      requestAnimationFrame(look);
    };
    look();
  });
  await bed.sealift('promote', 'events');
  await until('the end', async () => (await bed.status('events')).final);
  await page.locator('.tag', { hasText: /^completed$/ }).waitFor();
  const frames = await page.evaluate(() => window.frames_);
  const entries = (await bed.sealift('journal', 'events', '-o', 'jsonl')).split('\n').map((line) => JSON.parse(line));
  const first = frames[0][0];
  const moved = entries.filter((entry) => entry.seq > first);
  const waits = moved.map((entry) => {
    const shown = frames.find(([seq]) => seq >= entry.seq);
    return shown ? (shown[1] - Date.parse(entry.at)) / 1000 : Number.POSITIVE_INFINITY;
  });
  const seconds = (Date.parse(moved.at(-1).at) - Date.parse(moved[0].at)) / 1000;
  return { events_per_second: moved.length / seconds, p50: quantile(waits, 0.5), p95: quantile(waits, 0.95) };
}

/** Names of as many people as so many readers take, for one person is given eight streams. */
const people = (readers) => Array.from({ length: Math.ceil(readers / STREAMS_OF_ONE) }, (_, number) => `reader-${number}`);

/** More of the API's keys: whoever runs this may do all, and these may read. */
function api(names) {
  const own = `{name: own, unix: ${userInfo().username}, may: [read, operate, approve, off]}`;
  return `, tokens_file: tokens, people: [${[own, ...names.map((name) => `{name: ${name}, may: [read]}`)].join(', ')}]`;
}

/** Requests of one reader: from an address of their own, for one address is given 32 connections. */
function asks(bed, tokens, place) {
  const token = tokens[Math.floor(place / STREAMS_OF_ONE)];
  const agent = new Agent({ keepAlive: true });
  const where = { host: '127.0.0.1', port: bed.port, localAddress: `127.0.1.${place + 1}`, agent };
  const headers = { host: `sealift.localhost:${bed.port}`, authorization: `Bearer ${token}` };
  return (path, signal) => new Promise((done, never) => {
    request({ ...where, path, headers, signal }, (answer) => {
      if (answer.statusCode === 200) done(answer);
      else never(new Error(`${path} answered ${answer.statusCode}`));
    }).on('error', never).end();
  });
}

/** Somebody who reads as a tab does: a stream, and the view whenever it says that something moved. Gives how many views that were. */
async function reader(bed, tokens, place, path, gone) {
  const ask = asks(bed, tokens, place);
  let [stale, asking, answered] = [false, false, 0];
  const look = async () => {
    if (!stale || asking) return;
    [stale, asking] = [false, true];
    const answer = await ask(path, gone);
    await answer.forEach(() => {});
    [asking, answered] = [false, answered + 1];
  };
  // What is under way when it is told to go is not counted.
  const timer = setInterval(() => void look().catch(() => { asking = gone.aborted; }), PACE);
  try {
    for await (const bytes of await ask('/v1/moved', gone)) stale ||= bytes.includes('event: moved');
  } catch (error) {
    if (!gone.aborted) throw error;
  } finally {
    clearInterval(timer);
  }
  return answered;
}

/** Changes a second of one rollout over the fleet, with so many who read it. */
async function pace(bed, name, ssl, tokens, readers) {
  await bed.submit(name, WAITING.replace('max_in_flight: 50', 'max_in_flight: 100'), ssl);
  await until('the gate', async () => (await bed.status(name)).phase === 'awaiting');
  const gone = new AbortController();
  setMaxListeners(0, gone.signal);
  const reading = Array.from({ length: readers }, (_, place) => reader(bed, tokens, place, `/rollouts/${name}`, gone.signal));
  await bed.sealift('promote', name);
  await until('the end', async () => (await bed.status(name)).final);
  gone.abort();
  const answered = (await Promise.all(reading)).reduce((sum, count) => sum + count, 0);
  const entries = (await bed.sealift('journal', name, '-o', 'jsonl')).split('\n').map((line) => JSON.parse(line));
  const [sent, done] = [entries.filter((entry) => entry.to === 'submitting'), entries.filter((entry) => entry.to === 'succeeded')];
  const seconds = (Date.parse(done.at(-1).at) - Date.parse(sent[1].at)) / 1000;
  return { changes_per_second: (done.length - 1) / seconds, views: answered };
}

const resident = (child) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024;

/** Memory of a tab that is open on a moving rollout, and of the daemon, in MiB. */
async function memory(bed, page) {
  const devtools = await page.context().newCDPSession(page);
  const heap = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    const { usedSize } = await devtools.send('Runtime.getHeapUsage');
    return usedSize / 1024 / 1024;
  };
  const [heaps, daemon] = [[], []];
  const ends = Date.now() + asked.minutes * 60_000;
  for (let number = 0; Date.now() < ends || heaps.length < 3; number += 1) {
    const name = `hour-${number}`;
    await bed.submit(name, AT_ONCE, number % 2 === 0);
    await page.goto(bed.url(`/rollouts/${name}`));
    await until('the end', async () => (await bed.status(name)).final);
    heaps.push(await heap());
    daemon.push(resident(bed.daemon));
  }
  return { tab_mib: heaps, daemon_mib: daemon };
}

const figures = { changes: asked.changes, carried: asked.carried, readers: asked.readers, minutes: asked.minutes };
const quick = 'job_time: {min: 1ms, max: 2ms}\n';
/** Jobs are asked for as soon as they end. */
const lane = ', settle: 100ms, poll: 20ms, poll_max: 100ms';
tell(`${asked.changes} changes queued`);
let bed = await Bed.start({ proxies: asked.changes, faults: quick, calls: 4_000, lane });
try {
  await bed.submit('large', WAITING);
  await until('the gate', async () => (await bed.status('large')).phase === 'awaiting');
  const page = await bed.signIn();
  figures.first_load_bytes = await firstLoad(bed, page);
  figures.answers = await answers(bed, page);
  figures.paints = await paints(bed);
} finally {
  await bed.end();
}
tell('from commit to pixel');
// A change is some six entries: so many calls a second are some 25 of them.
bed = await Bed.start({ proxies: asked.events, faults: quick, calls: 17, lane });
try {
  await bed.submit('events', WAITING);
  await until('the gate', async () => (await bed.status('events')).phase === 'awaiting');
  figures.pixels = await pixels(bed, await bed.signIn());
} finally {
  await bed.end();
}
tell(`pace with ${asked.readers} readers and without`);
const names = people(asked.readers);
bed = await Bed.start({ proxies: asked.carried, faults: quick, calls: 400, lane, api: api(names) });
try {
  const tokens = [];
  for (const name of names) tokens.push(await bed.sealift('token', 'new', '--name', name, '--may', 'read'));
  figures.paces = [];
  for (let pair = 0; pair < asked.pairs; pair += 1) {
    // Who is first changes from pair to pair: what grows with the journal counts for both.
    const order = pair % 2 === 0 ? [0, asked.readers] : [asked.readers, 0];
    const taken = {};
    for (const [place, readers] of order.entries()) {
      taken[readers === 0 ? 'without' : 'with'] = await pace(bed, `pace-${pair}-${place}`, place === 0, tokens, readers);
    }
    figures.paces.push(taken);
  }
} finally {
  await bed.end();
}
tell(`memory over ${asked.minutes} minutes`);
bed = await Bed.start({ proxies: 200, faults: 'job_time: {min: 300ms, max: 1s}\n', calls: 100, lane });
try {
  figures.memory = await memory(bed, await bed.signIn());
} finally {
  await bed.end();
}
process.stdout.write(`${JSON.stringify(figures)}\n`);
