/** Does a task ask for a repair? Only that can be done by trying changes until a check passes. */
import type { Brief } from './brief.ts';

const certain =
  /\b(fix(es|ed|ing)?|repair(s|ed|ing)?|fail(s|ed|ing|ure|ures)|bug(s|gy)?|broken?|regress(ion|ed)?|defect|debug|mend|not working|does(n't| not) work|off by one)\b/i;
const likely =
  /\b(pass(es|ing)?|green|errors?|wrong(ly)?|incorrect(ly)?|correct(ly)?|crash(es|ed|ing)?|red|throws|typo|tests?)\b/i;
const otherWork =
  /^\W*(please\s+)?(add|implement|create|write|build|introduce|support|refactor|rename|document|upgrade|migrate|remove|delete|design|set up|generate|translate|convert|improve|optimi[sz]e|explain|summari[sz]e|review|research|plan|prepare|draft|port|publish|deploy|move|extract|split|extend|hire|schedule)\b/i;

export function repairObjective(brief: Brief): boolean {
  const text = `${brief.title}\n${brief.objective}`;
  if (certain.test(text)) return true;
  if (otherWork.test(brief.objective) || otherWork.test(brief.title)) return false;
  return likely.test(text) || brief.checks.length > 0;
}
