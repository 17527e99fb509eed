/** Routes of signing in: which ways there are, password and second step, passkey, outside provider. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import { problemResponses } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { passwordLength } from './passwords.ts';
import type { LibraryAnswer, LibraryCall, SignIn } from './sign-in.ts';
import { problemOf, providerFault } from './sign-in-faults.ts';
import { admitPerson, isFirstUse, type OutcomeDeps, recordRefusal } from './sign-in-outcome.ts';

export interface SignInRouteDeps extends OutcomeDeps {
  clock: Clock;
  signIn: SignIn;
  /** Whether anybody may make an account. */
  openSignUp: boolean;
}

/** Open to all, and counted as tries to sign in. */
export const publicSignIn = { public: true, limit: 'login' } as const;
export const emailField = z.email().max(200);
export const newPasswordField = z
  .string()
  .min(1)
  .max(1_000)
  .describe(`At least ${passwordLength.least} characters; common ones are refused.`);
export const signedIn = z.object({ signed_in: z.literal(true) });

const methods = z
  .object({
    password: z.literal(true),
    open_sign_up: z.boolean().describe('Whether anybody may make an account here.'),
    passkeys: z
      .boolean()
      .describe(
        'Whether browsers allow passkeys at this address: https or localhost, and a name, not a number.',
      ),
    providers: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        usable: z.boolean().describe('False while the provider does not answer; it is asked again.'),
      }),
    ),
  })
  .meta({ id: 'SignInMethods' });

/** What a device's answer looks like is checked where it is verified. */
export const deviceAnswer = z
  .looseObject({ id: z.string().max(2_000), type: z.string().max(40) })
  .meta({ description: 'What `navigator.credentials` gave, in JSON (`toJSON()`).' });
export const deviceQuestion = z.looseObject({ challenge: z.string() });

