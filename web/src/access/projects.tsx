/** Projects: made here, classed, archived. Whoever is not cleared for a class does not see them. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { FolderPlus } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { projectsQuery } from '../api/queries.ts';
import type { Me, Project } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import Confirm from '../ui/confirm.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { Field, Input, Select } from '../ui/field.tsx';
import { Section } from '../ui/page.tsx';
import { notify } from '../ui/toast.tsx';
import { classifications } from './words.ts';

export function Projects({ me }: { me: Me }): ReactNode {
  const projects = useQuery(projectsQuery);
  const [creating, setCreating] = useState(false);
  const manages = me.permissions.includes('project.manage');
  return (
    <Section
      title="Projects"
      side={
        me.permissions.includes('project.create') && (
          <Button size="small" onClick={() => setCreating(true)}>
            <FolderPlus /> Create a project
          </Button>
        )
      }
    >
      {projects.isPending && <SkeletonRows rows={2} className="border-none" />}
      {projects.isError && !projects.data && (
        <ProblemNote error={projects.error} onRetry={() => void projects.refetch()} />
      )}
      {projects.data && (
        <div className="rounded-lg border border-line bg-surface">
          {projects.data.length === 0 ? (
            <Empty icon={<FolderPlus aria-hidden />} title="No projects">
              <p>Tasks belong to a project.</p>
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {projects.data.map(project => (
                <Row key={project.id} project={project} manages={manages} />
              ))}
            </ul>
          )}
        </div>
      )}
      {creating && <NewProject onClose={() => setCreating(false)} />}
    </Section>
  );
}

function Row({ project, manages }: { project: Project; manages: boolean }): ReactNode {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const params = { path: { id: project.id } };
  const settled = {
    onError: (error: Error) => notify(error.message, 'failed'),
    onSettled: () => queries.invalidateQueries({ queryKey: projectsQuery.queryKey }),
  };
  const classify = useMutation({
    mutationFn: (classification: Project['classification']) =>
      write(() => api.PATCH('/api/v1/projects/{id}', { params, body: { classification } })),
    onSuccess: changed => notify(`${changed.name} is ${changed.classification}`),
    ...settled,
  });
  const archive = useMutation({
    mutationFn: () => write(() => api.POST('/api/v1/projects/{id}/archive', { params })),
    onSuccess: () => notify(`${project.name} is archived`),
    ...settled,
  });
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1.5 px-3.5 py-2.5 text-sm">
      <span className="min-w-0 flex-1 basis-44">
        <span className="font-medium">{project.name}</span>
        {project.description && <span className="block text-ink-3 text-xs">{project.description}</span>}
      </span>
      {manages ? (
        <>
          <Select
            className="w-36"
            aria-label={`Classification of ${project.name}`}
            value={project.classification}
            disabled={classify.isPending}
            onChange={e => classify.mutate(e.target.value as Project['classification'])}
          >
            {classifications.map(each => (
              <option key={each}>{each}</option>
            ))}
          </Select>
          <Button
            size="small"
            look="quiet"
            disabled={archive.isPending}
            aria-label={`Archive ${project.name}`}
            onClick={() => setAsking(true)}
          >
            Archive
          </Button>
        </>
      ) : (
        <span className="w-36 text-ink-2 text-xs">{project.classification}</span>
      )}
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={`Archive ${project.name}?`}
        description="Nothing new begins in it; what is under way goes on. `guildhall project restore` takes it back."
        confirm="Archive"
        onConfirm={() => archive.mutate()}
      />
    </li>
  );
}

function NewProject({ onClose }: { onClose: () => void }): ReactNode {
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const [description, setDescription] = useState('');
  const [classification, setClassification] = useState<Project['classification']>('internal');
  const create = useMutation({
    mutationFn: () =>
      write(() =>
        api.POST('/api/v1/projects', {
          body: { name: name.trim(), description: description.trim(), classification },
        }),
      ),
    onSuccess: made => {
      notify(`${made.name} is made`);
      onClose();
    },
    onSettled: () => queries.invalidateQueries({ queryKey: projectsQuery.queryKey }),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    create.mutate();
  }
  return (
    <Dialog open onOpenChange={open => !open && onClose()} title="Create a project" className="max-w-md">
      <form onSubmit={submit} className="flex min-h-0 flex-col gap-4 overflow-y-auto px-5 py-4">
        <Field label="Name" hint="Lower-case letters, digits, dots and dashes">
          <Input autoFocus required value={name} maxLength={100} onChange={e => setName(e.target.value)} />
        </Field>
        <Field label="What it is for">
          <Input value={description} maxLength={2000} onChange={e => setDescription(e.target.value)} />
        </Field>
        <Field label="Classification" hint="Whoever is not cleared for it does not see it">
          <Select
            value={classification}
            onChange={e => setClassification(e.target.value as Project['classification'])}
          >
            {classifications.map(each => (
              <option key={each}>{each}</option>
            ))}
          </Select>
        </Field>
        {create.error && <ProblemNote error={create.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Discard</Button>
          <Button look="primary" type="submit" disabled={create.isPending || name.trim() === ''}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
