// Plans, approvals, reports and paper in a real browser, over the real daemon and the emulated cloud.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Bed, accessible, live } from './bed.mjs';

const SHOTS = join(import.meta.dirname, '../../target/page');
/** Proxies that the cloud does not have: their changes fail. */
const MISSING = ['1', '2', '3'].map((digit) => `${digit.repeat(32)}po01`);
const WRONG = 'version: 1\nname: mended\nrevison: 2\nchange_reff: CHG-2\nownr: dba\nssl_option: true\ntargets: {files: [fleet.csv]}\nstrategy: {max_inflight: 4, wavs: [{name: all, size: rest}]}\n';

/** @type {Bed} */
let bed;
before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  bed = await Bed.start({ proxies: 16, faults: 'job_time: {min: 1s, max: 3s}\n' });
});
after(() => bed.end());

/** The state that a rollout has come to. */
const phase = async (page, name, word) => {
  await page.goto(bed.url(`/rollouts/${name}`));
  await page.locator('.tag', { hasText: new RegExp(`^${word}$`) }).first().waitFor({ timeout: 120_000 });
};

for (const script of [false, true]) {
  test(`a plan with five mistakes is mended by the fixes offered and submitted, ${script ? 'with' : 'without'} script`, async () => {
    const first = await bed.signIn();
    const context = await bed.browser.newContext({ javaScriptEnabled: script, storageState: await first.context().storageState() });
    const page = await context.newPage();
    const said = [];
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && said.push(message.text()));
    await page.goto(bed.url('/'));
    await page.getByRole('link', { name: 'Plans' }).click();
    const name = script ? 'mended-with' : 'mended';
    await page.locator('#text').fill(WRONG.replace('mended', name));
    await page.setInputFiles('#target-files', join(bed.folder, 'fleet.csv'));
    await page.getByRole('button', { name: 'Check', exact: true }).click();
    await page.getByRole('heading', { name: '5 mistakes in plan.yaml' }).waitFor();
    assert.equal(await page.locator('.wrong-line mark').count(), 4, 'two stand on one line');
    await page.locator('.mistake button').first().click();
    await page.getByRole('heading', { name: script ? '4 mistakes' : 'mistakes' }).waitFor();
    await page.getByRole('button', { name: 'Apply every fix' }).click();
    if (!script) {
      // The files were forgotten with the page; the mended text was not.
      await page.getByRole('heading', { name: '1 mistake in' }).waitFor();
      await page.setInputFiles('#target-files', join(bed.folder, 'fleet.csv'));
      await page.getByRole('button', { name: 'Check again' }).click();
    }
    await page.getByText('16 proxies on 16 instances').waitFor();
    assert.match(await page.locator('#text').inputValue(), /max_in_flight: 4, waves:/);
    await page.screenshot({ path: join(SHOTS, `plan-${script}.png`), fullPage: true });
    await page.getByRole('button', { name: `Submit ${name}` }).click();
    await page.getByText('Submitted.').waitFor();
    assert.deepEqual(said.filter((text) => !text.includes('422')), []);
    await context.close();
    await first.context().close();
    await bed.sealift('abort', name, '--yes', '--reason', 'the test is over');
    const settled = async () => (await bed.status(name)).tally?.active === 0;
    for (let tries = 0; tries < 600 && !(await settled()); tries += 1) await new Promise((done) => setTimeout(done, 100));
  });
}

test('rows hold still under the pointer, and what newly fits is told', async () => {
  await bed.submit('busy', 'strategy: {max_in_flight: 4}\n');
  const page = await bed.signIn();
  await page.goto(bed.url('/rollouts/busy'));
  await live(page);
  const rows = page.locator('table[data-steady] tbody tr[id]');
  await rows.first().hover();
  const ids = () => rows.evaluateAll((all) => all.map((row) => row.id));
  const held = await ids();
  await page.locator('#news:not([hidden])').waitFor();
  assert.deepEqual(await ids(), held, 'no row moved');
  assert.match(await page.locator('#news').textContent() ?? '', /more newly fit|no longer fit/);
  await page.mouse.move(5, 5);
  await page.locator('#news').waitFor({ state: 'hidden' });
  await phase(page, 'busy', 'completed');
  assert.deepEqual(page.said, []);
  await page.context().close();
});

