// Makes `openapi/common-types/resource-management/v5/types.json` of what the compiler has made of `common-types/`: what our documents refer to,
// under the names that Azure's own file has.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const [compiled, ...documents] = process.argv.slice(2);
const RENAMED = { LocationData: "locationData", SystemData: "systemData" };
const OUTPUT = "openapi/common-types/resource-management/v5/types.json";

let text = readFileSync(compiled, "utf8");
for (const [from, to] of Object.entries(RENAMED)) {
  text = text.replaceAll(`"#/definitions/${from}"`, `"#/definitions/${to}"`);
}
const { definitions, parameters } = JSON.parse(text);
for (const [from, to] of Object.entries(RENAMED)) {
  definitions[to] = definitions[from];
  delete definitions[from];
}
// What the library's decorators would have said, and what readers who follow references lose otherwise.
definitions.Resource["x-ms-azure-resource"] = true;
definitions.systemData.readOnly = true;
const { description } = definitions.Resource.properties.type;
definitions.Resource.properties.type = { type: "string", description, readOnly: true };
for (const name of ["ApiVersionParameter", "SubscriptionIdParameter"]) {
  parameters[name]["x-ms-parameter-location"] = "client";
}

const kept = { definitions: {}, parameters: {} };
const queue = documents.flatMap((file) => references(readFileSync(file, "utf8"), "common-types/resource-management/v5/types.json"));
while (queue.length > 0) {
  const [kind, name] = queue.pop();
  if (kept[kind][name]) continue;
  const found = { definitions, parameters }[kind][name];
  if (!found) throw new Error(`the library has no ${kind} '${name}'`);
  kept[kind][name] = found;
  queue.push(...references(JSON.stringify(found), ""));
}

const sorted = (object) => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
const document = {
  swagger: "2.0",
  info: { title: "Common types", version: "v5", description: "Types that Azure's resource providers share." },
  paths: {},
  definitions: sorted(kept.definitions),
  parameters: sorted(kept.parameters),
};
mkdirSync("openapi/common-types/resource-management/v5", { recursive: true });
writeFileSync(OUTPUT, `${JSON.stringify(document, null, 2)}\n`);

function references(text, file) {
  const found = text.matchAll(/"\$ref":\s*"([^"#]*)#\/(definitions|parameters)\/([^"]+)"/g);
  return [...found].filter(([, at]) => (file ? at.endsWith(file) : at === "")).map(([, , kind, name]) => [kind, name]);
}
