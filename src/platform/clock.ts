/** Time as an argument: services take a clock, so that periods, expiry and limits can be tested. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };
