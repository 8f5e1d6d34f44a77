// What browsers have and TypeScript's own list of them does not.

interface TrustedTypePolicy {
  createHTML(html: string): unknown;
}

interface Window {
  /** Absent where a browser does not know it. */
  trustedTypes?: { createPolicy(name: string, rules: { createHTML(html: string): string }): TrustedTypePolicy };
}
