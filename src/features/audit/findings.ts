/** What verifying can find, as a kind for programs and a sentence for people. */

export interface Finding {
  kind: FindingKind;
  /** `<xid>-<seq>` of a record. */
  place?: string;
  /** What the record tells of, as it is now. */
  label?: string;
  seal?: number;
  /** The last of several seals. */
  last?: number;
  /** Fingerprint. */
  key?: string;
  line?: number;
  detail?: string;
  text: string;
}

type Facts = Omit<Finding, 'kind' | 'text'>;

const record = (f: Facts): string => `record ${f.place}${f.label ? ` (${f.label})` : ''}`;
const seals = (f: Facts): string =>
  f.last === undefined || f.last === f.seal ? `seal ${f.seal} is` : `seals ${f.seal} to ${f.last} are`;

export const findingTexts = {
  record_changed: f => `${record(f)} is not what seal ${f.seal} was made over: it was changed`,
  record_removed: f => `record ${f.place} of seal ${f.seal} was removed`,
  record_inserted: f => `${record(f)} was inserted: sealing had passed its place without it`,
  record_reordered: f => `${record(f)} stands after one that comes later`,
  record_repeated: f => `${record(f)} is there twice`,
  record_uncovered: f => `${record(f)} has nothing that speaks for it: its seal is missing`,
  seal_missing: f => `${seals(f)} missing`,
  seal_reordered: f => `seal ${f.seal} stands after one with its number or a later one`,
  seal_unlinked: f => `seal ${f.seal} does not follow the seal before it: one of them was replaced`,
  seal_changed: f => `seal ${f.seal} is not what its hash was made over: it was changed`,
  seal_malformed: f => `seal ${f.seal} lists records out of order or outside of its range`,
  seal_foreign: f => `seal ${f.seal} belongs to another organization`,
  signature_wrong: f => `seal ${f.seal} is not signed by its key ${f.key}: it was changed or forged`,
  key_unknown: f => `seal ${f.seal} names the key ${f.key}, which is not there`,
  key_changed: f => `the public key ${f.key} is not the one of that fingerprint`,
  key_not_introduced: f => `seal ${f.seal} is signed by the key ${f.key}, which no seal before it introduced`,
  key_foreign: f => `seal ${f.seal} is signed by the key ${f.key}, which this server does not hold`,
  key_not_used: f => `no seal is signed by the key ${f.key} that was asked for`,
  head_missing: f => `seal ${f.seal}, which was noted before, is not there: newest seals were removed`,
  head_differs: f => `seal ${f.seal} is not the one that was noted before: the chain was made anew`,
  pruned_early: f => `the records of seal ${f.seal} were removed before the least retention of 365 days`,
  pruning_unrecorded: f => `seal ${f.seal} is marked as pruned, but no record tells of it`,
  unreadable: f => `line ${f.line} cannot be read: ${f.detail}`,
} satisfies Record<string, (facts: Facts) => string>;

export type FindingKind = keyof typeof findingTexts;
