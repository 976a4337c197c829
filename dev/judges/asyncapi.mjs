// Shows an AsyncAPI document to the official parser and prints what it finds, as JSON. It sends nothing anywhere: the
// document refers to nothing outside of itself.
// node asyncapi.mjs FOLDER DOCUMENT, where FOLDER has the parser's node_modules.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, file] = process.argv.slice(2);
const require = createRequire(join(folder, "package.json"));
const { Parser } = require("@asyncapi/parser");
const { AvroSchemaParser } = require("@asyncapi/avro-schema-parser");

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(await readFile(file, "utf8"), { source: file });
const found = diagnostics.map(({ code, severity, path, message }) => ({ code, severity, path: path.join("/"), message }));
// What the parser has understood, so that an empty document cannot pass for a right one.
const understood = document && {
  channels: document.channels().length,
  operations: document.operations().length,
  messages: document.allMessages().length,
};
console.log(JSON.stringify({ found, understood: understood ?? null }));
