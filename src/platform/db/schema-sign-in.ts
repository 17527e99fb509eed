/** The tables of sign-in as types (migration 0002). */
import type { ColumnType, Generated } from 'kysely';
import type { RoleName } from './schema-access.ts';

type Time = ColumnType<Date, Date, Date>;
type TimeOrNull = ColumnType<Date | null, Date | null | undefined, Date | null>;

export interface SignInLinksTable {
  token_hash: string;
  organization_id: string;
  member_id: string;
  purpose: Generated<'sign_in' | 'set_password'>;
  created_at: Time;
  expires_at: Time;
  used_at: TimeOrNull;
}

/** A person, in this deployment; of which organizations they are members is told by `members.user_id`. */
export interface UsersTable {
  id: string;
  name: string;
  email: string | null;
  email_verified: Generated<boolean>;
  image: Generated<string | null>;
  second_factor: Generated<boolean | null>;
  created_at: Time;
  updated_at: Time;
}

export interface SessionsTable {
  id: string;
  user_id: string;
  token_hash: string;
  member_id: string | null;
  method: Generated<string>;
  ip_address: string | null;
  user_agent: string | null;
  created_at: Time;
  updated_at: Time;
  expires_at: Time;
}

export interface AccountsTable {
  id: string;
  user_id: string;
  provider_id: string;
  account_id: string;
  password_hash: string | null;
  access_token: Generated<null>;
  refresh_token: Generated<null>;
  id_token: Generated<null>;
  access_token_expires_at: TimeOrNull;
  refresh_token_expires_at: TimeOrNull;
  scope: Generated<string | null>;
  created_at: Time;
  updated_at: Time;
}

export interface VerificationsTable {
  id: string;
  identifier: string;
  value: string;
  created_at: Time;
  updated_at: Time;
  expires_at: Time;
}

export interface SecondFactorsTable {
  id: string;
  user_id: string;
  secret: string;
  backup_codes: string;
  verified: Generated<boolean | null>;
  failures: Generated<number | null>;
  locked_until: TimeOrNull;
}

export interface PasskeysTable {
  id: string;
  user_id: string;
  name: string | null;
  credential_id: string;
  public_key: string;
  counter: number;
  device_type: string;
  backed_up: boolean;
  transports: string | null;
  aaguid: string | null;
  created_at: TimeOrNull;
}

export interface InvitationsTable {
  id: string;
  organization_id: string;
  token_hash: string;
  email: string;
  role: RoleName;
  invited_by: string;
  created_at: Time;
  expires_at: Time;
  accepted_at: TimeOrNull;
  member_id: Generated<string | null>;
  revoked_at: TimeOrNull;
}

export interface SignInTables {
  users: UsersTable;
  sign_in_links: SignInLinksTable;
  sessions: SessionsTable;
  accounts: AccountsTable;
  verifications: VerificationsTable;
  second_factors: SecondFactorsTable;
  passkeys: PasskeysTable;
  invitations: InvitationsTable;
}
