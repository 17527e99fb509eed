import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInvoice } from '../src/invoice.js';

const invoice = createInvoice({
  number: '2026-0042',
  date: '2026-03-01',
  lines: [
    { text: 'Consulting', quantity: 12, unitPrice: 9500, taxRate: 20 },
    { text: 'Travel', quantity: 1, unitPrice: 18450, taxRate: 10 },
  ],
});

test('adds up lines and tax', () => {
  assert.equal(invoice.net, 126750);
  assert.equal(invoice.total, 150255);
});

test('is due after 30 days and overdue the day after', () => {
  assert.equal(invoice.due, '2026-03-31');
  assert.equal(invoice.overdue('2026-03-31'), false);
  assert.equal(invoice.overdue('2026-04-01'), true);
});

test('needs a line', () => {
  assert.throws(() => createInvoice({ number: '1', date: '2026-03-01', lines: [] }), RangeError);
});