test('the next morning the report is printed, and every change that was not as planned stands in it', async () => {
  const list = MISSING.map((proxy) => `    - {lane: lab, instance_id: ${proxy.slice(0, 32)}in07, proxy_id: ${proxy}}\n`).join('');
  bed.write('wrong.yaml', `version: 1\nname: wrong\nchange_ref: CHG-3\nowner: dba-oncall\nssl_option: true\ntargets:\n  files: [fleet.csv]\n  list:\n${list}strategy: {max_failures: 9}\n`);
  await bed.sealift('apply', '--yes', '--detach', 'wrong.yaml');
  const page = await bed.signIn();
  await phase(page, 'wrong', 'completed');
  await page.getByRole('link', { name: 'report' }).click();
  await page.getByText('16 of 19 changes are done').waitFor();
  await page.locator('#nights ~ * a, section[aria-labelledby=nights] a').first().click();
  await page.getByText('16 of 19 changes that began are done').waitFor();
  await page.screenshot({ path: join(SHOTS, 'report-light.png'), fullPage: true });
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.locator('button:visible, .button:visible, nav:visible').count(), 0, 'nothing to press on paper');
  await page.pdf({ path: join(SHOTS, 'report.pdf'), preferCSSPageSize: true });
  const text = execFileSync('pdftotext', ['-raw', join(SHOTS, 'report.pdf'), '-'], { encoding: 'utf8' }).replace(/\s/g, '');
  for (const proxy of MISSING) assert.ok(text.includes(proxy), `${proxy} is missing in ${text}`);
  assert.ok(text.includes(new URL(page.url()).pathname), 'where it is from');
  assert.match(readFileSync(join(SHOTS, 'report.pdf'), 'latin1'), /MediaBox \[0 0 59[45][.\d]* 84[12]/, 'A4');
  assert.deepEqual(page.said, []);
  await page.context().close();
});

test('views fit every screen, in both themes, and a reader chooses theme and zone', async () => {
  const list = '    - {lane: lab, instance_id: 44444444444444444444444444444444in07, proxy_id: 44444444444444444444444444444444po01}\n';
  bed.write('asked.yaml', `version: 1\nname: asked\nssl_option: true\napproval: {required: 1}\ntargets:\n  list:\n${list}`);
  await bed.sealift('apply', '--yes', '--detach', 'asked.yaml');
  const page = await bed.signIn({ colorScheme: 'light', timezoneId: 'Asia/Tokyo' });
  const paths = ['/', '/rollouts/wrong', '/rollouts/wrong/report', '/plans/new', '/help', '/rollouts/asked/approve'];
  const found = [];
  for (const theme of ['light', 'dark']) {
    for (const path of paths) found.push(...(await accessible(bed, page, [path], theme)));
  }
  assert.deepEqual(found, []);
  // A phone, a desk at 200 %, a desk, and 4K.
  for (const width of [360, 720, 1440, 3840]) {
    await page.setViewportSize({ width, height: 900 });
    for (const path of paths) {
      await page.goto(bed.url(path));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${path} scrolls sideways at ${width}: ${wide}`);
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(bed.url('/'));
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open]');
  await page.locator('dialog select[name=theme]').selectOption('dark');
  await page.locator('dialog select[name=zone]').selectOption('Asia/Tokyo');
  await page.getByRole('button', { name: 'Keep' }).click();
  await page.waitForSelector('html[data-theme=dark]');
  await page.getByText(', Asia/Tokyo').waitFor();
  await live(page);
  assert.deepEqual(page.said, []);
  await page.context().close();
});
