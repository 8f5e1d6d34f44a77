// A night with several people: what one does and another reads, what is found out by asking, what is put right, aborted and
// put back, who approves, who may only read; and a rollout of 100,000 changes.

import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { after, before, test } from 'node:test';

import { Bed, live, tab, until } from './bed.mjs';

const WAVES = 'strategy:\n  max_in_flight: 5\n  waves:\n    - {name: canary, size: 5, promote: manual}\n    - {name: rest, size: rest}\n';
const PEOPLE = `, tokens_file: tokens.yaml, people: [{name: ada, unix: ${userInfo().username}, may: [read, operate, approve, off]}, {name: bob, may: [read, operate, approve]}, {name: rita, may: [read]}]`;
const proxy = (digit) => `    - {lane: lab, instance_id: ${digit.repeat(32)}in07, proxy_id: ${digit.repeat(32)}po01}\n`;

/** @type {Bed} */
let bed;
before(async () => {
  // The second proxy's switch is answered 500, and executed.
  const faults = 'job_time: {min: 300ms, max: 1s}\nerror_500_after: [{on: 1, call: switch, match: 00000002po01}]\n';
  bed = await Bed.start({ proxies: 10, faults, lane: ', settle: 1s, poll: 200ms, poll_max: 1s', api: PEOPLE });
  await bed.submit('night', WAVES);
});
after(() => bed.end());

/** The rollout's view, once it has come to this. */
async function at(page, name, phase) {
  await page.goto(bed.url(`/rollouts/${name}`));
  await live(page);
  await page.locator('.title .tag', { hasText: new RegExp(`^${phase}$`) }).waitFor();
}

test('a switch that was answered 500 is told as found by asking and not repeated, and its job id is copied', async () => {
  const page = await bed.signIn({ permissions: ['clipboard-read', 'clipboard-write'] });
  await at(page, 'night', 'awaiting');
  await page.goto(bed.url('/rollouts/night/changes/1'));
  const titles = await page.locator('.story h3').allTextContents();
  const told = ['Switch sent', 'Answered 500: the outcome is unknown', 'Found out by asking: the job is ours', 'Effective'];
  assert.deepEqual(titles.filter((title) => told.includes(title)), told, 'once each, in this order');
  const { jobs: [job], proxy_id } = JSON.parse(await bed.sealift('changes', 'night', '-o', 'jsonl').then((lines) => lines.split('\n')[1]));
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.locator('section[aria-labelledby=target] dd:has(p) [data-copy]').click();
  await page.getByText(`Copied ${job}`).waitFor();
  assert.equal(await copied(), job);
  await page.keyboard.press('c');
  await page.getByText(`Copied ${proxy_id}`).waitFor();
  assert.equal(await copied(), proxy_id, 'whole');
  assert.deepEqual(page.said, []);
  await page.context().close();
});

test('another browser reads why it is paused and until when, and what switches off is put back once its name is typed', async () => {
  const [ada, bob] = [await bed.signIn(), await bed.signInAs('bob', 'read,operate,approve')];
  await at(ada, 'night', 'awaiting');
  await at(bob, 'night', 'awaiting');
  await ada.getByRole('link', { name: 'Pause…' }).click();
  await ada.locator('dialog #until').fill('90m');
  await ada.locator('dialog #reason').fill('the DBA sleeps');
  await ada.locator('dialog').getByRole('button', { name: 'Pause' }).click();
  await ada.getByText('Done: pause.').waitFor();
  const hold = bob.locator('section[aria-label="Why nothing begins"]');
  await hold.getByText('the DBA sleeps').waitFor();
  const { holds: [{ until: ends }] } = await bed.status('night');
  assert.equal(await hold.locator('.when time').getAttribute('datetime'), ends);
  await bob.getByRole('link', { name: 'Resume…' }).click();
  await bob.locator('dialog').getByRole('button', { name: 'Resume' }).click();
  await bob.getByText('Done: resume.').waitFor();

  await at(ada, 'night', 'awaiting');
  await ada.getByRole('link', { name: 'Revert…' }).click();
  await ada.locator('dialog #reason').fill('a client cannot do TLS');
  await ada.locator('dialog #confirm').fill('nigth');
  await ada.locator('dialog').getByRole('button', { name: 'Revert' }).click();
  await ada.locator('.said').waitFor();
  assert.equal(await ada.locator('#reason').inputValue(), 'a client cannot do TLS', 'what was typed stays');
  assert.equal((await bed.status('night')).phase, 'awaiting', 'nothing was done');
  await ada.locator('#confirm').fill('night');
  await ada.getByRole('button', { name: 'Revert' }).click();
  await ada.getByText('Done: revert.').waitFor();
  await ada.locator('.title .tag', { hasText: /^reverted$/ }).waitFor();
  assert.equal((await bed.status('night')).tally.reverted, 5);
  // The first try was answered 403.
  assert.deepEqual([...ada.said.filter((said) => !said.includes('403')), ...bob.said], []);
  for (const page of [ada, bob]) await page.context().close();
});

