/**
 * The features, in order: the table of contents of the product. Each may import only what stands before it (facts
 * travel the other way as events and rows); test/tidy.test.ts checks that. Folders: src/features/<name>.
 */
export const features = [
  'identity', // who is behind a request
  'secrets', // values that are used but never shown
  'approvals', // questions that hold something back until people decide
  'budgets', // money: prices, usage records, reservations
  'models', // providers and the port to them
  'sandboxes', // where commands run, repositories and workspaces
  'tools', // what agents can call, and the policy of calls
  'agents', // AI workers, their definitions, teams, chain of command
  'tasks', // what is to be done, as a tree
  'runs', // one attempt at a task: leases, journal, turns
  'checks', // what the server verifies itself before a result counts
  'audit', // tamper evidence, search and retention of what was recorded
  'health', // alive, ready, and the stream of events
] as const;
