/** Amounts are whole cents. */

/** Rounds half away from zero, as invoices do. */
export function roundHalfUp(value) {
  return Math.sign(value) * Math.round(Math.abs(value));
}

/** A percentage of an amount, e.g. `percentOf(1999, 20)` is 400. */
export function percentOf(amount, percent) {
  return roundHalfUp((amount * percent) / 100);
}

export function sum(amounts) {
  return amounts.reduce((total, amount) => total + amount, 0);
}

/**
 * Splits an amount into parts that differ by one cent at most and add up to it.
 * Cents that cannot be divided go to the first parts.
 */
export function allocate(amount, parts) {
  if (!Number.isInteger(parts) || parts < 1) throw new RangeError('parts must be a whole number above 0');
  const base = Math.floor(amount / parts);
  const rest = amount - base * parts;
  return Array.from({ length: parts }, (_, index) => (index <= rest ? base + 1 : base));
}

/** `1,234.56`, for people. */
export function formatAmount(amount) {
  const [whole, cents] = (Math.abs(amount) / 100).toFixed(2).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${amount < 0 ? '-' : ''}${grouped}.${cents}`;
}
