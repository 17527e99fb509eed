/** Tabs; which one is open stands in the address, so a link leads back to it. */
import { Tabs as Radix } from 'radix-ui';
import type { ReactNode } from 'react';

export interface Tab<Name extends string> {
  name: Name;
  label: string;
  count?: number | null;
  tone?: 'bad';
}

export function Tabs<Name extends string>({
  label,
  tabs,
  value,
  onChange,
  children,
}: {
  label: string;
  tabs: Tab<Name>[];
  value: Name;
  onChange: (name: Name) => void;
  children: ReactNode;
}): ReactNode {
  return (
    <Radix.Root value={value} onValueChange={name => onChange(name as Name)} activationMode="manual">
      <Radix.List
        aria-label={label}
        className="flex gap-1 overflow-x-auto border-line border-b px-3 [scrollbar-width:none] sm:px-5"
      >
        {tabs.map(tab => (
          <Radix.Trigger
            key={tab.name}
            value={tab.name}
            className="-mb-px flex h-10 shrink-0 items-center gap-1.5 border-transparent border-b-2 px-2 text-ink-2 text-sm hover:text-ink focus-visible:-outline-offset-2 data-[state=active]:border-accent data-[state=active]:font-medium data-[state=active]:text-ink"
          >
            {tab.label}
            {tab.count !== null && tab.count !== undefined && (
              <span
                className={`tnum rounded-full px-1.5 text-xs ${tab.tone === 'bad' ? 'bg-bad-soft text-bad' : 'bg-hover text-ink-2'}`}
              >
                {tab.count}
              </span>
            )}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {children}
    </Radix.Root>
  );
}

export const TabPanel = ({ name, children }: { name: string; children: ReactNode }) => (
  <Radix.Content value={name} className="focus-visible:outline-offset-[-2px]">
    {children}
  </Radix.Content>
);
