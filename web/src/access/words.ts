/** The words of roles and classes, in the order of their weight. */
import type { Member } from '../api/types.ts';

export const roles: readonly Member['role'][] = [
  'owner',
  'admin',
  'manager',
  'developer',
  'viewer',
  'auditor',
  'none',
];

export const classifications: readonly Member['clearance'][] = [
  'public',
  'internal',
  'confidential',
  'restricted',
];
