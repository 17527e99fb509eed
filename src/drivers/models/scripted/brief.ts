/**
 * Who the model is told to be, and what it is asked to do: the system prompt and the first user message, parsed.
 *
 * Both are Markdown of a fixed shape. Sections are recognised only in their known order, so that a heading inside
 * an objective or inside quoted test output does not start a section of the brief.
 */

export interface Report {
  name: string;
  role: string;
  about: string;
}

export interface Identity {
  name: string;
  role: string;
  reports: Report[];
}

export interface Brief {
  taskId: string;
  title: string;
  objective: string;
  requirements: string[];
  outOfScope: string[];
  inputs: string[];
  expectedOutputs: string[];
  acceptanceCriteria: string[];
  checks: string[];
  /** Set when another task's delivered commit is to be judged. */
  subject: { taskId: string; commit: string } | null;
  decisions: string[];
  round: number;
  previousReport: string;
}

export function readIdentity(system: string): Identity {
  const lines = system.split('\n');
  const reports: Report[] = [];
  const heading = lines.findIndex(line => /^Your direct reports:/.test(line.trim()));
  if (heading >= 0) {
    for (const line of lines.slice(heading + 1)) {
      const match = /^\s*[-*]\s+(.+?)\s+\(role:\s*([^)]+)\)\s*:?\s*(.*)$/.exec(line);
      if (match) reports.push({ name: match[1]!, role: match[2]!.trim().toLowerCase(), about: match[3]! });
      else if (line.trim() !== '') break;
    }
  }
  return {
    name: /^You are ([^,\n]+),/m.exec(system)?.[1]?.trim() ?? '',
    role: /^Role:\s*(.+)$/m.exec(system)?.[1]?.trim().toLowerCase() ?? '',
    reports,
  };
}

const headings = [
  'Objective',
  'Requirements',
  'Out of scope',
  'Inputs',
  'Expected outputs',
  'Acceptance criteria',
  'Checks',
  'Subject',
  'Decisions',
  'Round',
  'Report of the previous round',
] as const;
type Heading = (typeof headings)[number];

/** Null when the text is not a brief. */
export function readBrief(text: string): Brief | null {
  const title = /^# Task (\S+?):[ \t]*(.*)$/m.exec(text);
  if (!title) return null;
  const sections = splitSections(text);
  const subject = /Task (\S+) delivered commit ([0-9a-f]{7,64})/.exec(sections.get('Subject') ?? '');
  const decisions = /one of:\s*([^\n]+)/.exec(sections.get('Decisions') ?? '')?.[1] ?? '';
  return {
    taskId: title[1]!,
    title: title[2]!.trim(),
    objective: (sections.get('Objective') ?? '').trim(),
    requirements: items(sections.get('Requirements')),
    outOfScope: items(sections.get('Out of scope')),
    inputs: items(sections.get('Inputs')),
    expectedOutputs: items(sections.get('Expected outputs')),
    acceptanceCriteria: items(sections.get('Acceptance criteria')),
    checks: items(sections.get('Checks')).map(unquote),
    subject: subject ? { taskId: subject[1]!, commit: subject[2]! } : null,
    decisions: decisions
      .split(/,|\bor\b/)
      .map(word => word.replace(/[`."'\s]/g, ''))
      .filter(word => word !== ''),
    round: Number(/(\d+)/.exec(sections.get('Round') ?? '')?.[1] ?? 1),
    previousReport: (sections.get('Report of the previous round') ?? '').trim(),
  };
}

function splitSections(text: string): Map<Heading, string> {
  const sections = new Map<Heading, string>();
  let current: Heading | null = null;
  let next = 0;
  for (const line of text.split('\n')) {
    const name = /^## (.+?)\s*$/.exec(line)?.[1];
    const index = name === undefined ? -1 : headings.findIndex((known, at) => at >= next && known === name);
    if (index >= 0) {
      current = headings[index]!;
      next = index + 1;
      sections.set(current, '');
    } else if (current) {
      sections.set(current, `${sections.get(current)}${line}\n`);
    }
  }
  return sections;
}

/** Entries of a Markdown list; a line that does not start an entry continues the one before. */
function items(section: string | undefined): string[] {
  const found: string[] = [];
  for (const line of (section ?? '').trimEnd().split('\n')) {
    const start = /^- (.*)$/.exec(line);
    if (start) found.push(start[1]!);
    else if (found.length > 0) found[found.length - 1] += `\n${line}`;
  }
  return found.map(item => item.trim()).filter(item => item !== '');
}

/** The sentence above the list of checks is not an entry; an entry is a command between backticks. */
function unquote(item: string): string {
  const match = /^(`+)\s?([\s\S]*?)\s?\1$/.exec(item);
  return match ? match[2]! : item;
}
