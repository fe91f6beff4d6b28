// Runs a program in Node with its client, and prints the result as JSON:
// node run.mjs node_modules tincanjs '{"endpoint": "…", "key": "…", "secret": "…"}'
import { createRequire } from "node:module";
import { webcrypto } from "node:crypto";

const CLIENTS = {
  tincanjs: "tincanjs",
  xapi: "@xapi/xapi",
  "adl-xapiwrapper": "adl-xapiwrapper",
};

globalThis.crypto ??= webcrypto; // Node 18
const [packages, program, configuration] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const client = require(CLIENTS[program]);
const { run } = await import(`./${program}.mjs`);
console.log(JSON.stringify(await run(client.default ?? client, JSON.parse(configuration))));
