/**
 * The HTTP surface in one list: who adds routes, in the order of the document. The server registers them with what
 * they work with; the generator of the SDK's types registers them with nothing, which no registration touches.
 */
import { agentRoutes } from './features/agents/routes.ts';
import { approvalRoutes } from './features/approvals/routes.ts';
import { auditRoutes } from './features/audit/routes.ts';
import { budgetRoutes } from './features/budgets/routes.ts';
import { healthRoutes } from './features/health/routes.ts';
import { socketRoutes } from './features/health/socket-routes.ts';
import { accountRoutes } from './features/identity/account-routes.ts';
import { factorRoutes } from './features/identity/factor-routes.ts';
import { invitationRoutes } from './features/identity/invitation-routes.ts';
import { keyRoutes } from './features/identity/key-routes.ts';
import { memberRoutes } from './features/identity/member-routes.ts';
import { organizationRoutes } from './features/identity/organization-routes.ts';
import { peopleRoutes } from './features/identity/people-routes.ts';
import { projectRoutes } from './features/identity/project-routes.ts';
import { serviceAccountRoutes } from './features/identity/service-account-routes.ts';
import { sessionRoutes } from './features/identity/session-routes.ts';
import { signInRoutes } from './features/identity/sign-in-routes.ts';
import { teamRoutes } from './features/identity/team-routes.ts';
import { tokenRoutes } from './features/identity/token-routes.ts';
import { runRoutes } from './features/runs/routes.ts';
import { ownRunRoutes } from './features/runs/run-routes.ts';
import { rotationRoutes } from './features/secrets/installation-routes.ts';
import { secretRoutes } from './features/secrets/routes.ts';
import { taskRoutes } from './features/tasks/routes.ts';
import type { Tenants } from './platform/db/db.ts';
import type { Server } from './platform/http/server.ts';

type Deps<F extends (server: Server, deps: never) => void> = Parameters<F>[1];

/** What all of them need together. */
export type RouteDeps = Deps<typeof sessionRoutes> &
  Deps<typeof signInRoutes> &
  Deps<typeof peopleRoutes> &
  Deps<typeof keyRoutes> &
  Deps<typeof tokenRoutes> &
  Deps<typeof organizationRoutes> &
  Deps<typeof secretRoutes> &
  Deps<typeof rotationRoutes> &
  Deps<typeof approvalRoutes> &
  Deps<typeof budgetRoutes> &
  Deps<typeof agentRoutes> &
  Deps<typeof taskRoutes> &
  Deps<typeof runRoutes> &
  Deps<typeof auditRoutes> &
  Deps<typeof healthRoutes> &
  Deps<typeof socketRoutes> & { tenants: Tenants };

export function addRoutes(server: Server, deps: RouteDeps): void {
  sessionRoutes(server, deps);
  signInRoutes(server, deps);
  accountRoutes(server, deps);
  factorRoutes(server, deps);
  invitationRoutes(server, deps);
  peopleRoutes(server, deps);
  keyRoutes(server, deps);
  tokenRoutes(server, deps);
  serviceAccountRoutes(server, deps);
  memberRoutes(server, deps);
  organizationRoutes(server, deps);
  projectRoutes(server, deps);
  teamRoutes(server, deps);
  secretRoutes(server, deps);
  rotationRoutes(server, deps);
  approvalRoutes(server, deps);
  budgetRoutes(server, deps);
  agentRoutes(server, deps);
  taskRoutes(server, deps);
  runRoutes(server, deps);
  ownRunRoutes(server, deps);
  auditRoutes(server, deps);
  healthRoutes(server, deps);
  socketRoutes(server, deps);
}
