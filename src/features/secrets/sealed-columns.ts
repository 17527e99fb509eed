/**
 * Every column that holds sealed values, whichever feature it belongs to: what a rotation of the master key has to go
 * through. That none is missing is tested against the tables as they are.
 */
import { contextOf } from './secrets.ts';

export interface SealedColumn {
  table: string;
  column: string;
  /** Columns that name the row, and of which its context is made. */
  row: readonly string[];
  context(row: Record<string, string>): string;
}

export const sealedColumns: readonly SealedColumn[] = [
  { table: 'derivation_root', column: 'sealed', row: ['is_only'], context: () => 'derivation_root' },
  {
    table: 'secrets',
    column: 'sealed_value',
    row: ['id', 'organization_id', 'name'],
    context: row => contextOf(row.organization_id as string, row.name as string),
  },
  {
    table: 'signing_keys',
    column: 'private_key_sealed',
    row: ['id'],
    context: row => `signing_key:${row.id}`,
  },
  {
    table: 'audit_keys',
    column: 'sealed_private_key',
    row: ['id'],
    context: row => `audit_key:${row.id}`,
  },
];
