/** The views of a task, in the order in which they stand. */
export const taskTabs = ['timeline', 'changes', 'checks', 'brief', 'messages', 'tree'] as const;
export type TaskTab = (typeof taskTabs)[number];
