// Runs every sample in a folder.
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

for (const sample of readdirSync(process.argv[2]).sort()) {
  console.log(sample);
  await import(pathToFileURL(resolve(process.argv[2], sample)).href);
}
