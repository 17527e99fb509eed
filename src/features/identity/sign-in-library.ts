/**
 * The library that checks passwords, one-time codes, passkeys and what providers say (better-auth), made for our
 * tables. It says only who somebody is. Few of its parts are on: its cookies for sessions never reach a browser, its
 * limiter, cookie cache, telemetry and routes are off; sign-in.ts is the only one that talks to it.
 */
import { passkey } from '@better-auth/passkey';
import { type BetterAuthOptions, betterAuth } from 'better-auth';
import { genericOAuth, twoFactor } from 'better-auth/plugins';
import type { IdPrefix } from '../../base/ids.ts';
import { newId } from '../../base/ids.ts';
import type { Db } from '../../platform/db/db.ts';
import { hashPassword, passwordLength, verifyPassword } from './passwords.ts';
import { type ReadyProvider, refuseOutsider, toGenericConfig } from './sign-in-provider.ts';

/** What becomes of a session that the library opens: our token, our times, where it came from. */
export interface NewSessionFields {
  token: string;
  expiresAt: Date;
  createdAt: Date;
  ipAddress: string;
  userAgent: string;
  method: string;
}

export interface LibraryOptions {
  db: Db;
  /** Signs its short-lived cookies and encrypts secrets of authenticator apps. */
  secret: string;
  /** Address that people reach this server at; null: by whatever name they use. */
  publicUrl: string | null;
  https: boolean;
  /** Those that are known to answer. */
  providers: readonly ReadyProvider[];
  beforeSession(userId: string): Promise<NewSessionFields>;
  /** A provider was joined to a user. */
  afterJoin(userId: string, providerId: string): Promise<void>;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void;
}

export const libraryPath = '/api/v1/auth';
/** Also what a signed-in person does under /api/v1/account needs its cookies. */
const cookiePath = '/api/v1';
export const libraryCookiePrefix = 'guildhall_sign_in';
export const appName = 'Guildhall';

const prefixes: Record<string, IdPrefix> = {
  user: 'usr',
  session: 'ses',
  account: 'acc',
  verification: 'ver',
  twoFactor: 'tfa',
  passkey: 'psk',
};

/** The library's fields by the columns of our tables. */
const tables = {
  user: {
    modelName: 'users',
    fields: { emailVerified: 'email_verified', createdAt: 'created_at', updatedAt: 'updated_at' },
  },
  session: {
    modelName: 'sessions',
    fields: {
      userId: 'user_id',
      token: 'token_hash',
      expiresAt: 'expires_at',
      createdAt: 'created_at',
      updatedAt: 'updated_at',
      ipAddress: 'ip_address',
      userAgent: 'user_agent',
    },
    additionalFields: {
      method: { type: 'string', required: false, input: false },
    },
  },
  account: {
    modelName: 'accounts',
    fields: {
      userId: 'user_id',
      providerId: 'provider_id',
      accountId: 'account_id',
      password: 'password_hash',
      accessToken: 'access_token',
      refreshToken: 'refresh_token',
      idToken: 'id_token',
      accessTokenExpiresAt: 'access_token_expires_at',
      refreshTokenExpiresAt: 'refresh_token_expires_at',
      createdAt: 'created_at',
      updatedAt: 'updated_at',
    },
  },
  verification: {
    modelName: 'verifications',
    fields: { expiresAt: 'expires_at', createdAt: 'created_at', updatedAt: 'updated_at' },
  },
} as const;

const twoFactorTables = {
  user: { fields: { twoFactorEnabled: 'second_factor' } },
  twoFactor: {
    modelName: 'second_factors',
    fields: {
      userId: 'user_id',
      backupCodes: 'backup_codes',
      failedVerificationCount: 'failures',
      lockedUntil: 'locked_until',
    },
  },
};

const passkeyTables = {
  passkey: {
    modelName: 'passkeys',
    fields: {
      userId: 'user_id',
      publicKey: 'public_key',
      credentialID: 'credential_id',
      deviceType: 'device_type',
      backedUp: 'backed_up',
      createdAt: 'created_at',
    },
  },
};

