/** The tables of who may do what, as types: projects, members, people of teams, roles, keys and tokens. */
import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { JsonObject } from '../../base/json.ts';

type Json<T extends object = JsonObject> = JSONColumnType<T, string, string>;
type Time = ColumnType<Date, Date, Date>;
type TimeOrNull = ColumnType<Date | null, Date | null | undefined, Date | null>;

export type RoleName = 'owner' | 'admin' | 'manager' | 'developer' | 'viewer' | 'auditor' | 'none';
export type ClassificationName = 'public' | 'internal' | 'confidential' | 'restricted';

export interface ProjectsTable {
  id: string;
  organization_id: string;
  name: string;
  description: Generated<string>;
  team_id: string | null;
  classification: Generated<ClassificationName>;
  archived_at: TimeOrNull;
  created_at: Time;
}

export interface MembersTable {
  id: string;
  organization_id: string;
  user_id: Generated<string | null>;
  name: string;
  role: RoleName;
  clearance: ClassificationName | null;
  deactivated_at: TimeOrNull;
  created_at: Time;
}

export interface TeamMembersTable {
  team_id: string;
  member_id: string;
  organization_id: string;
  created_at: Time;
}

export interface ServiceAccountsTable {
  id: string;
  organization_id: string;
  name: string;
  role: RoleName;
  clearance: ClassificationName | null;
  created_by: string;
  created_at: Time;
  disabled_at: TimeOrNull;
}

export interface RoleBindingsTable {
  organization_id: string;
  /** `member:mem_…` or `service:svc_…`. */
  subject: string;
  role: Exclude<RoleName, 'none'>;
  scope: 'team' | 'project';
  scope_id: string;
  granted_by: string;
  created_at: Time;
}

export interface SigningKeysTable {
  id: string;
  algorithm: 'EdDSA';
  public_jwk: Json;
  private_key_sealed: string;
  created_at: Time;
  retires_at: TimeOrNull;
}

export interface RunTokensTable {
  token_hash: string;
  organization_id: string;
  run_id: string;
  created_at: Time;
  expires_at: Time;
}

export interface ApiKeysTable {
  id: string;
  organization_id: string;
  /** Of a member or of a service account. */
  member_id: string | null;
  service_account_id: string | null;
  created_by: string | null;
  name: string;
  prefix: string;
  key_hash: string;
  /** Bundles and single permissions. */
  scopes: string[];
  /** Null: every project that its owner may see. */
  project_ids: string[] | null;
  /** The key that took its place. */
  replaced_by: string | null;
  created_at: Time;
  expires_at: TimeOrNull;
  revoked_at: TimeOrNull;
  last_used_at: TimeOrNull;
}

export interface AccessTables {
  projects: ProjectsTable;
  members: MembersTable;
  team_members: TeamMembersTable;
  service_accounts: ServiceAccountsTable;
  role_bindings: RoleBindingsTable;
  signing_keys: SigningKeysTable;
  run_tokens: RunTokensTable;
  api_keys: ApiKeysTable;
}
