// Does with the client @xapi/xapi what learning content does, and prints what it found as JSON:
// node use_xapi.mjs <endpoint> <key> <secret> <version> <adapter>
import { createHash, randomUUID } from "node:crypto";
import module from "@xapi/xapi";

const { default: XAPI, AttachmentUsages, Verbs } = module;
const [endpoint, key, secret, version, adapter] = process.argv.slice(2);
const xapi = new XAPI({ endpoint, auth: XAPI.toBasicAuth(key, secret), version, adapter });

const agent = { objectType: "Agent", mbox: "mailto:jürgen+1@example.com", name: "Jürgen" };
const activityId = "http://example.com/course/1?a=b&c=d";
const object = {
  objectType: "Activity",
  id: activityId,
  definition: { name: { "en-US": "A course", "de-DE": "Ein Kurs" } },
};

function statement(verb, more = {}) {
  return { id: randomUUID(), actor: agent, verb, object, ...more };
}

function ids(answer) {
  return answer.data.statements.map((each) => each.id);
}

async function statements() {
  const one = statement(Verbs.INITIALIZED, { result: { duration: "PT1M2.5S" } });
  const batch = [statement(Verbs.PROGRESSED), statement(Verbs.PASSED), statement(Verbs.COMPLETED)];
  const sent = await xapi.sendStatement({ statement: one });
  const again = await xapi.sendStatement({ statement: one });
  const sentBatch = await xapi.sendStatements({ statements: batch });
  const found = await xapi.getStatement({ statementId: one.id });
  const first = await xapi.getStatements({ agent, limit: 3, ascending: true });
  const rest = await xapi.getMoreStatements({ more: first.data.more });
  const passed = await xapi.getStatements({ verb: Verbs.PASSED.id, activity: activityId });
  const since = await xapi.getStatements({ since: found.data.stored, related_agents: true });
  await xapi.voidStatement({ actor: agent, statementId: batch[0].id });
  const voided = await xapi.getVoidedStatement({ voidedStatementId: batch[0].id });
  const left = await xapi.getStatements({ format: "ids" });
  const conflict = await failure(xapi.sendStatement({ statement: { ...one, verb: Verbs.FAILED } }));
  const broken = await failure(xapi.sendStatement({ statement: { ...one, verb: {} } }));
  return {
    order: [one, ...batch].map((each) => each.id),
    answers: [sent.data, again.data, sentBatch.data],
    same: JSON.stringify(found.data.result) === JSON.stringify(one.result),
    pages: [ids(first), ids(rest), rest.data.more],
    passed: ids(passed),
    since: ids(since).reverse(),
    voided: voided.data.id,
    left: left.data.statements.length,
    conflict,
    broken,
    version: sent.headers["x-experience-api-version"],
  };
}

async function attachments() {
  // One only: between two, this client leaves out the line end that parts them. And through fetch:
  // with axios, Node sends a Blob as application/octet-stream.
  if (adapter !== "fetch") return null;
  const content = new TextEncoder().encode("Gr\u00fc\u00dfe").buffer;
  const described = {
    usageType: AttachmentUsages.CERTIFICATE_OF_COMPLETION,
    display: { "en-US": "A certificate" },
    contentType: "text/plain",
    length: content.byteLength,
    sha2: createHash("sha256").update(Buffer.from(content)).digest("hex"),
  };
  const sent = statement(Verbs.COMPLETED, { attachments: [described] });
  await xapi.sendStatement({ statement: sent, attachments: [content] });
  const one = await xapi.getStatement({ statementId: sent.id, attachments: true });
  const many = await xapi.getStatements({ attachments: true, limit: 1 });
  return {
    one: [one.data[0].id === sent.id, ...one.data.slice(1)],
    many: [many.data[0].statements[0].id === sent.id, ...many.data.slice(1)],
  };
}

async function states() {
  const state = { agent, activityId, stateId: "bookmark" };
  const registration = randomUUID();
  await xapi.createState({ ...state, state: { page: 1, seen: ["ü"] } });
  const created = await xapi.getState(state);
  const etag = created.headers.etag;
  await xapi.createState({ ...state, state: { page: 2 }, etag, matchHeader: "If-Match" });
  const merged = await xapi.getState(state);
  const stale = await failure(
    xapi.setState({ ...state, state: { page: 3 }, etag, matchHeader: "If-Match" }),
  );
  const present = { etag: merged.headers.etag, matchHeader: "If-Match" };
  await xapi.setState({ ...state, state: "page 3", contentType: "text/plain", ...present });
  const replaced = await xapi.getState(state);
  const fresh = { etag: "*", matchHeader: "If-None-Match" };
  await xapi.setState({ ...state, stateId: "a/b?c&d", registration, state: {}, ...fresh });
  const listed = await xapi.getStates({ agent, activityId });
  const registered = await xapi.getStates({ agent, activityId, registration });
  await xapi.deleteState(state);
  const gone = await failure(xapi.getState(state));
  await xapi.deleteStates({ agent, activityId });
  const none = await xapi.getStates({ agent, activityId });
  return {
    created: created.data,
    merged: merged.data,
    stale,
    replaced: replaced.data,
    listed: listed.data.sort(),
    registered: registered.data,
    gone,
    none: none.data,
  };
}

async function profiles(create, set, get, list, remove, whose) {
  const profile = { ...whose, profileId: "preferences" };
  await create({ ...profile, profile: { language: "de" } });
  const created = await get(profile);
  const present = { etag: created.headers.etag, matchHeader: "If-Match" };
  await set({ ...profile, profile: { language: "fr" }, ...present });
  const stale = await failure(set({ ...profile, profile: {}, ...present }));
  const fresh = { etag: "*", matchHeader: "If-None-Match" };
  await set({ ...profile, profileId: "second", profile: { x: 1 }, ...fresh });
  const found = await get(profile);
  const listed = await list(whose);
  await remove({ ...profile, etag: found.headers.etag });
  const gone = await failure(get(profile));
  return {
    created: created.data,
    stale,
    found: found.data,
    listed: listed.data.sort(),
    gone,
  };
}

async function failure(promise) {
  try {
    await promise;
    return 0;
  } catch (error) {
    // Through fetch, the client keeps nothing of a refusal but its text.
    return error.response?.status ?? JSON.parse(error.message).status;
  }
}

const about = await xapi.getAbout();
const found = {
  about: about.data.version,
  statements: await statements(),
  attachments: await attachments(),
  states: await states(),
  agentProfiles: await profiles(
    xapi.createAgentProfile.bind(xapi),
    xapi.setAgentProfile.bind(xapi),
    xapi.getAgentProfile.bind(xapi),
    xapi.getAgentProfiles.bind(xapi),
    xapi.deleteAgentProfile.bind(xapi),
    { agent },
  ),
  activityProfiles: await profiles(
    xapi.createActivityProfile.bind(xapi),
    xapi.setActivityProfile.bind(xapi),
    xapi.getActivityProfile.bind(xapi),
    xapi.getActivityProfiles.bind(xapi),
    xapi.deleteActivityProfile.bind(xapi),
    { activityId },
  ),
  person: (await xapi.getAgent({ agent })).data,
  activity: (await xapi.getActivity({ activityId })).data,
};
console.log(JSON.stringify(found));
