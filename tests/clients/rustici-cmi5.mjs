// @rusticisoftware/cmi5, in browsers: the session of an assignable unit, from its launch to its end.
import { verb } from "./learner.mjs";

export async function run(Cmi5) {
  const unit = new Cmi5(location.href);
  await unit.start();
  const preference = unit.getLanguagePreference();
  unit.setLanguagePreference("fr-FR");
  await unit.saveLearnerPrefs();
  unit.setProgress(50);
  const sent = [1, 2].map(() => unit.prepareStatement(verb.id));
  await unit.sendStatement(sent[0]); // PUT
  await unit.sendStatements(sent.slice(1)); // POST
  await unit.passed({ scaled: 0.75, raw: 75, min: 0, max: 100 });
  await unit.completed();
  await unit.terminate();
  return {
    mode: unit.getLaunchMode(),
    masteryScore: unit.getMasteryScore(),
    session: unit.getSessionId(),
    preference,
  };
}
