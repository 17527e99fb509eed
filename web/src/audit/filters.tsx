/** The conditions of a search. They apply when they are sent, so that typing does not search at every letter. */
import { Search } from 'lucide-react';
import type { FormEvent, ReactNode } from 'react';
import { Button } from '../ui/button.tsx';
import { Field, Input, Select } from '../ui/field.tsx';
import { type AuditSearch, outcomes } from './queries.ts';

const words = [
  { name: 'text', label: 'Text', placeholder: 'in anything that is told' },
  { name: 'action', label: 'What', placeholder: 'task.create' },
  { name: 'actor', label: 'Who', placeholder: 'member:mem_…' },
  { name: 'target', label: 'To what', placeholder: 'an id, or a tool' },
  { name: 'request', label: 'Request', placeholder: 'req_…' },
] as const;

export function Filters({
  search,
  onChange,
}: {
  search: AuditSearch;
  onChange: (next: AuditSearch) => void;
}): ReactNode {
  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const given = (name: string) => String(form.get(name) ?? '').trim() || undefined;
    onChange({
      ...Object.fromEntries(words.map(({ name }) => [name, given(name)])),
      outcome: outcomes.find(each => each === given('outcome')),
      from: given('from'),
      to: given('to'),
    });
  }
  const narrowed = Object.values(search).some(each => each !== undefined);
  return (
    <form
      aria-label="Search"
      onSubmit={submit}
      className="grid grid-cols-2 items-end gap-3 border-line border-b px-4 py-3 sm:grid-cols-3 sm:px-5 lg:grid-cols-5"
    >
      {words.map(({ name, label, placeholder }) => (
        <Field key={name} label={label}>
          <Input name={name} defaultValue={search[name]} placeholder={placeholder} maxLength={200} />
        </Field>
      ))}
      <Field label="Outcome">
        <Select name="outcome" defaultValue={search.outcome ?? ''}>
          <option value="">any</option>
          {outcomes.map(outcome => (
            <option key={outcome}>{outcome}</option>
          ))}
        </Select>
      </Field>
      <Field label="From">
        <Input type="date" name="from" defaultValue={search.from} />
      </Field>
      <Field label="To">
        <Input type="date" name="to" defaultValue={search.to} />
      </Field>
      <div className="col-span-2 flex gap-2">
        <Button type="submit" look="primary">
          <Search aria-hidden /> Search
        </Button>
        {narrowed && <Button onClick={() => onChange({})}>Show everything</Button>}
      </div>
    </form>
  );
}