/** We ask providers who somebody is, once; what they would let us do afterwards is not kept. */
const withoutTokens = {
  accessToken: null,
  refreshToken: null,
  idToken: null,
  accessTokenExpiresAt: null,
  refreshTokenExpiresAt: null,
};

export interface Library {
  handler(request: Request): Promise<Response>;
  /** Ids of the providers that it has taken up. */
  providers: string[];
}

export async function createLibrary(options: LibraryOptions): Promise<Library> {
  const google = options.providers.find(p => p.google);
  const generic = options.providers.filter(p => !p.google);
  const settings = {
    appName,
    secret: options.secret,
    basePath: libraryPath,
    baseURL: options.publicUrl
      ? new URL(options.publicUrl).origin
      : { allowedHosts: ['*'], protocol: 'http' },
    database: { db: options.db as never, type: 'postgres', transaction: true },
    telemetry: { enabled: false },
    rateLimit: { enabled: false },
    logger: { level: 'debug', log: (level, message) => options.log(level, message) },
    user: { ...tables.user, validateUserInfo: data => refuseOutsider(options.providers, data) },
    session: { ...tables.session, cookieCache: { enabled: false }, disableSessionRefresh: true },
    account: {
      ...tables.account,
      // Somebody who had an account here first under an address that nobody vouched for does not get the provider's.
      accountLinking: { enabled: true, trustedProviders: [], requireLocalEmailVerified: true },
    },
    verification: { ...tables.verification, storeIdentifier: 'hashed' },
    emailAndPassword: {
      enabled: true,
      disableSignUp: true,
      minPasswordLength: passwordLength.least,
      maxPasswordLength: passwordLength.most,
      password: {
        hash: hashPassword,
        verify: ({ hash, password }) => verifyPassword(hash, password),
      },
    },
    socialProviders: google
      ? {
          google: {
            clientId: google.clientId,
            clientSecret: google.clientSecret,
            disableSignUp: !google.newPeople,
            ...(google.google?.hostedDomain ? { hd: google.google.hostedDomain } : {}),
          },
        }
      : {},
    plugins: [
      twoFactor({ issuer: appName, schema: twoFactorTables }),
      passkey({
        rpName: appName,
        ...(options.publicUrl
          ? { rpID: new URL(options.publicUrl).hostname, origin: new URL(options.publicUrl).origin }
          : {}),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        authentication: { afterVerification: requireVerifiedPerson },
        schema: passkeyTables,
      }),
      genericOAuth({ config: generic.map(toGenericConfig) }),
    ],
    databaseHooks: {
      session: {
        create: { before: async session => ({ data: await options.beforeSession(session.userId) }) },
      },
      account: {
        create: {
          before: async () => ({ data: withoutTokens }),
          after: ({ userId, providerId }) => options.afterJoin(userId, providerId),
        },
        update: { before: async () => ({ data: withoutTokens }) },
      },
    },
    advanced: {
      cookiePrefix: libraryCookiePrefix,
      useSecureCookies: options.https,
      defaultCookieAttributes: { path: cookiePath, httpOnly: true, sameSite: 'lax', secure: options.https },
      ipAddress: { disableIpTracking: true },
      database: { generateId: ({ model }) => newId(prefixes[model] ?? 'ver') },
    },
  } satisfies BetterAuthOptions;
  const auth = betterAuth(settings as BetterAuthOptions);
  const context = await auth.$context;
  return { handler: auth.handler, providers: context.socialProviders.map(p => p.id) };
}

/** A passkey stands for password and second factor at once: the device must have asked for finger, face or PIN. */
async function requireVerifiedPerson({
  verification,
}: {
  verification: { authenticationInfo: { userVerified: boolean } };
}): Promise<void> {
  if (verification.authenticationInfo.userVerified) return;
  const { APIError } = await import('better-auth/api');
  throw new APIError('UNAUTHORIZED', {
    code: 'PERSON_NOT_VERIFIED',
    message: 'The device did not ask for you.',
  });
}
