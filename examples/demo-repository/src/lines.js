import { percentOf } from './money.js';

/** Discount in percent by quantity: from 10 pieces 5 %, from 50 pieces 10 %. */
const volumeDiscounts = [
  { from: 50, percent: 10 },
  { from: 10, percent: 5 },
];

export function volumeDiscount(quantity) {
  return volumeDiscounts.find(step => quantity >= step.from)?.percent ?? 0;
}

/** What a line costs before tax. */
export function netOf(line) {
  const gross = line.quantity * line.unitPrice;
  return gross - percentOf(gross, volumeDiscount(line.quantity));
}

/** Tax by rate, the highest rate first: `[{ rate: 20, net: 10000, tax: 2000 }]`. */
export function taxByRate(lines) {
  const nets = new Map();
  for (const line of lines) nets.set(line.taxRate, (nets.get(line.taxRate) ?? 0) + netOf(line));
  return [...nets]
    .map(([rate, net]) => ({ rate, net, tax: percentOf(net, rate) }))
    .sort((a, b) => b.rate - a.rate);
}
