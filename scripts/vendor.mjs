// Copies what the page loads from node_modules to public/vendor, so that it is served from our own origin.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";

const root = new URL("../", import.meta.url);
const source = (path) => new URL(`node_modules/${path}`, root);
const vendored = (name) => new URL(`public/vendor/${name}`, root);

await mkdir(vendored(""), { recursive: true });
await copyFile(source("@supabase/supabase-js/dist/umd/supabase.js"), vendored("supabase.js"));
await copyFile(source("uplot/dist/uPlot.min.css"), vendored("uplot.css"));
// Its minified build is a script; as a module it can be loaded when the first chart is drawn.
const uplot = await readFile(source("uplot/dist/uPlot.iife.min.js"), "utf8");
await writeFile(vendored("uplot.js"), `${uplot}\nexport default uPlot;\n`);
