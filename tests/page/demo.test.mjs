// What a newcomer does first: starts the demo, opens the printed link, and watches the rollout to its end.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';

import { BINARY, browse, sealift, tab, until } from './bed.mjs';

/** Figures of the page, with the journal's entry at which they were made. */
const shown = (page) => page.evaluate(() => {
  const number = (text) => Number(text?.replaceAll(',', ''));
  const all = (selector) => [...document.querySelectorAll(selector)].map((found) => number(found.textContent));
  return {
    seq: Number(document.getElementById('main')?.dataset.seq),
    settled: all('section[aria-label=Progress] h2 .big')[0],
    total: number(/of (\S+) settled/.exec(document.querySelector('section[aria-label=Progress] h2')?.textContent ?? '')?.[1]),
    waves: all('.wave .pair b.big'),
    left: all('section[aria-labelledby=room] .part:nth-of-type(1) .pair b:not(span:first-child b)')[0],
    active: all('section[aria-labelledby=room] .part:nth-of-type(2) .pair span b')[0],
    rows: document.querySelectorAll('tr[id^=c-]').length,
  };
});

/** The same of `status -o json`. */
function told(status) {
  const settled = ({ succeeded, failed, in_doubt, cancelled, reverted, skipped }) => succeeded + failed + in_doubt + cancelled + reverted + skipped;
  const { tally, waves, budget } = status;
  return {
    settled: settled(tally),
    total: tally.total,
    waves: waves.map((wave) => settled(wave.tally)),
    left: budget.left,
    active: tally.active,
    // In flight, what wants a person, what was left alone, and the next three.
    rows: tally.active + tally.failed + tally.in_doubt + tally.skipped + Math.min(tally.queued, 3),
  };
}

test('the link that the demo prints leads to its rollout, which is watched from its canary to its end', async () => {
  const demo = spawn(BINARY, ['demo', '--page'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((done) => demo.once('exit', done));
  const browser = await browse();
  try {
    let said = '';
    demo.stdout.setEncoding('utf8').on('data', (text) => { said += text; });
    await until('the link', () => /sealift open --addr \S+\n/.test(said));
    const [link] = /http:\/\/sealift\.localhost:\d+\/sign-in#\S+/.exec(said) ?? [''];
    const [, socket] = /sealift open --addr (\S+)/.exec(said) ?? [];
    const page = await tab(await browser.newContext());
    await page.goto(link);
    await page.waitForURL((url) => url.pathname === '/');
    await page.getByRole('link', { name: 'demo', exact: true }).first().click();
    await page.locator('#wave-1[aria-current=step]').waitFor();
    await page.evaluate(() => { window.unchanged = true; });

    const asked = async (...words) => JSON.parse(await sealift(undefined, ...words, '-o', 'json', '--addr', socket));
    // What the page shows from before `status` was asked until after it is what `status` told.
    const compared = () => until('page and status at the same entry', async () => {
      const { seq, ...figures } = await shown(page);
      const status = await asked('status', 'demo');
      const { store } = await page.evaluate(() => fetch('/v1/daemon').then((answer) => answer.json()));
      if (store.seq !== seq) return false;
      assert.deepEqual(figures, told(status));
      return true;
    });
    await compared();
    await page.locator('#wave-2[aria-current=step]').waitFor();
    await compared();
    await page.locator('.tag', { hasText: /^completed$/ }).waitFor();
    await compared();
    const { tally } = await asked('status', 'demo');
    assert.equal(tally.succeeded, tally.total);
    assert.ok(await page.evaluate(() => window.unchanged), 'nothing was loaded again');

    // The other browser that is spoken of.
    const other = await tab(await browser.newContext());
    await other.goto(await sealift(undefined, 'open', '--print', '--addr', socket));
    await other.waitForURL((url) => url.pathname === '/');
    assert.deepEqual([...page.said, ...other.said], []);
    demo.kill('SIGINT');
    assert.equal(await ended, 0, said);
    assert.ok(!existsSync(socket), 'nothing is left behind');
  } finally {
    demo.kill('SIGKILL');
    await browser.close();
  }
});
