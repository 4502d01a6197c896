// Runs the guide's function as the two products do, with answers that are lost, and says what happened.
import { pathToFileURL } from "node:url";

const [, , file, product, lost] = process.argv;
const { importOrders } = await import(pathToFileURL(file));
const event = { id: product, data: { pages: 5 } };
const loaded = [];
const loadPage = async (page) => { loaded.push(page); };

const results = new Map();
const failedOnce = new Set();
class Again extends Error {}

// Inngest: one step for each request. It does the first step without a result, keeps that, and enters anew.
const inngest = {
  async run(id, work) {
    if (results.has(id)) return results.get(id);
    const result = await work();
    if (id === lost && !failedOnce.has(id)) {
      failedOnce.add(id); // it was done, and nobody heard so
      throw new Again(id);
    }
    results.set(id, result ?? null);
    throw new Again(id);
  },
};
// Trigger.dev: steps are plain calls; what throws begins the whole run again.
const trigger = {
  async run(id, work) {
    const result = await work();
    if (id === lost && !failedOnce.has(id)) {
      failedOnce.add(id);
      throw new Again(id);
    }
    return result;
  },
};

const step = product === "inngest" ? inngest : trigger;
let entered = 0;
for (let done = false; !done; ) {
  entered++;
  try {
    await importOrders({ event, step, loadPage });
    done = true;
  } catch (error) {
    if (!(error instanceof Again)) throw error;
  }
}
console.log(JSON.stringify({ entered, loaded }));
