// A daemon over the emulated cloud, and a browser in front of it: what every test of the page begins with.

import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { chromium } from 'playwright-core';

export const BINARY = process.env.SEALIFT ?? join(import.meta.dirname, '../../target/debug/sealift');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];
/** How long anything may take on a machine that does much else beside. */
const PATIENCE = 120_000;

const run = promisify(execFile);

/** @returns {Promise<number>} a port that is free now */
function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => done(port));
    });
  });
}

export class Bed {
  /** @param {{proxies?: number, faults?: string, calls?: number, lane?: string, api?: string}} asked `calls`: what the lane's quota gives in a second; `lane`, `api`: more of their keys */
  static async start({ proxies = 24, faults = 'job_time: {min: 300ms, max: 1s}\nerror_500_after: 10%\n', calls = 60, lane = '', api = '' } = {}) {
    const bed = new Bed();
    bed.folder = mkdtempSync(join(tmpdir(), 'sealift-page-'));
    const [cloud, page] = [await freePort(), await freePort()];
    bed.port = page;
    bed.write('faults.yaml', faults);
    bed.write('token', 'page-token', 0o600);
    bed.write('sealift.yaml', `store: {sled: state/queue}
plans: plans.d
api: {socket: api.sock, listen: "127.0.0.1:${page}"${api}}
lanes:
  - {name: lab, endpoint: "http://127.0.0.1:${cloud}", project_id: 056538411200d4cd2f79c003c7606412, credentials: {token: {file: token}}, quota: {requests: ${calls}, per: 1s}${lane}}
`);
    const emulator = ['emulate', '--listen', `127.0.0.1:${cloud}`, '--proxies', `${proxies}`, '--instances', `${proxies}`, '--lane', 'lab'];
    bed.cloud = bed.spawn([...emulator, '--write-fleet', 'fleet.csv', '--token', 'page-token', '--faults', 'faults.yaml']);
    await bed.serve();
    bed.browser = await browse();
    return bed;
  }

  write(name, text, mode = 0o644) {
    writeFileSync(join(this.folder, name), text, { mode });
  }

  spawn(words) {
    const child = spawn(BINARY, words, { cwd: this.folder, env: { ...process.env, SEALIFT_CONFIG: 'sealift.yaml' }, stdio: 'ignore' });
    child.on('error', (error) => { throw error; });
    return child;
  }

  /** Starts the daemon, and waits until it answers. */
  async serve() {
    this.daemon = this.spawn(['serve', '--log', 'warn']);
    for (let tries = 0; tries < 300; tries += 1) {
      if (await this.sealift('status').then(() => true, () => false)) return;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error('the daemon never answered');
  }

  /** Ends the daemon without notice. */
  async kill() {
    const gone = new Promise((done) => this.daemon.once('exit', done));
    this.daemon.kill('SIGKILL');
    await gone;
  }

  /** A verb of the command line, before this daemon. */
  sealift(...words) {
    return sealift(this.folder, ...words);
  }

  /** Submits a plan over the whole fleet. */
  async submit(name, rest = '', ssl = true) {
    this.write(`${name}.yaml`, `version: 1\nname: ${name}\nchange_ref: CHG-1\nowner: dba-oncall\nssl_option: ${ssl}\ntargets: {files: [fleet.csv]}\n${rest}`);
    await this.sealift('apply', '--yes', '--detach', ...(ssl ? [] : ['--confirm', name]), `${name}.yaml`);
  }

  async status(name) {
    return JSON.parse(await this.sealift('status', name, '-o', 'json'));
  }

  /** A tab of a browser that is signed in by a link. Whatever its console says is kept in `said`. */
  async signIn(options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
    const page = await tab(context);
    await page.goto(await this.sealift('open', '--print'));
    await page.waitForURL((url) => url.pathname === '/');
    await live(page);
    return page;
  }

  /** A tab of a browser that is signed in by a new token of this person's. */
  async signInAs(name, may) {
    const token = await this.sealift('token', 'new', '--name', name, '--may', may);
    const page = await tab(await this.browser.newContext({ viewport: { width: 1440, height: 1000 } }));
    await page.goto(this.url('/sign-in'));
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in by the token' }).click();
    await page.waitForURL((url) => url.pathname === '/');
    await live(page);
    return page;
  }

  url(path) {
    return `http://sealift.localhost:${this.port}${path}`;
  }

  async end() {
    await this.browser?.close();
    this.daemon?.kill('SIGKILL');
    this.cloud?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Debian's browser, with nothing of its own on the network. */
export function browse() {
  return chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, '--host-resolver-rules=MAP sealift.localhost 127.0.0.1'] });
}

/** A verb of the command line; resolves to what it printed. */
export async function sealift(folder, ...words) {
  const done = await run(BINARY, words, { cwd: folder, env: { ...process.env, SEALIFT_CONFIG: 'sealift.yaml', SEALIFT_WAIT: '0s' }, maxBuffer: 1 << 30 });
  return done.stdout.trim();
}

/** A tab. Whatever its console says is kept in `said`, its open streams in `streams`. */
export async function tab(context) {
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  [page.said, page.streams] = [[], new Set()];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && page.said.push(message.text()));
  page.on('pageerror', (error) => page.said.push(String(error)));
  page.on('request', (request) => request.url().endsWith('/v1/moved') && page.streams.add(request));
  for (const over of ['requestfinished', 'requestfailed']) page.on(over, (request) => page.streams.delete(request));
  return page;
}

/** Waits until the view says that it is live. */
export async function live(page) {
  await page.waitForSelector('#live[data-state=live]');
}

/** Asks until it is so: another process works, so there is nothing else to wait on. */
export async function until(what, is) {
  for (let tries = 0; tries < PATIENCE / 100; tries += 1) {
    if (await is()) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`never: ${what}`);
}

/** Serious findings of axe on the views at these addresses, with nothing of the page's policy in its way. */
export async function accessible(bed, page, paths, colorScheme) {
  const context = await bed.browser.newContext({ bypassCSP: true, colorScheme, storageState: await page.context().storageState() });
  context.setDefaultTimeout(PATIENCE);
  const tab = await context.newPage();
  const axe = readFileSync(join(import.meta.dirname, 'node_modules/axe-core/axe.min.js'), 'utf8');
  const found = [];
  for (const path of paths) {
    await tab.goto(bed.url(path));
    await tab.addScriptTag({ content: axe });
    const here = await tab.evaluate(async () => (await window.axe.run()).violations.map((one) => `${one.impact} ${one.id}: ${one.nodes[0].html}`));
    found.push(...here.filter((one) => /^(serious|critical)/.test(one)).map((one) => `${colorScheme} ${path}: ${one}`));
  }
  await context.close();
  return found;
}
