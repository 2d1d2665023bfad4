// Validates documents by a JSON schema: `{ "schema": PATH | "sarif", "documents": […] }`
// becomes a list of what is wrong with each.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv2020 from "ajv/dist/2020.js";
import AjvDraft04 from "ajv-draft-04";
import addFormats from "ajv-formats";

const request = JSON.parse(readFileSync(process.argv[2], "utf8"));
const require = createRequire(import.meta.url);
// The schema of the OASIS committee, as Microsoft's package of it has it.
const path = request.schema === "sarif"
  ? require.resolve("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json")
  : request.schema;
const schema = JSON.parse(readFileSync(path, "utf8"));
const Ajv = schema.$schema.includes("draft-04") ? AjvDraft04 : Ajv2020;
const ajv = new Ajv.default({ allErrors: true, strict: false, unicodeRegExp: false });
addFormats.default(ajv);
const validate = ajv.compile(schema);
const wrong = request.documents.map((document) =>
  validate(document) ? [] : validate.errors.map((error) => `${error.instancePath} ${error.message}`));
console.log(JSON.stringify(wrong));
