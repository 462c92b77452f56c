// Lints the workflows, runs them against a server, by Redocly Respect, and prints which passed. MAILSTACK_URL and
// MAILSTACK_API_KEY name the server; the receiver of webhooks is here.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const lint = join(here, "../lint");
const limit = 5 * 60 * 1000; // milliseconds for all workflows

function run(tool, args, inputs) {
  const env = {
    ...process.env,
    REDOCLY_TELEMETRY: "off",
    REDOCLY_SUPPRESS_UPDATE_NOTICE: "true",
    NO_COLOR: "1",
    NODE_OPTIONS: `--require=${join(here, "guard.cjs")}`,
    REDOCLY_CLI_RESPECT_INPUT: JSON.stringify(inputs ?? {}),
    REDOCLY_CLI_RESPECT_SERVER: `mailstack=${process.env.MAILSTACK_URL}`,
  };
  return new Promise((resolve, reject) => {
    const child = spawn(join(lint, "node_modules/.bin", tool), args, { cwd: lint, env });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output }));
  });
}

const receiver = createServer((request, response) => {
  request.resume();
  request.on("end", () => response.writeHead(204).end());
});
await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
const files = readdirSync(here).filter((name) => name.endsWith(".arazzo.yaml")).sort();
let passed = 0;
let findings = 0;
const folder = mkdtempSync(join(tmpdir(), "workflows-"));
try {
  const paths = files.map((file) => join(here, file));
  for (const [tool, ...args] of [
    ["redocly", "--config", "redocly.yaml", "--format", "stylish"],
    ["spectral", "--ruleset", join(here, ".spectral.yaml"), "--fail-severity", "hint"],
  ]) {
    const done = await run(tool, ["lint", ...paths, ...args]);
    if (done.status === 0) continue;
    console.log(done.output);
    findings += 1;
  }
  const unique = randomUUID().slice(0, 8);
  const inputs = {
    apiKey: process.env.MAILSTACK_API_KEY,
    domain: `workflow-${unique}.test`,
    receiver: `http://127.0.0.1:${receiver.address().port}/events`,
    key: `workflow-${unique}`,
  };
  const result = join(folder, "result.json");
  const done = await run("redocly", ["respect", ...paths, "--json-output", result, "--execution-timeout", String(limit)], inputs);
  const taken = existsSync(result) ? Object.values(JSON.parse(readFileSync(result, "utf8")).files).flatMap((one) => one.executedWorkflows) : [];
  for (const name of files.map((file) => file.replace(".arazzo.yaml", ""))) {
    const workflow = taken.find((one) => one.workflowId === name);
    const succeeded = workflow?.status === "success";
    passed += succeeded ? 1 : 0;
    console.log(`${name}: ${succeeded ? "passed" : "failed"} (${workflow?.totalRequests ?? 0} requests)`);
  }
  if (done.status !== 0 || passed < files.length) {
    console.log(done.output);
    passed = Math.min(passed, files.length - 1);
  }
} finally {
  receiver.close();
  rmSync(folder, { recursive: true });
}
console.log(`workflows: ${passed}/${files.length} passed${findings ? ", but not the linters" : ""}`);
process.exit(passed === files.length && findings === 0 ? 0 : 1);
