// Called first by the npm scripts: a Node that cannot run TypeScript must hear so in words instead of a syntax error.
// Written in the oldest JavaScript there is, because that is who reads it.
var version = process.versions.node.split('.');
if (Number(version[0]) < 22 || (Number(version[0]) === 22 && Number(version[1]) < 19)) {
  console.error(
    'Guildhall needs Node 22.19 or newer to run with npm, and this is ' + process.versions.node + '.\n' +
      'Either install a newer one, or run ./guildhall' + (process.argv[2] ? ' ' + process.argv[2] : '') +
      ', which fetches Node 24 from npm for itself.',
  );
  process.exit(1);
}
