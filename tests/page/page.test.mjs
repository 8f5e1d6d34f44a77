// The page in a real browser, over the real daemon and the emulated cloud.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { Bed, accessible, live, tab, until } from './bed.mjs';

const SHOTS = join(import.meta.dirname, '../../target/page');
const WAVES = 'strategy:\n  max_in_flight: 4\n  waves:\n    - {name: canary, size: 5, promote: manual}\n    - {name: rest, size: rest}\n';

/** @type {Bed} */
let bed;
before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  bed = await Bed.start();
});
after(() => bed.end());

test('a rollout is watched, paused by keyboard alone, and goes on', async () => {
  const page = await bed.signIn();
  await bed.submit('night', WAVES);
  await page.getByRole('link', { name: 'night', exact: true }).first().click();
  await live(page);
  await page.locator('.tag', { hasText: /^awaiting$/ }).waitFor();

  // To the verb by its address's keys and Tab, never a pointer.
  const promote = page.getByRole('link', { name: 'Promote…' });
  await promote.focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'reason');
  await page.keyboard.type('the canary is well');
  await page.keyboard.press('Enter');
  await page.getByText('Done: promote.').waitFor();

  await page.getByRole('link', { name: 'Pause…' }).focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  await page.locator('#reason').focus();
  await page.keyboard.type('a look at <b>gold</b>');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing new begins: paused').waitFor();
  await page.screenshot({ path: join(SHOTS, 'paused.png') });
  const status = (await bed.status('night'));
  const rollout = Array.isArray(status) ? status[0] : (status.rollouts?.[0] ?? status);
  assert.equal(rollout.paused.reason, 'a look at <b>gold</b>', 'text stays text');
  assert.equal(await page.locator('main b', { hasText: /^gold$/ }).count(), 0, 'and is shown as such');

  await page.getByRole('link', { name: 'Resume…' }).first().click();
  await page.waitForSelector('dialog[open]');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByText('completed').first().waitFor({ timeout: 120_000 });
  assert.deepEqual(page.said, []);
  await page.context().close();
});

test('two browsers: the second verb finds that the record has moved', async () => {
  await bed.submit('twice', WAVES, false);
  const [one, other] = [await bed.signIn(), await bed.signIn()];
  for (const page of [one, other]) {
    await page.goto(bed.url('/rollouts/twice'));
    await page.locator('.tag', { hasText: /^awaiting$/ }).waitFor();
    await page.goto(bed.url('/rollouts/twice/promote'));
    await page.locator('#reason').fill('go');
  }
  await one.getByRole('button', { name: 'Promote' }).click();
  await one.getByText('Done: promote.').waitFor();
  await other.getByRole('button', { name: 'Promote' }).click();
  await other.getByText('has moved since it was looked at, and nothing was done').waitFor();
  assert.equal(await other.locator('#typed').textContent(), 'go', 'what was typed stays');
  await one.context().close();
  await other.context().close();
});

for (const script of [true, false]) {
  test(`the changes are narrowed by wave and id ${script ? 'with' : 'without'} script, and the address is the view`, async () => {
    const first = await bed.signIn();
    const context = await bed.browser.newContext({ javaScriptEnabled: script, storageState: await first.context().storageState() });
    const page = await tab(context);
    await page.goto(bed.url('/rollouts/night?state=all'));
    const rows = (of) => of.locator('table[data-steady] tbody tr[id]');
    assert.equal(await rows(page).count(), 24);
    await page.getByLabel('Wave', { exact: true }).selectOption('canary');
    if (!script) await page.getByRole('button', { name: 'Show' }).click();
    await page.waitForURL((url) => url.searchParams.get('wave') === 'canary' && url.searchParams.get('state') === 'all');
    assert.equal(await rows(page).count(), 5);
    const id = await rows(page).last().locator('[data-copy]').first().getAttribute('data-copy') ?? '';
    await page.getByLabel('Id of a proxy').fill(id.slice(0, 12));
    await page.getByLabel('Id of a proxy').press('Enter');
    await page.waitForURL((url) => url.searchParams.get('id') === id.slice(0, 12));
    assert.equal(await rows(page).count(), 1);
    // Somebody else opens it elsewhere.
    const other = await bed.signIn();
    await other.goto(page.url());
    assert.equal(await rows(other).count(), 1);
    assert.ok((await rows(other).first().textContent())?.includes(id.slice(8)));
    assert.equal(await other.getByLabel('Wave', { exact: true }).inputValue(), 'canary');
    if (script) {
      // What is typed survives what moves.
      await page.getByLabel('Id of a proxy').fill('half');
      await page.getByLabel('Wave', { exact: true }).focus();
      const seq = () => page.locator('main').getAttribute('data-seq');
      const before = await seq();
      bed.write('beside.yaml', `version: 1\nname: beside\nssl_option: true\napproval: {required: 1}\ntargets:\n  list:\n    - {lane: lab, instance_id: ${'4'.repeat(32)}in07, proxy_id: ${'4'.repeat(32)}po01}\n`);
      await bed.sealift('apply', '--yes', '--detach', 'beside.yaml');
      await until('the view has moved on', async () => (await seq()) !== before);
      assert.equal(await page.getByLabel('Id of a proxy').inputValue(), 'half');
    }
    assert.deepEqual(page.said, []);
    for (const one of [context, first.context(), other.context()]) await one.close();
  });
}

test('the views are accessible in both themes, fit a phone, and break no policy', async () => {
  const page = await bed.signIn();
  const paths = ['/', '/rollouts', '/rollouts/twice', '/rollouts/night/changes/3', '/rollouts/twice/abort', '/lanes', '/windows', '/enforcement', '/journal', '/find?begins=nigh', '/rollouts/nobody'];
  const found = [];
  for (const theme of ['light', 'dark']) found.push(...(await accessible(bed, page, paths, theme)));
  assert.deepEqual(found, []);
  await page.setViewportSize({ width: 360, height: 800 });
  for (const path of paths) {
    await page.goto(bed.url(path));
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, `${path} scrolls sideways`);
  }
  for (const [name, path, width, height, colorScheme] of [
    ['now-light', '/', 1440, 900, 'light'],
    ['rollout-dark', '/rollouts/twice', 1440, 1200, 'dark'],
    ['change-light', '/rollouts/night/changes/3', 1440, 1200, 'light'],
    ['phone-dark', '/rollouts/twice', 390, 844, 'dark'],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    await page.goto(bed.url(path));
    await live(page);
    await page.screenshot({ path: join(SHOTS, `${name}.png`) });
  }
  // The view of what is not there is itself answered 404.
  assert.deepEqual(page.said.filter((said) => !said.includes('404')), []);
  await page.context().close();
});
