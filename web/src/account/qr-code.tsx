/** A QR code as one path of an inline image: made here, so that the secret in it goes nowhere else. */
import { type ReactNode, useMemo } from 'react';
import { qrMatrix } from './qr.ts';

export function QrCode({ text, label }: { text: string; label: string }): ReactNode {
  const { size, path } = useMemo(() => {
    const rows = qrMatrix(text);
    const parts = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')));
    return { size: rows.length, path: parts.join('') };
  }, [text]);
  // Always dark on light, with a margin of four: what cameras expect.
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`-4 -4 ${size + 8} ${size + 8}`}
      className="size-48 shrink-0 rounded-md"
      shapeRendering="crispEdges"
    >
      <rect x={-4} y={-4} width={size + 8} height={size + 8} fill="white" />
      <path d={path} fill="black" />
    </svg>
  );
}
