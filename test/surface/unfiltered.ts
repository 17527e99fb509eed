/**
 * The application with its own organization filters taken out, at the last place where they can be seen: the SQL that
 * the server sends, for requests and for the system. What is stripped is every comparison `organization_id = $n` (also
 * of an alias, quoted or not); the parameter stays, as `$n::text is not null`. Not stripped: values that are inserted,
 * and comparisons that the program makes itself with rows that it has read.
 */
import pg from 'pg';

const filter = /(?:"?\w+"?\.)?"?organization_id"? = (\$\d+)/g;

export const withoutFilters = (text: string): string => text.replace(filter, '($1::text is not null)');

export interface Stripped {
  /** For the settings of a pool. */
  Client: typeof pg.Client;
  /** Texts of statements that were changed. */
  texts: Set<string>;
}

export function strippingClient(): Stripped {
  const texts = new Set<string>();
  class Client extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: the many forms of `query` are passed on as they come.
    override query(config: any, ...more: any[]): any {
      if (typeof config?.text === 'string') {
        const text = withoutFilters(config.text);
        if (text !== config.text) texts.add(config.text);
        return super.query({ ...config, text }, ...more);
      }
      return super.query(config, ...more);
    }
  }
  return { Client: Client as typeof pg.Client, texts };
}
