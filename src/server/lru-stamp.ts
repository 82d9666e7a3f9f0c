/**
 * Pure: when a key was last used, in 16 bits that do not come round.
 *
 *   bit 15 = 0   the low 15 bits are a second: exact, but ambiguous after nine hours
 *   bit 15 = 1   they are a unit of 512 seconds: good for half a year
 *
 * All stamps must be `aged` at least every three hours: a second more than six hours ago becomes
 * its unit, where 512 seconds are 2.4 %; a unit that would come round stays the oldest that can be
 * told. Redis counts seconds in 24 bits, for as long (src/server.h `LRU_BITS`).
 *
 * Seconds are those since tracking began, so that memory full of zeros means "used at the start".
 */

const UNITS = 0x8000;
const MASK = 0x7fff;
const UNIT_SHIFT = 9;

/** Older than six hours: a second becomes a unit. */
const SECONDS_MAX = 6 * 60 * 60;
/** The greatest age in units; what is left until they come round is nine hours. */
const UNITS_MAX = MASK - 64;
export const IDLE_SECONDS_MAX = UNITS_MAX << UNIT_SHIFT;

/** The stamp of a key used at `now`. @param now seconds since tracking began, an integer */
export function freshStamp(now: number): number {
  return now & MASK;
}

/** The stamp of a key that has not been used for so long. @param idle seconds, 0 or more */
export function stampOfIdle(idle: number, now: number): number {
  const second = now - Math.floor(Math.min(idle, IDLE_SECONDS_MAX));
  return idle <= SECONDS_MAX ? second & MASK : UNITS | ((second >> UNIT_SHIFT) & MASK);
}

/** The second of the last use; negative before tracking began. */
export function lastUseOf(stamp: number, now: number): number {
  if ((stamp & UNITS) === 0) return now - ((now - stamp) & MASK);
  const unit = now >> UNIT_SHIFT;
  return (unit - ((unit - stamp) & MASK)) << UNIT_SHIFT;
}

/** What the stamp is to be from now on: of the same age, as far as that can be told. */
export function agedStamp(stamp: number, now: number): number {
  const idle = now - lastUseOf(stamp, now);
  const isSecond = (stamp & UNITS) === 0;
  return idle <= (isSecond ? SECONDS_MAX : IDLE_SECONDS_MAX) ? stamp : stampOfIdle(idle, now);
}
