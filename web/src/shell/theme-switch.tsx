/** Light, dark, or as the system: one button that goes round. */
import { Monitor, Moon, Sun } from 'lucide-react';
import type { ReactNode } from 'react';
import { IconButton } from '../ui/button.tsx';
import { chooseTheme, type ThemeChoice, useTheme } from '../ui/theme.ts';

export const themes = {
  system: { icon: Monitor, next: 'light', label: 'Theme: as the system' },
  light: { icon: Sun, next: 'dark', label: 'Theme: light' },
  dark: { icon: Moon, next: 'system', label: 'Theme: dark' },
} as const satisfies Record<ThemeChoice, { icon: unknown; next: ThemeChoice; label: string }>;

export function ThemeSwitch(): ReactNode {
  const { icon: Icon, next, label } = themes[useTheme()];
  return (
    <IconButton name={label} onClick={() => chooseTheme(next)}>
      <Icon />
    </IconButton>
  );
}
