// The clock of the bar: the daemon's, never the reader's.

/** How far the daemon's clock is from this machine's uptime, in milliseconds. */
let ahead = 0;

const shown = /** @type {HTMLElement} */ (document.getElementById('clock'));
const zone = shown.dataset.offset ?? '';
const offset = offsetOf(zone);

/**
 * `+08`, `-03:30` or `Z`, in milliseconds.
 * @param {string} text
 */
function offsetOf(text) {
  const found = /^([+-])(\d\d)(?::(\d\d))?/.exec(text);
  if (!found) return 0;
  const minutes = Number(found[2]) * 60 + Number(found[3] ?? 0);
  return (found[1] === '-' ? -minutes : minutes) * 60_000;
}

/** @param {string} now the daemon's clock, RFC 3339 */
export function setClock(now) {
  ahead = Date.parse(now) - performance.now();
}

function tick() {
  const local = new Date(performance.now() + ahead + offset);
  shown.textContent = `${local.toISOString().slice(11, 19)} ${zone}`;
}

setClock(shown.dataset.now ?? new Date(0).toISOString());
setInterval(tick, 1_000);
