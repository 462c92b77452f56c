// Runs the linters over the published documents, prints what they find and how much, and fails when it is anything at all.
// A linter that finds nothing in a document with a flaw has not read it: each is shown one first.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const published = (name) => join(here, "../../gen/openapi", name);
const documents = { "3.0": published("openapi.yaml"), "3.1": published("openapi-3.1.yaml") };

async function run(tool, ...args) {
  const env = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true", NO_COLOR: "1" };
  const child = spawn(join(here, "node_modules/.bin", tool), args, { cwd: here, env });
  let said = "";
  let complained = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (said += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (complained += text));
  await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  const start = said.search(/^[[{]/m);
  if (start < 0) throw new Error(`${tool} printed no result:\n${said}${complained}`);
  return JSON.parse(said.slice(start));
}

async function redocly(file) {
  const { problems } = await run("redocly", "lint", file, "--config", "redocly.yaml", "--format", "json", "--max-problems", "1000");
  const found = problems
    .filter((problem) => !problem.ignored)
    .map((problem) => `${problem.severity} ${problem.ruleId}: ${problem.message} (${problem.location[0].pointer})`);
  return { "redocly recommended-strict": found };
}

async function spectral(file) {
  const found = { "spectral:oas": [], "spectral owasp": [] };
  for (const { code, severity, message, path } of await run("spectral", "lint", file, "--ruleset", ".spectral.yaml", "--format", "json", "--quiet"))
    found[`${code}`.startsWith("owasp:") ? "spectral owasp" : "spectral:oas"].push(`severity ${severity} ${code}: ${message} (${path.join("/")})`);
  return found;
}

/** What all linters find in a document, by linter. */
async function lint(file) {
  return Object.assign({}, ...(await Promise.all([redocly(file), spectral(file)])));
}

const folder = mkdtempSync(join(tmpdir(), "lint-"));
let failed = false;
try {
  for (const [version, file] of Object.entries(documents)) {
    const flawed = join(folder, `flawed-${version}.yaml`);
    const flaws = [/^ +operationId: getUsage\n/m, /^ +tags: \[billing\]\n/m, /^ +format: int32\n/m];
    writeFileSync(flawed, flaws.reduce((text, flaw) => text.replace(flaw, ""), readFileSync(file, "utf8")));
    const noticed = await lint(flawed);
    for (const [name, findings] of Object.entries(await lint(file))) {
      if (noticed[name].length === 0) throw new Error(`${name} finds nothing in a document with flaws`);
      for (const finding of findings) console.log(`  ${finding}`);
      console.log(`${name}, OpenAPI ${version}: ${findings.length} findings`);
      failed ||= findings.length > 0;
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
process.exit(failed ? 1 : 0);
