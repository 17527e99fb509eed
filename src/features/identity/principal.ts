/** The principal: who makes a request, and what they may do. */
import type { Row } from '../../platform/db/schema.ts';
import type { Actor } from '../../platform/journal/facts.ts';

export const scopes = ['read', 'write', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Who makes a request and what they may do. */
export interface Principal {
  actor: Actor;
  member: { id: string; name: string; role: Row<'members'>['role'] };
  scopes: Scope[];
  /** Present for browser sessions: writes must repeat it in `x-csrf-token`. */
  csrfToken: string | null;
  apiKeyId: string | null;
}

export const roleScopes: Record<Row<'members'>['role'], Scope[]> = {
  owner: ['read', 'write', 'admin'],
  admin: ['read', 'write', 'admin'],
  manager: ['read', 'write'],
  developer: ['read', 'write'],
  viewer: ['read'],
  auditor: ['read'],
  none: [],
};
