// What the page's script uses of the vendored idiomorph, whose own comments are no types for TypeScript.

interface MorphOptions {
  morphStyle?: 'innerHTML' | 'outerHTML';
  ignoreActiveValue?: boolean;
  callbacks?: { beforeAttributeUpdated?: (name: string, node: Element, kind: 'update' | 'remove') => boolean };
}

export const Idiomorph: { morph(now: Element, next: Element, options: MorphOptions): void };
