/** Dates are ISO days, `2026-03-01`, in no time zone. */

const dayMs = 24 * 60 * 60 * 1000;

export function addDays(day, days) {
  return new Date(Date.parse(day) + days * dayMs).toISOString().slice(0, 10);
}

/** An invoice is overdue from the day after it was due. */
export function isOverdue(due, today) {
  return today > due;
}
