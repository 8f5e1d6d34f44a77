// A tab that stays open on a rollout that runs, and the daemon behind it: what they hold does not grow. A minute and a half in the
// test run, an hour by `make soak`.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { Bed, live, tab, until } from './bed.mjs';

const MINUTES = Number(process.env.SEALIFT_MINUTES ?? 1.5);
/** Calls a second; a change is some five of them. */
const CALLS = 60;
/** The shares of the time after which it is looked for the first and the last time: caches fill, and the first window of rows. */
const [WARM, SAMPLES] = [0.34, 12];
/** What may come on top: rows of other lengths, an allocator's pages. */
const MORE = { nodes: [1.1, 500], listeners: [1.1, 20], heap: [1.15, 512 * 1024], files: [1, 4], resident: [1.2, 8 * 1024] };

test('what an open tab and the daemon hold stays flat while a rollout runs', async () => {
  const proxies = Math.ceil(MINUTES * 60 * (CALLS / 3));
  const bed = await Bed.start({ proxies, faults: 'job_time: {min: 300ms, max: 1s}\n', calls: CALLS, lane: ', settle: 100ms, poll: 200ms, poll_max: 500ms' });
  try {
    await bed.submit('long', 'strategy: {max_in_flight: 30}\n');
    const page = await bed.signIn();
    await page.goto(bed.url('/rollouts/long'));
    await live(page);
    // Others come and go: what they held is given back.
    const passing = async () => {
      const other = await tab(page.context());
      await other.goto(bed.url('/'));
      await live(other);
      await other.close();
    };
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Performance.enable');
    const held = async () => {
      await passing();
      // What is under way is answered first; twice, as what a document held is free only when it is.
      for (let round = 0; round < 2; round += 1) await devtools.send('HeapProfiler.collectGarbage');
      const { metrics } = await devtools.send('Performance.getMetrics');
      const metric = (name) => metrics.find((one) => one.name === name)?.value ?? Number.NaN;
      const proc = `/proc/${bed.daemon.pid}`;
      return {
        nodes: metric('Nodes'),
        listeners: metric('JSEventListeners'),
        heap: metric('JSHeapUsedSize'),
        files: readdirSync(`${proc}/fd`).length,
        resident: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1]),
      };
    };
    const wait = (share) => new Promise((done) => setTimeout(done, share * MINUTES * 60_000));
    await wait(WARM);
    const seq = async () => Number(await page.locator('main').getAttribute('data-seq'));
    const [begun, taken] = [await seq(), []];
    for (let number = 0; number < SAMPLES; number += 1) {
      taken.push(await held());
      await wait((1 - WARM) / SAMPLES);
    }
    assert.equal((await bed.status('long')).final, false, 'it still runs');
    await until('the view follows', async () => (await seq()) > begun + MINUTES * 100);
    // The least of a third: what stays, without what comes and goes.
    const least = (what, from) => Math.min(...taken.slice(from, from + SAMPLES / 3).map((one) => one[what]));
    const [first, last] = [(what) => least(what, 0), (what) => least(what, (SAMPLES * 2) / 3)];
    for (const [what, [times, plus]] of Object.entries(MORE)) {
      console.log(`${what}: ${first(what)} at first, ${last(what)} at last`);
      assert.ok(last(what) <= first(what) * times + plus, `${what} grows: ${taken.map((one) => one[what]).join(' ')}`);
    }
    assert.deepEqual(page.said, []);
  } finally {
    await bed.end();
  }
});
