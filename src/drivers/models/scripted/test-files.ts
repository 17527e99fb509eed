/** Which files of a repository are its tests. Nobody who plays a coder here may change one. */

const codeFile = /\.([cm]?[jt]s|[jt]sx|py|json)$/;
const manifest =
  /(^|\/)(package(-lock)?|tsconfig[^/]*|jsconfig|biome|\.[^/]*|[^/]*\.config|npm-shrinkwrap)\.(json|[cm]?[jt]s)$/;

const testFolder = /(^|\/)(tests?|__tests__|specs?|e2e|__snapshots__|fixtures|__fixtures__)\//;
const testName =
  /(^|\/)((tests?|specs?|conftest)\.[^/]+|tests?[-_.][^/]+|[^/]*[-_.](test|tests|spec|specs)\.[^/]+|[^/]*\.snap)$/i;

export function isTestFile(path: string): boolean {
  return testFolder.test(path) || testName.test(path);
}

/** A file that a repair may change: code or data that is neither a test nor configuration nor installed. */
export function isSourceFile(path: string): boolean {
  return (
    codeFile.test(path) &&
    !isTestFile(path) &&
    !manifest.test(path) &&
    !/\.d\.[cm]?ts$/.test(path) &&
    !/(^|\/)(node_modules|dist|build|coverage|vendor|\.[^/]+)\//.test(path)
  );
}
