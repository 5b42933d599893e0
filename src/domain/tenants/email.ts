import { AppError } from '../../platform/errors.js';

const EMAIL = /^[^\s@<>]+@[^\s@<>]+$/;

/** The one form in which an email address is kept and compared. */
export function normalEmail(email: string, field: string): string {
  const normal = email.trim().toLowerCase();
  if (!EMAIL.test(normal) || normal.length > 254)
    throw new AppError('INVALID_INPUT', 'This is no email address.', { field });
  return normal;
}

/** A name of a person, a tenant, an application or a key: something to read, on one line. */
export function normalName(name: string, field: string): string {
  const normal = name.normalize('NFC').trim();

  if (normal.length < 1 || [...normal].length > 200 || /[\u0000-\u001f\u007f]/.test(normal))
    throw new AppError('INVALID_INPUT', 'A name has 1 to 200 characters, on one line.', { field });
  return normal;
}
