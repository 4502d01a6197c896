// Copies what the page loads from node_modules to public/vendor, so that it is served from our own origin.
import { copyFile, mkdir } from "node:fs/promises";

const root = new URL("../", import.meta.url);
const files = { "supabase.js": "@supabase/supabase-js/dist/umd/supabase.js" };

await mkdir(new URL("public/vendor/", root), { recursive: true });
for (const [name, source] of Object.entries(files)) {
  await copyFile(new URL(`node_modules/${source}`, root), new URL(`public/vendor/${name}`, root));
}
