// Goes through the steps of the SDK scenario and prints what was found. Judging is the work of contracttests/sdk/run.

import { readFileSync } from "node:fs";

export type Observed = Record<string, unknown>;

export interface Step {
  name: string;
  client?: string;
  input?: unknown;
}

/** Where a client is to call, and as whom. */
export interface Target {
  baseUrl: string;
  key: string;
}

/** The parts of a typed problem that the scenario looks at; a generated type that lacks one does not compile. */
export interface ProblemLike {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  requestId: string;
  errors?: { pointer: string; detail: string }[];
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw new Error(`${name} is not set`);
  }
  return value;
}

/** The target of the client that a step names. */
export function target(client: string | undefined): Target {
  switch (client) {
    case undefined:
      return { baseUrl: variable("MAILSTACK_URL"), key: variable("MAILSTACK_API_KEY") };
    case "exhausted":
      return { baseUrl: variable("MAILSTACK_URL"), key: variable("MAILSTACK_EXHAUSTED_API_KEY") };
    case "future":
      return { baseUrl: variable("MAILSTACK_FUTURE_URL"), key: variable("MAILSTACK_API_KEY") };
    default:
      throw new Error(`there is no client ${client}`);
  }
}

export async function run(steps: Record<string, (step: Step) => Promise<Observed>>): Promise<void> {
  const scenario = JSON.parse(readFileSync(variable("MAILSTACK_SCENARIO"), "utf8")) as { steps: Step[] };
  const left = new Set(Object.keys(steps));
  for (const step of scenario.steps) {
    const take = steps[step.name];
    if (take === undefined) {
      throw new Error(`the runner lacks the step "${step.name}"`);
    }
    left.delete(step.name);
    const observed = await take(step);
    process.stdout.write(JSON.stringify({ step: step.name, observed }) + "\n");
  }
  for (const name of left) {
    throw new Error(`the runner adds the step "${name}"`);
  }
}

export function refused(http: number | undefined, problem: ProblemLike | undefined): Observed {
  if (problem === undefined) {
    throw new Error(`no problem was decoded from an answer with status ${http}`);
  }
  return {
    http,
    status: problem.status,
    type: problem.type,
    code: problem.code,
    title: problem.title,
    detail: problem.detail,
    requestId: problem.requestId,
    pointers: (problem.errors ?? []).map((one) => one.pointer),
  };
}

/** The body of an answer that must have one. */
export function decoded<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) {
    throw new Error(`the answer was not decoded: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

/** What a later step needs from an earlier one. */
export function kept(id: string | undefined): string {
  if (id === undefined) {
    throw new Error("an earlier step did not answer with an id");
  }
  return id;
}

const sentLimit = 30_000;

/** Reads until the message is no longer queued. */
export async function untilSent<T>(read: () => Promise<T>, status: (answer: T) => string): Promise<T> {
  const deadline = Date.now() + sentLimit;
  for (;;) {
    const answer = await read();
    if (status(answer) !== "Queued") {
      return answer;
    }
    if (Date.now() > deadline) {
      throw new Error("the message is still queued");
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
