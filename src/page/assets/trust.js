// The one place where HTML becomes a document: that of the daemon's own views, which escape every text.

const policy = window.trustedTypes?.createPolicy('sealift', { createHTML: (/** @type {string} */ html) => html });

/**
 * @param {string} html
 * @returns {Document}
 */
export function parse(html) {
  return new DOMParser().parseFromString(/** @type {string} */ (policy ? policy.createHTML(html) : html), 'text/html');
}
