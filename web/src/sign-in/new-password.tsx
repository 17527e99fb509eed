/** A new password, typed once and looked at rather than typed twice blindly. */
import { type ReactNode, useState } from 'react';
import { Button } from '../ui/button.tsx';
import { Field, Input } from '../ui/field.tsx';

export function NewPassword({
  value,
  onChange,
  label = 'Password',
}: {
  value: string;
  onChange: (value: string) => void;
  label?: string;
}): ReactNode {
  const [shown, setShown] = useState(false);
  return (
    <Field label={label} hint="At least 12 characters; several words that do not belong together are best">
      <PasswordInput value={value} onChange={onChange} shown={shown} />
      <Button look="quiet" size="small" className="self-start" onClick={() => setShown(!shown)}>
        {shown ? 'Hide it' : 'Show it'}
      </Button>
    </Field>
  );
}

const PasswordInput = ({
  value,
  onChange,
  shown,
}: {
  value: string;
  onChange: (value: string) => void;
  shown: boolean;
}) => (
  <Input
    type={shown ? 'text' : 'password'}
    required
    minLength={12}
    autoComplete="new-password"
    className="h-9"
    value={value}
    onChange={e => onChange(e.target.value)}
  />
);
