import { addDays, isOverdue } from './dates.js';
import { netOf, taxByRate } from './lines.js';
import { allocate, sum } from './money.js';

const daysToPay = 30;

/** An invoice with its sums; nothing of it changes afterwards. */
export function createInvoice({ number, date, lines }) {
  if (lines.length === 0) throw new RangeError('an invoice needs at least one line');
  const net = sum(lines.map(netOf));
  const taxes = taxByRate(lines);
  const total = net + sum(taxes.map(entry => entry.tax));
  const due = addDays(date, daysToPay);
  return {
    number,
    date,
    due,
    net,
    taxes,
    total,
    overdue: today => isOverdue(due, today),
    /** Equal payments, one every 30 days. */
    instalments: count =>
      allocate(total, count).map((amount, index) => ({ due: addDays(date, daysToPay * (index + 1)), amount })),
  };
}
