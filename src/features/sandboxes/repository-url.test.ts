import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem } from '../../base/problem.ts';
import { isPublicAddress, parseRepositoryUrl, pinnedGitOptions, resolvePublicly } from './repository-url.ts';

const hosts = ['github.com', 'gitlab.example.org', 'git.example.org:8443'];
const accepted = (url: string) => parseRepositoryUrl(url, hosts);
function refusal(url: string): string {
  try {
    parseRepositoryUrl(url, hosts);
  } catch (error) {
    assert.ok(error instanceof Problem);
    assert.deepEqual([error.code, error.status], ['repository_url_refused', 422]);
    return error.message;
  }
  return assert.fail(`${url} was accepted`);
}

test('VAL-05 repositories on the allowed hosts are accepted, over https, at the port that is listed', () => {
  for (const [url, host, port] of [
    ['https://github.com/owner/name', 'github.com', 443],
    ['https://github.com/owner/name.git', 'github.com', 443],
    ['https://github.com/owner/name/', 'github.com', 443],
    ['https://GitHub.com/Owner/Name', 'github.com', 443],
    ['HTTPS://github.com/owner/name', 'github.com', 443],
    ['https://github.com:443/owner/name', 'github.com', 443],
    ['https://gitlab.example.org/group/sub/name', 'gitlab.example.org', 443],
    ['https://git.example.org:8443/team/name', 'git.example.org', 8443],
    ['https://github.com/o-w_n.er/na-m_e.x', 'github.com', 443],
  ] as const) {
    const parsed = accepted(url);
    assert.deepEqual([parsed.host, parsed.port], [host, port], url);
  }
});

const refused: [string, string[]][] = [
  [
    'other schemes',
    [
      'http://github.com/owner/name',
      'git://github.com/owner/name',
      'ssh://git@github.com/owner/name',
      'ssh://github.com/owner/name',
      'git+ssh://git@github.com/owner/name',
      'file:///etc',
      'file://github.com/owner/name',
      'ftp://github.com/owner/name',
      'ext::sh -c id',
      'fd::17',
      'data:text/plain,x',
      'javascript:alert(1)',
      'https:github.com/owner/name',
      'git@github.com:owner/name.git',
      '//github.com/owner/name',
      '-uhttps://github.com/owner/name',
      '--upload-pack=id',
      'https::https://github.com/owner/name',
    ],
  ],
  [
    'other hosts and ports',
    [
      'https://evil.example/owner/name',
      'https://github.com.evil.example/owner/name',
      'https://evilgithub.com/owner/name',
      'https://sub.github.com/owner/name',
      'https://github.com./owner/name',
      'https://github.com:8443/owner/name',
      'https://git.example.org/team/name',
      'https://git.example.org:443/team/name',
      'https://localhost/owner/name',
      'https://gitlab.com/owner/name',
      'https://xn--gthub-n4a.com/owner/name',
    ],
  ],
  [
    'addresses, in every spelling',
    [
      'https://127.0.0.1/owner/name',
      'https://10.0.0.1/owner/name',
      'https://169.254.169.254/latest/meta-data',
      'https://[::1]/owner/name',
      'https://[::ffff:127.0.0.1]/owner/name',
      'https://2130706433/owner/name',
      'https://0x7f000001/owner/name',
      'https://0177.0.0.1/owner/name',
      'https://127.1/owner/name',
      'https://0/owner/name',
    ],
  ],
  [
    'credentials',
    [
      'https://user@github.com/owner/name',
      'https://user:password@github.com/owner/name',
      'https://:x@github.com/owner/name',
      'https://github.com@evil.example/owner/name',
      'https://github.com:x@evil.example/owner/name',
      'https://github.com/owner/name@v1',
    ],
  ],
  [
    'queries, fragments and escapes',
    [
      'https://github.com/owner/name?x=1',
      'https://github.com/owner/name#main',
      'https://github.com/owner/../../etc/passwd',
      'https://github.com/owner/%2e%2e/name',
      'https://github.com/owner/na%00me',
      'https://github.com/owner/na%2fme',
      'https://github.com/owner/..',
    ],
  ],
  [
    'white space, control characters and other letters',
    [
      'https://github.com/owner/name with space',
      ' https://github.com/owner/name',
      'https://github.com/owner/name\n',
      'https://github.com/owner\t/name',
      'https://github.com/ow\u0000ner/name',
      'https://github.com\\@evil.example/owner/name',
      'https:\\\\github.com\\owner\\name',
      'https://gıthub.com/owner/name',
      'https://ｇｉｔｈｕｂ.com/owner/name',
      'https://github.com/öwner/name',
      'https://github.com\u2044owner/name',
      'https://github。com/owner/name',
    ],
  ],
  [
    'paths that name no repository',
    [
      'https://github.com',
      'https://github.com/',
      'https://github.com/owner',
      'https://github.com//owner/name',
      'https://github.com/owner//name',
      'https://github.com/owner/$(id)',
      'https://github.com/owner/`id`',
      'https://github.com/owner/na;me',
      "https://github.com/owner/na'me",
      'https://github.com/owner/~name',
      '',
      'https://',
      'https:///owner/name',
    ],
  ],
];

for (const [what, urls] of refused) {
  test(`VAL-05 refused: ${what}`, () => {
    for (const url of urls) assert.match(refusal(url), /^This repository URL is refused: .+\.$/);
  });
}

test('VAL-05 a refusal for the host names the hosts and the setting, and repeats no password', () => {
  assert.match(
    refusal('https://evil.example/owner/name'),
    /github\.com, gitlab\.example\.org.*GUILDHALL_REPOSITORY_HOSTS/,
  );
  assert.doesNotMatch(refusal('https://user:hunter2@github.com/owner/name'), /hunter2/);
});

test('VAL-05 a host that is allowed but leads to an address inside is refused', async () => {
  const inside = { url: 'https://localhost/a/b', host: 'localhost', port: 443 };
  await assert.rejects(resolvePublicly(inside), { code: 'repository_url_refused', message: /not public/ });
  const nowhere = { url: 'https://nowhere.invalid/a/b', host: 'nowhere.invalid', port: 443 };
  await assert.rejects(resolvePublicly(nowhere), { code: 'repository_unreachable', status: 503 });
});

test('VAL-05 every address that is not public is known as such', () => {
  for (const address of [
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    'fc00::1',
    'fdff::1',
    'fe80::1',
    'febf::1',
    'ff02::1',
  ]) {
    assert.equal(isPublicAddress(address), false, address);
  }
  for (const address of [
    '8.8.8.8',
    '140.82.121.4',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '198.17.0.1',
    '223.255.255.255',
    '2606:50c0:8000::153',
    '2a00:1450:4001::1',
  ]) {
    assert.equal(isPublicAddress(address), true, address);
  }
});

test('VAL-05 git is pinned to the addresses that were looked up, follows no redirect, and may use https only', () => {
  const options = pinnedGitOptions(accepted('https://git.example.org:8443/team/name'), [
    '93.184.216.34',
    '2606:2800::1',
  ]);
  assert.deepEqual(
    options.filter((_, i) => i % 2 === 0),
    Array(options.length / 2).fill('-c'),
  );
  assert.deepEqual(
    options.filter((_, i) => i % 2 === 1),
    [
      'http.curloptResolve=git.example.org:8443:93.184.216.34,2606:2800::1',
      'http.followRedirects=false',
      'credential.helper=',
      'protocol.allow=never',
      'protocol.https.allow=always',
    ],
  );
});
