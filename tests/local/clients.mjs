// Unmodified supabase-js against the local stack. Arguments: URL, API key, table. Prints what came back as JSON.
import { createClient } from "@supabase/supabase-js";
import WebSocket from "ws";

const [url, key, table] = process.argv.slice(2);
const supabase = createClient(url, key, {
  auth: { persistSession: false, autoRefreshToken: false },
  realtime: { transport: WebSocket },
});
const rows = supabase.from(table);

function data({ data, error, count }) {
  if (error) throw new Error(JSON.stringify(error));
  return count ?? data;
}

const said = {
  inserted: data(await rows.insert({ id: 1, name: "one" }).select()),
  upserted: data(await rows.upsert([{ id: 1, name: "uno" }, { id: 2, name: "two" }]).select()),
  selected: data(await rows.select("name").eq("id", 2).single()),
  counted: data(await rows.select("*", { count: "exact", head: true })),
  called: data(await supabase.rpc(`${table}_names`, { above: 0 })),
  refused: (await supabase.from("absent").select()).error?.code,
};
data(await rows.delete().gt("id", 0));

const channel = supabase.channel("lobby", { config: { broadcast: { self: true, ack: true } } });
said.heard = await new Promise((resolve, reject) => {
  channel.on("broadcast", { event: "hello" }, (message) => resolve(message.payload.to));
  channel.subscribe((status, error) => {
    if (status === "SUBSCRIBED") channel.send({ type: "broadcast", event: "hello", payload: { to: "all" } });
    if (status === "CHANNEL_ERROR") reject(error ?? new Error(status));
  });
});
await supabase.removeAllChannels();
console.log(JSON.stringify(said));
process.exit(0);
