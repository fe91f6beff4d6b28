// @xapi/cmi5, in browsers: the session of an assignable unit, from its launch to its end.
import {
  CONTENT_TYPES, activity, attachmentContents, description, hex, newStatement, sha256,
} from "./learner.mjs";

export async function run(Cmi5, { contents }) {
  const unit = Cmi5.instance; // reads the parameters of the launch from the URL of the page
  const { actor, activityId, registration } = unit.launchParameters;

  await unit.initialize();
  const question = { "en-US": "Is the sky blue?" };
  const name = { "en-US": "Question 1" };
  await unit.progress(50);
  await unit.interactionTrueFalse("test", "q1", true, true, name, question);
  await unit.interactionChoice("test", "q2", ["a", "b"], ["a"], [
    { id: "a", description: { "en-US": "A" } },
    { id: "b", description: { "en-US": "B" } },
  ]);
  await unit.interactionNumeric("test", "q3", 4, { min: 1, max: 5 });
  await unit.interactionMatching("test", "q4", { ben: "3" }, { ben: "3" });
  await unit.pass({ scaled: 0.75, raw: 75, min: 0, max: 100 });
  await unit.complete();

  // The client of the session sends what the profile does not define.
  const xapi = unit.xapi;
  const document = { agent: actor, activityId, stateId: "bookmark", registration };
  await xapi.createState({ ...document, state: { page: 1 } });
  const bookmark = (await xapi.getState(document)).data;
  const sent = attachmentContents(contents);
  const attachments = await Promise.all(
    sent.map(async (content, index) => ({
      ...description(CONTENT_TYPES[index]),
      length: content.byteLength,
      sha2: await sha256(content),
    })),
  );
  const statement = newStatement({ actor, context: { registration }, attachments });
  await xapi.sendStatement({ statement, attachments: sent });
  await unit.terminate();

  const pages = [await xapi.getStatements({ registration, agent: actor, ascending: true, limit: 4 })];
  while (pages.at(-1).data.more) {
    pages.push(await xapi.getMoreStatements({ more: pages.at(-1).data.more }));
  }
  const about = await xapi.getActivity({ activityId });
  return {
    mode: unit.launchData.launchMode,
    preferences: unit.getLearnerPreferences(),
    verbs: pages.map((page) => page.data.statements.map((one) => one.verb.id.split("/").at(-1))),
    bookmark,
    attachments: { id: statement.id, sent: sent.map(hex) },
    activity: about.data.id,
  };
}
