/** Network addresses as text: one form for each, and ranges of them. */
import { isIP, isIPv4, isIPv6 } from 'node:net';

/**
 * The form in which an address is counted: IPv4 as it is, also when mapped into IPv6; of IPv6 the first 64 bits,
 * which are what one client owns. Null when it is no address.
 */
export function countedAs(address: string | undefined): string | null {
  if (address === undefined || isIP(address) === 0) return null;
  if (isIPv4(address)) return address;
  // The URL parser writes every IPv6 address in one form. Zones name an interface of this host.
  const canonical = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped) return dotted(mapped[1] as string, mapped[2] as string);
  return `${firstHalf(canonical).join(':')}::/64`;
}

const dotted = (high: string, low: string): string => {
  const bits = (Number.parseInt(high, 16) << 16) | Number.parseInt(low, 16);
  return [24, 16, 8, 0].map(shift => (bits >>> shift) & 255).join('.');
};

/** The first four of the eight groups. */
function firstHalf(canonical: string): string[] {
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const left = groups(head);
  const right = groups(tail ?? '');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array.from({ length: zeros }, () => '0'), ...right].slice(0, 4);
}

/** Whether a text is an address or a range of addresses: 10.0.0.0/8, 2001:db8::/32, 127.0.0.1. */
export function isRange(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  if (more.length > 0 || isIP(address) === 0) return false;
  if (bits === undefined) return true;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv6(address) ? 128 : 32);
}
