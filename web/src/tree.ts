/** Flat lists with a parent become trees, drawn as indented rows. */

export interface Branch<T> {
  item: T;
  depth: number;
  /** For each level from the left, whether a further sibling follows: draws the guide lines. */
  guides: boolean[];
  hasChildren: boolean;
}

/** Parents before children, siblings in the order given. What has no known parent is a root; nothing is lost. */
export function flatten<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  parentOf: (item: T) => string | null,
): Branch<T>[] {
  const ids = new Set(items.map(idOf));
  const children = new Map<string | null, T[]>();
  for (const item of items) {
    const parent = parentOf(item);
    const key = parent !== null && ids.has(parent) ? parent : null;
    children.set(key, [...(children.get(key) ?? []), item]);
  }
  const rows: Branch<T>[] = [];
  const seen = new Set<string>();
  const visit = (parent: string | null, guides: boolean[]): void => {
    const list = children.get(parent) ?? [];
    list.forEach((item, index) => {
      const id = idOf(item);
      if (seen.has(id)) return;
      seen.add(id);
      const mine = [...guides, index < list.length - 1];
      rows.push({ item, depth: guides.length, guides: mine, hasChildren: children.has(id) });
      visit(id, mine);
    });
  };
  visit(null, []);
  for (const item of items)
    if (!seen.has(idOf(item))) rows.push({ item, depth: 0, guides: [false], hasChildren: false });
  return rows;
}
