// What keeps a view live: nine tabs of one browser, tabs that nobody sees, streams that fall silent, a daemon that is killed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Bed, live, tab, until } from './bed.mjs';

/** Streams that one browser holds at most; the other tabs ask. */
const STREAMS = 4;

/** @type {Bed} */
let bed;
before(async () => {
  bed = await Bed.start({ proxies: 6 });
  await bed.submit('night', 'strategy:\n  waves:\n    - {name: canary, size: 2, promote: manual}\n    - {name: rest, size: rest}\n');
});
after(() => bed.end());

/** The tab is seen or is not, one after the other at once: there is no window here that could be covered. */
async function look(page, ...seen) {
  await page.evaluate((all) => {
    for (const seen of all) {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => !seen });
      document.dispatchEvent(new Event('visibilitychange'));
    }
  }, seen);
}

const open = (tabs) => tabs.reduce((sum, tab) => sum + tab.streams.size, 0);

test('nine tabs of one browser are live, and tell of a kill and heal without a reload', async () => {
  const first = await bed.signIn();
  const tabs = [first];
  while (tabs.length < 9) tabs.push(await tab(first.context()));
  for (const one of tabs) {
    await one.goto(bed.url('/rollouts/night'));
    await live(one);
    await one.locator('.tag', { hasText: /^awaiting$/ }).waitFor();
    await one.evaluate(() => { window.unchanged = true; });
  }
  await until('four streams', () => open(tabs) === STREAMS);
  await bed.sealift('pause', 'night', '--reason', 'nine look');
  for (const one of tabs) await one.getByText('nine look').first().waitFor();

  await bed.kill();
  for (const one of tabs) {
    await one.waitForSelector('#live[data-state=lost]');
    await one.getByText('this is how it was').waitFor();
  }
  await bed.serve();
  await bed.sealift('resume', 'night');
  for (const one of tabs) {
    await live(one);
    await one.getByText('nine look').first().waitFor({ state: 'detached' });
    assert.equal(await one.getByText('this is how it was').count(), 0);
    assert.ok(await one.evaluate(() => window.unchanged), 'the same document, and nobody signed in again');
  }
  await until('four streams again', () => open(tabs) === STREAMS);

  // A place that is given up is taken by a tab that had none.
  const holder = tabs.find((tab) => tab.streams.size > 0);
  await holder.close();
  await until('its place is taken', () => open(tabs.filter((tab) => tab !== holder)) === STREAMS);
  // What a browser says itself of a daemon that is not there is none of ours.
  const said = tabs.flatMap((tab) => tab.said).filter((text) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/.test(text));
  assert.deepEqual(said, []);
  await first.context().close();
});

test('a tab that nobody sees holds no connection, and shows what it missed when it is seen again', async () => {
  const page = await bed.signIn();
  await page.goto(bed.url('/rollouts/night'));
  await live(page);
  await until('its stream', () => page.streams.size === 1);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await look(page, false);
  await until('no stream', () => page.streams.size === 0);
  asked.length = 0;
  await bed.sealift('pause', 'night', '--reason', 'nobody looks');
  assert.deepEqual(asked, [], 'nor does it ask for what moves');
  // A stream that is on its way when the tab is left is not held either.
  await look(page, true, false, true, false);
  assert.equal(await page.evaluate(() => fetch('/readyz').then((answer) => answer.status)), 200);
  await until('no stream', () => page.streams.size === 0);
  await look(page, true);
  await page.getByText('nobody looks').first().waitFor();
  await until('one stream', () => page.streams.size === 1);
  await bed.sealift('resume', 'night');
  await page.context().close();
});

test('a stream that falls silent is lost within 35 s, by the clock of the tab, and heals', async () => {
  const page = await bed.signIn();
  await page.clock.install();
  await page.goto(bed.url('/rollouts/night'));
  await live(page);
  await until('its stream', () => page.streams.size === 1);
  await page.clock.fastForward('00:20');
  assert.equal(await page.locator('#live').getAttribute('data-state'), 'live', 'a beat may be late');
  bed.daemon.kill('SIGSTOP');
  await page.clock.fastForward('00:35');
  await page.waitForSelector('#live[data-state=lost]');
  await page.getByText('this is how it was').waitFor();
  bed.daemon.kill('SIGCONT');
  await page.clock.fastForward('00:10');
  await live(page);
  await page.context().close();
});

test('whoever is signed out is told so at once, keeps what they typed, and goes on when they are signed in again', async () => {
  const page = await bed.signIn();
  await page.goto(bed.url('/rollouts/night'));
  await live(page);
  await page.getByRole('link', { name: 'Promote…' }).click();
  await page.locator('dialog #reason').fill('half a sen');
  const other = await tab(page.context());
  await other.goto(bed.url('/'));
  await other.getByRole('button', { name: 'Sign out' }).click();
  await other.waitForURL((url) => url.pathname === '/sign-in');
  await page.waitForSelector('#live[data-state=out]');
  await page.getByText('You are signed out since').waitFor();
  assert.equal(page.streams.size, 0, 'its stream is closed');
  // Nothing is sent that nobody would take: what is typed would be gone.
  await page.locator('dialog').getByRole('button', { name: 'Promote' }).click();
  assert.equal(await page.locator('dialog #reason').inputValue(), 'half a sen');
  await other.goto(await bed.sealift('open', '--print'));
  await other.waitForURL((url) => url.pathname === '/');
  await look(page, false, true);
  await live(page);
  assert.equal(await page.getByText('You are signed out since').count(), 0);
  assert.equal(await page.locator('dialog #reason').inputValue(), 'half a sen');
  // The form goes on in the new session.
  await page.locator('dialog #reason').fill('half a sentence more');
  await page.locator('dialog').getByRole('button', { name: 'Promote' }).click();
  await page.getByText('Done: promote.').waitFor();
  await page.context().close();
});

test('a plan that is being written survives a daemon that is killed and a session that ends', async () => {
  const page = await bed.signIn();
  await page.goto(bed.url('/plans/new'));
  await live(page);
  await page.locator('#text').fill('version: 1\nname: half');
  const check = page.getByRole('button', { name: 'Check', exact: true });
  await bed.kill();
  await page.waitForSelector('#live[data-state=lost]');
  await check.click();
  assert.equal(await page.locator('#text').inputValue(), 'version: 1\nname: half');
  await bed.serve();
  await live(page);
  // Its session ends where nobody tells the tab in time.
  const cookies = await page.context().cookies();
  await page.context().clearCookies();
  await check.click();
  await page.getByText('It was not checked, and nothing was done').waitFor();
  assert.equal(await page.locator('#text').inputValue(), 'version: 1\nname: half');
  await page.context().addCookies(cookies);
  await check.click();
  await page.getByRole('heading', { name: /mistake.* in plan.yaml/ }).waitFor();
  assert.equal(await page.locator('#text').inputValue(), 'version: 1\nname: half');
  await page.context().close();
});