export function signInRoutes(server: Server, deps: SignInRouteDeps): void {
  const { signIn, clock } = deps;
  const now = () => new Date(clock.now());

  /** Asks the library; with a session the person is in, a refusal is recorded and thrown. */
  const attempt = async (
    request: FastifyRequest,
    reply: FastifyReply,
    call: LibraryCall & { onceOnly?: string },
    email?: string,
  ): Promise<LibraryAnswer> => {
    const answer = await signIn.call(request, reply, call);
    if (answer.session && call.onceOnly && !(await isFirstUse(deps, now(), answer.session, call.onceOnly))) {
      const problem = problemOf({ status: 401, fault: 'invalid_code', body: {} });
      await recordRefusal(deps, now(), request, { method: call.by, reason: 'code_used' });
      throw problem;
    }
    if (answer.session) {
      await admitPerson(deps, now(), request, reply, answer.session, call.by);
    } else if (answer.status >= 400) {
      const problem = problemOf(answer);
      if (problem.kind !== 'bug')
        await recordRefusal(deps, now(), request, { method: call.by, reason: problem.code, email });
      throw problem;
    }
    return answer;
  };

  server.get(
    '/api/v1/auth/methods',
    {
      config: { public: true },
      schema: {
        tags: ['sign-in'],
        summary: 'Ways to sign in here',
        response: { 200: methods, ...problemResponses },
      },
    },
    async request => {
      const { hostname, protocol } = new URL(signIn.originOf(request));
      return {
        password: true as const,
        open_sign_up: deps.openSignUp,
        passkeys: hostname === 'localhost' || (protocol === 'https:' && /[a-z]/.test(hostname)),
        providers: (await signIn.providers()).map(({ id, name, fault }) => ({
          id,
          name,
          usable: fault === null,
        })),
      };
    },
  );

  server.post(
    '/api/v1/auth/password',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'Sign in with e-mail address and password',
        body: z.strictObject({ email: emailField, password: z.string().min(1).max(1_000) }),
        response: {
          200: z.object({
            signed_in: z.boolean(),
            second_step: z
              .boolean()
              .describe('Whether a code is still needed: send it to /api/v1/auth/second-step.'),
          }),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { email, password } = request.body;
      const call = { path: '/sign-in/email', body: { email, password }, by: 'password' };
      const answer = await attempt(request, reply, call, email);
      return { signed_in: answer.session !== null, second_step: answer.session === null };
    },
  );

  server.post(
    '/api/v1/auth/second-step',
    {
      // Codes are guessed for one account: the one whose password was right.
      config: { ...publicSignIn, accountOf: request => signIn.pendingOf(request) },
      schema: {
        tags: ['sign-in'],
        summary: 'Finish a sign-in with a code of the authenticator app, or a backup code',
        body: z.strictObject({
          code: z.string().trim().min(6).max(40),
          kind: z.enum(['app', 'backup']).default('app'),
        }),
        response: { 200: signedIn, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { code, kind } = request.body;
      const path = kind === 'app' ? '/two-factor/verify-totp' : '/two-factor/verify-backup-code';
      const by = kind === 'app' ? 'password and app' : 'password and backup code';
      const onceOnly = kind === 'app' ? code : undefined;
      await attempt(request, reply, { path, body: { code }, by, onceOnly });
      return { signed_in: true as const };
    },
  );

  server.post(
    '/api/v1/auth/passkey/options',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'Begin to sign in with a passkey: the question for the device',
        response: { 200: deviceQuestion, ...problemResponses },
      },
    },
    async (request, reply) => {
      const path = '/passkey/generate-authenticate-options';
      const answer = await attempt(request, reply, { method: 'GET', path, by: 'passkey' });
      return { ...answer.body, userVerification: 'required' } as unknown as { challenge: string };
    },
  );

  server.post(
    '/api/v1/auth/passkey',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'Sign in with the answer of the device',
        body: z.strictObject({ response: deviceAnswer }),
        response: { 200: signedIn, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { response } = request.body;
      await attempt(request, reply, {
        path: '/passkey/verify-authentication',
        body: { response },
        by: 'passkey',
      });
      return { signed_in: true as const };
    },
  );

  server.post(
    '/api/v1/auth/provider',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'Begin to sign in with an outside provider: where to send the browser',
        body: z.strictObject({ provider: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/) }),
        response: { 200: z.object({ url: z.string() }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { provider } = request.body;
      await signIn.providers();
      const answer = await attempt(request, reply, {
        path: '/sign-in/social',
        body: { provider, callbackURL: '/', errorCallbackURL: '/sign-in', disableRedirect: true },
        by: `provider ${provider}`,
      });
      return { url: String(answer.body.url) };
    },
  );

  server.get(
    '/api/v1/auth/callback/:provider',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'Where an outside provider sends the browser back to; sends it on to the page',
        params: z.strictObject({ provider: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/) }),
        querystring: z.looseObject({ state: z.string().max(500).optional() }),
        response: { ...problemResponses },
      },
    },
    async (request, reply) => {
      const { provider } = request.params;
      const by = `provider ${provider}`;
      const query: Record<string, string> = {};
      for (const [name, value] of Object.entries(request.query)) {
        if (['code', 'state', 'error', 'iss'].includes(name) && typeof value === 'string')
          query[name] = value;
      }
      const answer = await signIn.call(request, reply, {
        method: 'GET',
        path: `/callback/${provider}`,
        query,
        by,
      });
      if (answer.status >= 500) throw problemOf(answer);
      if (answer.session) {
        await admitPerson(deps, now(), request, reply, answer.session, by);
        return reply.redirect('/', 303);
      }
      const fault = answer.location?.searchParams.get('error') ?? null;
      // Joining a provider to an account that is signed in ends without a new session.
      if (fault === null && answer.location?.pathname === '/account') return reply.redirect('/account', 303);
      const code = providerFault(fault);
      await recordRefusal(deps, now(), request, { method: by, reason: code });
      const back = answer.location?.pathname === '/account' ? '/account' : '/sign-in';
      return reply.redirect(`${back}?problem=${code}`, 303);
    },
  );
}

export const signUpClosed = (): Problem =>
  new Problem('forbidden', 'sign_up_closed', 'Accounts are made by invitation here: ask an admin for one.');
