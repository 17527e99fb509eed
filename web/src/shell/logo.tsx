/** The mark: a hall with three doors. */
export const Logo = ({ className }: { className?: string }) => (
  <svg viewBox="0 0 32 32" className={className} aria-hidden="true">
    <rect width="32" height="32" rx="7" className="fill-accent" />
    <path
      d="M6 14 16 7l10 7v2H6zM8 18h3v6H8zm6.5 0h3v6h-3zM21 18h3v6h-3zM6 25h20v2H6z"
      className="fill-accent-ink"
    />
  </svg>
);