test('a failed change is tried again, and its rollout aborted', async () => {
  bed.write('fails.yaml', `version: 1\nname: fails\nssl_option: true\ntargets:\n  list:\n${proxy('4')}${proxy('5')}strategy: {max_failures: 1, max_in_flight: 1}\n`);
  await bed.sealift('apply', '--yes', '--detach', 'fails.yaml');
  const page = await bed.signIn();
  await at(page, 'fails', 'halted');
  const failed = async () => {
    const lines = await bed.sealift('journal', 'fails', '-o', 'jsonl');
    return lines.split('\n').map((line) => JSON.parse(line)).filter((entry) => entry.to === 'failed').length;
  };
  assert.equal(await failed(), 1);
  await page.getByRole('link', { name: 'Retry…' }).click();
  await page.locator('dialog #reason').fill('it is there now');
  await page.locator('dialog').getByRole('button', { name: 'Retry' }).click();
  await page.getByText('Done: retry.').waitFor();
  await until('it has failed again', async () => (await failed()) === 2);
  await at(page, 'fails', 'halted');
  await page.getByRole('link', { name: 'Abort…' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Abort' }).click();
  assert.equal(await page.locator('dialog #reason:invalid').count(), 1, 'a reason is asked for');
  await page.locator('dialog #reason').fill('it is not there');
  await page.locator('dialog').getByRole('button', { name: 'Abort' }).click();
  await page.getByText('Done: abort.').waitFor();
  await page.locator('.title .tag', { hasText: /^aborted$/ }).waitFor();
  assert.deepEqual(page.said, []);
  await page.context().close();
});

test('somebody else approves exactly what was shown, and who may only read finds no verb and is refused by hand', async () => {
  bed.write('asked.yaml', `version: 1\nname: asked\nssl_option: true\napproval: {required: 1}\ntargets:\n  list:\n${proxy('6')}`);
  await bed.sealift('apply', '--yes', '--detach', 'asked.yaml');
  const rita = await bed.signInAs('rita', 'read');
  for (const path of ['/', '/rollouts/asked', '/rollouts/fails', '/rollouts/night/report', '/lanes', '/enforcement']) {
    await rita.goto(bed.url(path));
    assert.equal(await rita.locator('.verbs a.button:not([rel]):not([href*=report]), [data-question]:not([href="/help"]), form[method=post]:not([action="/sign-out"])').count(), 0, path);
  }
  await rita.goto(bed.url('/rollouts/asked'));
  const byHand = await rita.evaluate(async () => {
    const form = document.querySelector('input[name=form]')?.getAttribute('value') ?? '';
    const post = (path, headers, body) => fetch(path, { method: 'POST', headers: { 'X-Sealift-Form': form, ...headers }, body }).then((answer) => answer.status);
    const json = { 'Content-Type': 'application/json' };
    const fields = { 'Content-Type': 'application/x-www-form-urlencoded' };
    return [
      await post('/v1/rollouts/asked/abort', json, '{"reason": "by hand"}'),
      await post('/v1/rollouts/asked/approve', json, '{"digest": "0"}'),
      await post('/v1/stop', json, '{"reason": "by hand"}'),
      await post('/rollouts/asked/abort', fields, `form=${form}&reason=by+hand`),
    ];
  });
  assert.deepEqual(byHand, [403, 403, 403, 403]);
  assert.equal((await bed.status('asked')).phase, 'scheduled', 'nothing was done');

  const ada = await bed.signIn();
  await at(ada, 'asked', 'scheduled');
  const bob = await bed.signInAs('bob', 'read,approve');
  await at(bob, 'asked', 'scheduled');
  await bob.getByRole('link', { name: 'Approve…' }).click();
  const { approval } = await bed.status('asked');
  assert.equal(await bob.locator('.digest').textContent(), approval.digest);
  await bob.getByRole('button', { name: 'Approve' }).click();
  await bob.getByText('Done: approve.').waitFor();
  await ada.getByText('approved by bob').waitFor();
  const said = [...ada.said, ...bob.said, ...rita.said.filter((said) => !said.includes('403'))];
  assert.deepEqual(said, []);
  for (const page of [ada, bob, rita]) await page.context().close();
});

test('100,000 changes are paged and filtered, and the address of what is shown opens elsewhere', async () => {
  const id = (number) => number.toString(16).padStart(32, '0');
  const rows = Array.from({ length: 100_000 }, (_, number) => `lab,${id(number)}in07,${id(number)}po01`);
  bed.write('large.csv', ['lane,instance_id,proxy_id', ...rows].join('\n'));
  bed.write('large.yaml', 'version: 1\nname: large\nssl_option: true\napproval: {required: 1}\ntargets: {files: [large.csv]}\nstrategy: {waves: [{name: first, size: 1000}, {name: rest, size: rest}]}\n');
  await bed.sealift('apply', '--yes', '--detach', 'large.yaml');
  const page = await bed.signIn();
  await at(page, 'large', 'scheduled');
  const shown = (of) => of.locator('table[data-steady] tbody tr[id]').evaluateAll((all) => all.map((row) => Number(row.id.slice(2))));
  await page.getByRole('link', { name: /^All/ }).click();
  await page.waitForURL((url) => url.searchParams.get('state') === 'all');
  assert.deepEqual(await shown(page), Array.from({ length: 100 }, (_, number) => number));
  await page.getByRole('link', { name: 'More' }).click();
  await page.waitForURL((url) => url.searchParams.has('after'));
  assert.deepEqual((await shown(page)).slice(0, 2), [100, 101]);
  await page.getByLabel('Wave', { exact: true }).selectOption('rest');
  await page.waitForURL((url) => url.searchParams.get('wave') === 'rest');
  assert.equal((await shown(page))[0], 1000);
  await page.getByLabel('Id of a proxy').fill(id(15_000));
  await page.getByLabel('Id of a proxy').press('Enter');
  await page.waitForURL((url) => url.searchParams.has('id'));
  assert.deepEqual(await shown(page), [15_000]);
  const other = await bed.signInAs('rita', 'read');
  await other.goto(page.url());
  assert.deepEqual(await shown(other), [15_000]);
  assert.deepEqual([...page.said, ...other.said], []);
  for (const one of [page, other]) await one.context().close();
});
