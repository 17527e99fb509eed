/** The shapes of the API, by the names that it gives them. They are made from the server's own OpenAPI document. */
import type { paths } from '../../../sdk/api.d.ts';
import type { Schemas } from '../../../sdk/client.ts';

export type { LiveEvent } from '../../../sdk/events.ts';

export type TaskSummary = Schemas['TaskSummary'];
export type TaskDetail = Schemas['TaskDetail'];
export type TaskState = TaskSummary['state'];
export type TaskAction = keyof TaskDetail['actions'];
export type Step = Schemas['Step'];
export type Check = Schemas['Check'];
export type Message = Schemas['Message'];
export type Approval = Schemas['Approval'];
export type Agent = Schemas['Agent'];
export type Team = Schemas['Team'];
export type ApiKey = Schemas['ApiKey'];
export type AuditRecord = Schemas['AuditRecord'];
export type AuditVerification = Schemas['AuditVerification'];
export type Component = Schemas['Component'];
export type Health = Schemas['Health'];
export type Me = Schemas['Me'];
export type Account = Schemas['Account'];
export type Session = Schemas['Session'];
export type Passkey = Schemas['Passkey'];
export type Invitation = Schemas['Invitation'];
export type Member = Schemas['Member'];
export type Project = Schemas['Project'];
export type ServiceAccount = Schemas['ServiceAccount'];
export type NewTask = NonNullable<
  paths['/api/v1/tasks']['post']['requestBody']
>['content']['application/json'];
