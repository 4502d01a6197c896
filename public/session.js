// Who is looking. In production Supabase Auth signs people in; the local stack prints an address that carries a
// token, which is kept for this tab only.

const { createClient } = window.supabase;
const KEPT = "milepost.access_token";

// Many pages that lose their connection at once must not come back at once.
const reconnectAfterMs = (tries) => Math.min(30_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2);

/** The token of the printed address, taken out of it so that it is neither bookmarked nor shared. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1));
  // With a refresh token it is Supabase Auth that sends somebody back, and supabase-js that reads it.
  if (given.has("access_token") && !given.has("refresh_token")) {
    sessionStorage.setItem(KEPT, given.get("access_token"));
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEPT);
}

function claims(token) {
  const body = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(body), (char) => char.charCodeAt(0))));
}

/**
 * @param {{supabase_url: string, publishable_key: string}} config
 * @param {(who: {userId: string, signOut: () => void} | null) => void} onChange now, and whenever somebody signs in or out
 * @returns the supabase-js client, and `auth` where people can sign in (not on the local stack)
 */
export function startSession(config, onChange) {
  const realtime = { reconnectAfterMs };
  const token = takeToken();
  const isLocal = new URL(config.supabase_url).origin === location.origin;

  if (token || isLocal) {
    const client = createClient(config.supabase_url, config.publishable_key, { accessToken: async () => token, realtime });
    const signOut = () => {
      sessionStorage.removeItem(KEPT);
      onChange(null);
    };
    let userId = null;
    try {
      userId = token && claims(token).sub;
    } catch {
      // What is no token signs nobody in.
    }
    onChange(userId ? { userId, signOut } : null);
    return { client, auth: null };
  }

  const client = createClient(config.supabase_url, config.publishable_key, { realtime });
  const signOut = () => client.auth.signOut({ scope: "local" });
  let shown;
  client.auth.onAuthStateChange((_, session) => {
    const userId = session?.user.id ?? null;
    // A renewed token changes nothing here: supabase-js passes it on.
    if (userId === shown) return;
    shown = userId;
    // Nothing of supabase-js may be awaited inside this callback.
    setTimeout(() => onChange(userId && { userId, signOut }));
  });
  return { client, auth: client.auth };
}
