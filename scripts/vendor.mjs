// Copies what the page loads from node_modules to public/vendor, so that it is served from our own origin.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";

const root = new URL("../", import.meta.url);
const source = (path) => new URL(`node_modules/${path}`, root);
const vendored = (name) => new URL(`public/vendor/${name}`, root);

// Whole or not at all: somebody may be loading the page meanwhile.
async function write(name, content) {
  const unfinished = vendored(`.${name}.${process.pid}`);
  await writeFile(unfinished, content);
  await rename(unfinished, vendored(name));
}

await mkdir(vendored(""), { recursive: true });
await write("supabase.js", await readFile(source("@supabase/supabase-js/dist/umd/supabase.js")));
await write("uplot.css", await readFile(source("uplot/dist/uPlot.min.css")));
// Its minified build is a script; as a module it can be loaded when the first chart is drawn.
const uplot = await readFile(source("uplot/dist/uPlot.iife.min.js"), "utf8");
await write("uplot.js", `${uplot}\nexport default uPlot;\n`);
