/**
 * The forms in which a secret may turn up: as it is, in base64 at each of the three places within a group of bytes,
 * in hex, in URLs, in JSON (once or twice), in HTML. Case, base64's other alphabet and line breaks are the search's.
 */

/** Bytes whose text is searched too: a private key in DER is found in base64 and hex only. */
export function formsOf(value: string | Buffer): string[] {
  const bytes = Buffer.from(value as string);
  const text = typeof value === 'string' ? value : textOf(bytes);
  const encoded = [bytes.toString('hex'), ...base64Forms(bytes)];
  const written = text === null ? [] : [text, ...linesOf(text), ...escapedForms(text)];
  return [...new Set([...written, ...encoded, ...encoded.map(form => encodeURIComponent(form))])];
}

function textOf(bytes: Buffer): string | null {
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) && !text.includes('\0') ? text : null;
}

/**
 * A value within longer base64 begins with the first, second or third byte of a group. The characters that also
 * depend on its neighbours are left out.
 */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].map(before => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const whole = Math.floor(((before + bytes.length) * 8) / 6);
    return text.slice(Math.ceil((before * 8) / 6), whole);
  });
}

/** A key of many lines also leaks line by line. */
function linesOf(text: string): string[] {
  if (!text.includes('\n')) return [];
  return text.split(/\r?\n/).filter(line => line.length >= 16 && !/^-----/.test(line));
}

function escapedForms(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(/[^ -~]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const url = percentEncoded(text);
  return [
    json,
    ascii,
    JSON.stringify(json).slice(1, -1),
    json.replaceAll('/', '\\/'),
    ...(url === null ? [] : [url, strict(url), inForm(text), lenient(text)]),
    text.replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`),
    text.replace(/[&<>"']/g, c => namedEntities[c] as string),
  ];
}

const namedEntities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Null for half of a surrogate pair, which has no such form. */
const percentEncoded = (text: string): string | null =>
  text.isWellFormed() ? encodeURIComponent(text) : null;
/** As RFC 3986 has it, which also encodes what encodeURIComponent leaves. */
const strict = (url: string): string =>
  url.replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
/** As forms and URLSearchParams write it. */
const inForm = (text: string): string => new URLSearchParams({ v: text }).toString().slice(2);
/** As a whole address is encoded: its own delimiters stay. */
const lenient = (text: string): string => encodeURI(text);
