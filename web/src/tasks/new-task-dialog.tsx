/** The form that gives a team work. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Plus, X } from 'lucide-react';
import { type FormEvent, type ReactNode, useRef, useState } from 'react';
import { ApiError, api, write } from '../api/client.ts';
import { taskQuery, tasksQuery, teamsQuery } from '../api/queries.ts';
import { Button, IconButton } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { controlClass, Field, Input, Select, Textarea } from '../ui/field.tsx';
import { deadlines, emptyForm, type Form, findFaults, placeProblem, toNewTask } from './new-task.ts';

export default function NewTaskDialog({ onClose }: { onClose: () => void }): ReactNode {
  const [form, setForm] = useState<Form>(emptyForm);
  const [tried, setTried] = useState(false);
  const set = (change: Partial<Form>) => setForm(old => ({ ...old, ...change }));
  const teams = useQuery(teamsQuery);
  const create = useCreateTask();
  const problem = create.error instanceof ApiError ? create.error : null;
  const faults = { ...(problem ? placeProblem(problem) : {}), ...(tried ? findFaults(form) : {}) };
  const unplaced = create.error && Object.keys(faults).length === 0;
  const names = teams.data?.map(team => team.name) ?? [];

  function submit(event: FormEvent): void {
    event.preventDefault();
    setTried(true);
    if (Object.keys(findFaults(form)).length === 0) create.mutate(form);
  }

  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title="New task"
      description="Say what you want in plain words. The checks decide whether it was done."
    >
      <form onSubmit={submit} className="flex min-h-0 flex-1 flex-col" noValidate>
        <div className="flex flex-col gap-4 overflow-y-auto px-5 py-4">
          <Field label="Request" error={faults.request}>
            <Textarea
              autoFocus
              rows={4}
              value={form.request}
              placeholder="The test for negative amounts fails. Find the cause and fix it."
              onChange={e => set({ request: e.target.value })}
            />
          </Field>
          <Field
            label="Repository"
            hint="A path on the server, or an https URL. The work starts from its last commit."
            error={faults.location}
          >
            <Input
              value={form.location}
              list="known-repositories"
              spellCheck={false}
              placeholder="/srv/git/shop"
              onChange={e => set({ location: e.target.value })}
            />
          </Field>
          <KnownRepositories />
          {(problem?.code === 'repository_dirty' || form.allowDirty) && (
            <label className="-mt-2 flex items-center gap-2 text-sm">
              <input
                type="checkbox"
                checked={form.allowDirty}
                className="size-4 accent-accent"
                onChange={e => set({ allowDirty: e.target.checked })}
              />
              Start from the last commit all the same
            </label>
          )}
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label="Branch" hint="Empty: the one checked out" error={faults.branch}>
              <Input value={form.branch} spellCheck={false} onChange={e => set({ branch: e.target.value })} />
            </Field>
            <Field label="Team" error={faults.team}>
              <Select value={form.team} onChange={e => set({ team: e.target.value })}>
                {(names.includes(form.team) ? names : [form.team, ...names]).map(name => (
                  <option key={name}>{name}</option>
                ))}
              </Select>
            </Field>
          </div>
          <Checks form={form} set={set} error={faults.checks} />
          <Field
            label="Setup command"
            hint="Prepares a fresh clone, before the work and before the checks"
            error={faults.setup}
          >
            <Input
              value={form.setup}
              spellCheck={false}
              className="font-mono text-sm"
              onChange={e => set({ setup: e.target.value })}
            />
          </Field>
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label="Budget in dollars" hint="Empty: no limit of its own" error={faults.budget}>
              <Input
                inputMode="decimal"
                value={form.budget}
                placeholder="1.50"
                onChange={e => set({ budget: e.target.value })}
              />
            </Field>
            <Field label="Deadline" error={faults.deadline}>
              <Select value={form.deadline} onChange={e => set({ deadline: e.target.value })}>
                {deadlines.map(({ minutes, label }) => (
                  <option key={minutes} value={minutes}>
                    {label}
                  </option>
                ))}
              </Select>
            </Field>
          </div>
        </div>
        <div className="flex flex-col gap-3 border-line border-t px-5 py-3.5">
          {unplaced && <ProblemNote error={create.error} />}
          <div className="flex justify-end gap-2">
            <Button onClick={onClose}>Discard</Button>
            <Button look="primary" type="submit" disabled={create.isPending}>
              {create.isPending ? 'Looking at the repository…' : 'Give it to the team'}
            </Button>
          </div>
        </div>
      </form>
    </Dialog>
  );
}

function Checks({
  form,
  set,
  error,
}: {
  form: Form;
  set: (change: Partial<Form>) => void;
  error: string | undefined;
}): ReactNode {
  const { checks } = form;
  const nextId = Math.max(-1, ...checks.map(check => check.id)) + 1;
  return (
    <fieldset className="flex min-w-0 flex-col gap-1.5">
      <legend className="mb-1 font-medium text-ink-2 text-sm">Checks</legend>
      {checks.map((check, index) => (
        <div key={check.id} className="flex gap-1">
          <input
            aria-label={`Check ${index + 1}`}
            value={check.command}
            placeholder={index === 0 ? 'npm test' : ''}
            spellCheck={false}
            autoComplete="off"
            className={`${controlClass} h-8 font-mono text-sm`}
            onChange={e =>
              set({ checks: checks.map(c => (c.id === check.id ? { ...c, command: e.target.value } : c)) })
            }
          />
          <IconButton
            name={`Remove check ${index + 1}`}
            onClick={() => set({ checks: checks.filter(c => c.id !== check.id) })}
          >
            <X />
          </IconButton>
        </div>
      ))}
      <div className="flex items-center gap-3">
        <Button
          look="quiet"
          size="small"
          className="-ml-1"
          onClick={() => set({ checks: [...checks, { id: nextId, command: '' }] })}
        >
          <Plus /> Add a check
        </Button>
        <p className={error ? 'text-bad text-xs' : 'text-ink-3 text-xs'}>
          {error ?? 'Commands that must exit with 0 on what is delivered'}
        </p>
      </div>
    </fieldset>
  );
}

/** Repositories of the tasks listed so far, to choose from. */
function KnownRepositories(): ReactNode {
  const queries = useQueryClient();
  const pages = queries.getQueryData(tasksQuery('all').queryKey)?.pages ?? [];
  const known = new Set(pages.flatMap(page => page.items).flatMap(task => task.repository?.location ?? []));
  return (
    <datalist id="known-repositories">
      {[...known].map(location => (
        <option key={location} value={location} />
      ))}
    </datalist>
  );
}

/** Creates the task once, even when the answer is lost and the form sent again, and goes to it. */
function useCreateTask() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const key = useRef({ body: '', key: '' });
  return useMutation({
    mutationFn: (form: Form) => {
      const body = toNewTask(form);
      const text = JSON.stringify(body);
      if (key.current.body !== text) key.current = { body: text, key: crypto.randomUUID() };
      return write(() =>
        api.POST('/api/v1/tasks', { body, headers: { 'idempotency-key': key.current.key } }),
      );
    },
    onSuccess: task => {
      queries.setQueryData(taskQuery(task.id).queryKey, task);
      void queries.invalidateQueries({ queryKey: ['tasks'] });
      return navigate({ to: '/tasks/$taskId', params: { taskId: task.id } });
    },
  });
}
