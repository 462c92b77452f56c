// The generated functions take a base URL from here (orval.config.mjs), because they have no argument for it.

import { target } from "./scenario.js";

let current = "";

/** The base URL of the call that is being made. */
export function baseUrl(): string {
  return current;
}

/** The options of a call to the client that a step names; the call has to be the next one. */
export function as(client: string | undefined): RequestInit {
  const { baseUrl, key } = target(client);
  current = baseUrl;
  return { headers: { Authorization: `Bearer ${key}` } };
}
