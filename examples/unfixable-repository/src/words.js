const words = text => text.split(' ');
const small = words(
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen',
);
const tens = words('ten twenty thirty forty fifty sixty seventy eighty ninety');

/** The words of a whole number, e.g. `inWords(42)` is `forty-two`. */
export function inWords(n) {
  if (n < 20) return small[n];
  if (n < 100) {
    const unit = n % 10;
    return tens[Math.floor(n / 10) - 1] + (unit === 0 ? '' : `-${small[unit]}`);
  }
  throw new RangeError('amounts from one hundred on are not implemented');
}
