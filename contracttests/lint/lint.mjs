// Runs the linters over the published document, prints what they find and how much, and fails when it is anything at all.
// A linter that finds nothing in a document with a flaw has not read it: each is shown one first.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const spec = join(here, "../../gen/openapi/openapi.yaml");

function run(tool, ...args) {
  const env = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true", NO_COLOR: "1" };
  const done = spawnSync(join(here, "node_modules/.bin", tool), args, { cwd: here, env, encoding: "utf8", maxBuffer: 1 << 28 });
  if (done.error) throw done.error;
  const start = done.stdout.search(/^[[{]/m);
  if (start < 0) throw new Error(`${tool} printed no result:\n${done.stdout}${done.stderr}`);
  return JSON.parse(done.stdout.slice(start));
}

const linters = {
  "redocly recommended-strict": (file) =>
    run("redocly", "lint", file, "--config", "redocly.yaml", "--format", "json", "--max-problems", "1000").problems
      .filter((problem) => !problem.ignored)
      .map((problem) => `${problem.severity} ${problem.ruleId}: ${problem.message} (${problem.location[0].pointer})`),
  "spectral:oas": (file) =>
    run("spectral", "lint", file, "--ruleset", ".spectral.yaml", "--format", "json", "--quiet")
      .map((result) => `severity ${result.severity} ${result.code}: ${result.message} (${result.path.join("/")})`),
};

const folder = mkdtempSync(join(tmpdir(), "lint-"));
let failed = false;
try {
  const flawed = join(folder, "flawed.yaml");
  writeFileSync(flawed, readFileSync(spec, "utf8").replace(/^ +operationId: getUsage\n/m, "").replace(/^ +tags: \[billing\]\n/m, ""));
  for (const [name, lint] of Object.entries(linters)) {
    if (lint(flawed).length === 0) throw new Error(`${name} finds nothing in a document with flaws`);
    const findings = lint(spec);
    for (const finding of findings) console.log(`  ${finding}`);
    console.log(`${name}: ${findings.length} findings`);
    failed ||= findings.length > 0;
  }
} finally {
  rmSync(folder, { recursive: true });
}
process.exit(failed ? 1 : 0);
