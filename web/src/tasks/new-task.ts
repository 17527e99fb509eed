/** The new task as a form holds it, as the API takes it, and where a refusal belongs. Pure. */
import type { ApiError } from '../../../sdk/errors.ts';
import type { NewTask } from '../api/types.ts';

export interface Form {
  request: string;
  team: string;
  location: string;
  branch: string;
  setup: string;
  allowDirty: boolean;
  checks: { id: number; command: string }[];
  budget: string;
  deadline: string;
}

export const emptyForm: Form = {
  request: '',
  team: 'software-team',
  location: '',
  branch: '',
  setup: '',
  allowDirty: false,
  checks: [{ id: 0, command: '' }],
  budget: '',
  deadline: '240',
};

export const deadlines = [
  { minutes: 30, label: '30 minutes' },
  { minutes: 60, label: '1 hour' },
  { minutes: 240, label: '4 hours' },
  { minutes: 1_440, label: '1 day' },
  { minutes: 10_080, label: '1 week' },
];

export function toNewTask(form: Form): NewTask {
  const orNull = (text: string) => text.trim() || null;
  return {
    request: form.request.trim(),
    team: form.team,
    repository: form.location.trim()
      ? {
          location: form.location.trim(),
          branch: orNull(form.branch),
          setup: orNull(form.setup),
          allow_dirty: form.allowDirty,
        }
      : null,
    checks: form.checks.map(check => check.command.trim()).filter(Boolean),
    budget_usd: form.budget.trim() === '' ? null : Number(form.budget),
    deadline_minutes: Number(form.deadline),
  };
}

export type FieldName =
  | 'request'
  | 'team'
  | 'location'
  | 'branch'
  | 'setup'
  | 'checks'
  | 'budget'
  | 'deadline';

const byPath: [RegExp, FieldName][] = [
  [/^body\.request/, 'request'],
  [/^body\.team/, 'team'],
  [/^body\.repository\.branch/, 'branch'],
  [/^body\.repository\.setup/, 'setup'],
  [/^body\.repository/, 'location'],
  [/^body\.checks/, 'checks'],
  [/^body\.budget_usd/, 'budget'],
  [/^body\.deadline_minutes/, 'deadline'],
];

/** What the server said, by the field it is about. What belongs to none stays for the banner. */
export function placeProblem(problem: ApiError): Partial<Record<FieldName, string>> {
  const placed: Partial<Record<FieldName, string>> = {};
  const fields = faultsOf(problem);
  for (const fault of fields) {
    const name = byPath.find(([pattern]) => pattern.test(fault.path))?.[1];
    if (name) placed[name] ??= fault.message;
  }
  if (fields.length > 0) return placed;
  if (problem.code.startsWith('branch_')) return { branch: problem.title };
  if (problem.code.startsWith('repository_')) return { location: problem.title };
  if (problem.code === 'team_missing' || problem.code === 'team_has_no_lead') return { team: problem.title };
  return {};
}

/** The list of fields in a refusal of the request's form. */
function faultsOf(problem: ApiError): { path: string; message: string }[] {
  const fields = problem.detail?.fields;
  return Array.isArray(fields) ? (fields as { path: string; message: string }[]) : [];
}

/** Before the server is asked: only what would surely be refused. */
export function findFaults(form: Form): Partial<Record<FieldName, string>> {
  const faults: Partial<Record<FieldName, string>> = {};
  if (form.request.trim() === '') faults.request = 'Say what is to be done.';
  if (form.budget.trim() !== '' && !(Number(form.budget) > 0))
    faults.budget = 'An amount above zero, or nothing.';
  return faults;
}
