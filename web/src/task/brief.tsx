/** The brief: what was asked for, and what counts as done. */
import type { ReactNode } from 'react';
import type { TaskDetail } from '../api/types.ts';
import { words } from '../format.ts';
import { Prose } from '../ui/prose.tsx';

const lists = ['requirements', 'acceptance_criteria', 'inputs', 'expected_outputs', 'out_of_scope'] as const;

export default function Brief({ task }: { task: TaskDetail }): ReactNode {
  return (
    <div className="max-w-3xl space-y-5 px-4 py-5 sm:px-5">
      <Part title="Objective">
        <Prose text={task.brief.objective} />
      </Part>
      {lists.map(
        name =>
          task.brief[name].length > 0 && (
            <Part key={name} title={words(name)}>
              <ul className="list-disc space-y-1 pl-5 marker:text-ink-3">
                {task.brief[name].map(line => (
                  <li key={line}>
                    <Prose text={line} />
                  </li>
                ))}
              </ul>
            </Part>
          ),
      )}
      {task.checks.length > 0 && (
        <Part title="Checks">
          <ul className="space-y-1">
            {task.checks.map(check => (
              <li key={check}>
                <code className="break-words rounded bg-hover px-1.5 py-0.5 font-mono text-sm">{check}</code>
              </li>
            ))}
          </ul>
        </Part>
      )}
      <Part title="Limits">
        <p>
          {task.max_turns} turns at most · decides between {task.decisions.map(words).join(' and ')}
        </p>
      </Part>
      {task.summary && (
        <Part title="Summary of the result">
          <Prose text={task.summary} />
        </Part>
      )}
    </div>
  );
}

const Part = ({ title, children }: { title: string; children: ReactNode }) => (
  <section>
    <h2 className="mb-1 font-semibold text-ink-2 text-sm first-letter:uppercase">{title}</h2>
    {children}
  </section>
);
