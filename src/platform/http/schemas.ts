/** Shapes that every route shares. */
import { z } from 'zod';

/** RFC 9457 problem document. `code` is stable, `title` a sentence for people. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    code: z.string(),
    request_id: z.string(),
    detail: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Problem' });

/** Refusals that any route may answer with. */
export const problemResponses = { '4xx': problemSchema, '5xx': problemSchema } as const;

/** ISO 8601 in UTC. */
export const time = (date: Date): string => date.toISOString();
export const timeOrNull = (date: Date | null): string | null => date?.toISOString() ?? null;

export const cursorQuery = z.strictObject({
  cursor: z.string().max(200).optional().describe('`next_cursor` of the page before.'),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

/** For short rows that are mostly wanted all at once. */
export const longPageQuery = cursorQuery.extend({
  limit: z.coerce.number().int().min(1).max(200).default(200),
});

/** A page of a list. `next_cursor` is null on the last one. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next_cursor: z.string().nullable() });

/** Cuts one item more than asked for into a page. */
export function toPage<T extends { id: string }>(
  rows: T[],
  limit: number,
): { items: T[]; next_cursor: string | null } {
  const items = rows.slice(0, limit);
  return { items, next_cursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}
