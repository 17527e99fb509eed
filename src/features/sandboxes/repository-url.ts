/**
 * Which repositories may be fetched by URL: https only, hosts on the list only, no credentials in the URL, and no
 * address that is not public. The addresses found here are pinned for git, so that a second look-up cannot lead
 * somewhere else, and redirects are off.
 */
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { Problem } from '../../base/problem.ts';

/**
 * Not public: https://www.iana.org/assignments/iana-ipv4-special-registry and its IPv6 sibling. Two lists, since one
 * takes every IPv4 address for an IPv4-mapped IPv6 address, and those are on it.
 */
const notPublic = { ipv4: new BlockList(), ipv6: new BlockList() };
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as [string, number][])
  notPublic.ipv4.addSubnet(net, bits, 'ipv4');
for (const [net, bits] of [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as [string, number][])
  notPublic.ipv6.addSubnet(net, bits, 'ipv6');

export function isPublicAddress(address: string): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  return !notPublic[family].check(address, family);
}

export interface RepositoryUrl {
  url: string;
  host: string;
  port: number;
}

/** @throws Problem `repository_url_refused`. */
export function parseRepositoryUrl(text: string, hosts: readonly string[]): RepositoryUrl {
  const refuse = (why: string) =>
    new Problem('invalid', 'repository_url_refused', `This repository URL is refused: ${why}.`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/[\x00-\x20\x7f\\]/.test(text)) throw refuse('it has white space, control characters or a backslash');
  if (!/^[\x21-\x7e]+$/.test(text)) throw refuse('it has characters outside ASCII');
  if (!/^https:\/\//i.test(text)) throw refuse('only https:// is allowed');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refuse('it is not a URL');
  }
  if (url.username !== '' || url.password !== '' || text.includes('@'))
    throw refuse('it must not contain credentials');
  if (url.search !== '' || url.hash !== '') throw refuse('it must not have a query or a fragment');
  if (/%|\.\./.test(text)) throw refuse('it has escapes or `..`');
  if (!/^\/[\w.-]+(\/[\w.-]+)+?\/?$/.test(url.pathname)) throw refuse('its path does not name a repository');
  const host = url.hostname.toLowerCase();
  const named = url.port === '' ? host : `${host}:${url.port}`;
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) throw refuse('it names an address rather than a host');
  if (!hosts.includes(named)) {
    throw refuse(
      `${named} is not among the allowed hosts (${hosts.join(', ')}); GUILDHALL_REPOSITORY_HOSTS sets them`,
    );
  }
  return { url: url.href, host, port: url.port === '' ? 443 : Number(url.port) };
}

/** Addresses of the host, all of them public. @throws Problem `repository_unreachable`, `repository_url_refused`. */
export async function resolvePublicly(repository: RepositoryUrl): Promise<string[]> {
  let found: { address: string }[];
  try {
    found = await lookup(repository.host, { all: true });
  } catch (error) {
    throw new Problem(
      'unavailable',
      'repository_unreachable',
      `The host ${repository.host} cannot be found from here.`,
      { cause: error },
    );
  }
  const addresses = found.map(entry => entry.address);
  const inner = addresses.find(address => !isPublicAddress(address));
  if (inner) {
    throw new Problem(
      'invalid',
      'repository_url_refused',
      `This repository URL is refused: ${repository.host} leads to an address that is not public.`,
    );
  }
  return addresses;
}

/** Options for git that pin the host to these addresses and keep it from following anything elsewhere. */
export function pinnedGitOptions(repository: RepositoryUrl, addresses: readonly string[]): string[] {
  return [
    '-c',
    `http.curloptResolve=${repository.host}:${repository.port}:${addresses.join(',')}`,
    '-c',
    'http.followRedirects=false',
    '-c',
    'credential.helper=',
    '-c',
    'protocol.allow=never',
    '-c',
    'protocol.https.allow=always',
  ];
}
