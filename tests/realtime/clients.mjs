// Unmodified supabase-js against the stand-in. Prints one JSON line for each thing it is told.
import { createClient } from "@supabase/supabase-js";
import WebSocket from "ws";

const { url, key, token, user } = JSON.parse(process.argv[2]);
const say = (what, fields = {}) => console.log(JSON.stringify({ what, ...fields }));

const supabase = createClient(url, key, { realtime: { transport: WebSocket } });
await supabase.realtime.setAuth(token);

supabase
  .channel(`user:${user}`, { config: { private: true, broadcast: { ack: true, self: true } } })
  .on("broadcast", { event: "*" }, ({ event, payload, meta }) => say("broadcast", { event, payload, meta }))
  .subscribe((status) => say("private", { status }));

supabase
  .channel("user:somebody else", { config: { private: true } })
  .subscribe((status, error) => say("denied", { status, error: error?.message }));

supabase
  .channel("changes")
  .on("postgres_changes", { event: "*", schema: "public", table: "todos" }, (change) => say("change", change))
  .on("system", {}, ({ status, message }) => say("system", { status, message }))
  .subscribe((status) => say("changes", { status }));

const here = supabase.channel("presence", { config: { presence: { key: "me", enabled: true } } });
here
  .on("presence", { event: "sync" }, () => say("presence", { state: here.presenceState() }))
  .subscribe(async (status) => {
    if (status === "SUBSCRIBED") say("tracked", { answer: await here.track({ mood: "fine" }) });
  });

// What is said to it goes out as a broadcast; when nothing more is said, it ends.
let said = "";
process.stdin.setEncoding("utf8");
for await (const chunk of process.stdin) {
  said += chunk;
  for (let end = said.indexOf("\n"); end >= 0; end = said.indexOf("\n")) {
    const payload = JSON.parse(said.slice(0, end));
    said = said.slice(end + 1);
    const channel = supabase.getChannels().find(({ subTopic }) => subTopic === `user:${user}`);
    say("sent", { answer: await channel.send({ type: "broadcast", event: "from js", payload }) });
  }
}
await supabase.removeAllChannels();
// Its timers for joining again would keep it alive.
process.exit(0);
