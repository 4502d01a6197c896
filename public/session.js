// Who is looking. In production Supabase Auth signs people in; the local stack prints an address that carries a
// token, which is kept for this tab only.

const { createClient } = window.supabase;
const KEPT = "milepost.access_token";
const WANTED = "milepost.wanted"; // where somebody was going who had to sign in first

// Many pages that lose their connection at once must not come back at once.
const reconnectAfterMs = (tries) => Math.min(30_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2);

const USED = "That link has expired or was used already. Ask for a new one.";
const WORDS = {
  invalid_credentials: "The email or the password is not right.",
  email_not_confirmed: "This address is not confirmed yet. Open the link in the email that asked for it.",
  email_address_invalid: "That is not an email address that can receive a link.",
  validation_failed: "That is not a way to sign in here. Ask whoever set this page up.",
  otp_expired: USED,
  flow_state_not_found: USED,
  flow_state_expired: USED,
  over_email_send_rate_limit: "Too many emails were asked for. Wait a few minutes, then try again.",
  over_request_rate_limit: "Too many tries. Wait a few minutes, then try again.",
  user_banned: "This account is closed. Ask an admin of your team.",
  signup_disabled: "There is no account for you yet. Ask an admin of your team for an invitation.",
  provider_disabled: "That is not a way to sign in here. Ask whoever set this page up.",
  access_denied: "You were not signed in: it was canceled, or refused on the other side.",
};

/** What went wrong, for the person in front of the page. */
function inWords({ code, name, message }) {
  if (name === "AuthRetryableFetchError") return "The sign-in service cannot be reached. Try again in a moment.";
  return WORDS[code] ?? `That did not work: ${message || "no reason was given"}.`;
}

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

/** What Supabase Auth has to say of a failed link or provider, taken out of the address. */
function takeTrouble() {
  const given = new URLSearchParams(`${location.hash.slice(1)}&${location.search.slice(1)}`);
  if (!given.has("error") && !given.has("error_code")) return null;
  history.replaceState(null, "", location.pathname);
  const code = [given.get("error_code"), given.get("error")].find((each) => each in WORDS);
  return inWords({ code, message: given.get("error_description") });
}

function claims(token) {
  const body = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(body), (char) => char.charCodeAt(0))));
}

/**
 * @param {{supabase_url: string, publishable_key: string, auth_providers?: string[]}} config
 * @param {(who: {userId: string, signOut: () => void} | null, why?: string | null) => void} onChange now, and whenever
 *   somebody signs in or out; `why` says why nobody is signed in, where that was not asked for
 * @returns {{client: object, auth: Auth | null}} the supabase-js client, and the ways to sign in (none on the local stack)
 *
 * @typedef {object} Auth each way resolves to what went wrong, in words, or to null
 * @property {string[]} providers as Supabase Auth names them
 * @property {(email: string, password: string) => Promise<string | null>} withPassword
 * @property {(email: string) => Promise<string | null>} withLink
 * @property {(provider: string) => Promise<string | null>} withProvider leaves this page
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

  let trouble = takeTrouble();
  // The implicit flow: invitations, by which people get their account, know no other. supabase-js takes the tokens out of
  // the address at once.
  const client = createClient(config.supabase_url, config.publishable_key, { realtime, auth: { flowType: "implicit" } });
  let shown;
  let isLeaving = false;
  const signOut = () => {
    isLeaving = true;
    client.auth.signOut({ scope: "local" });
  };
  client.auth.onAuthStateChange((_, session) => {
    const userId = session?.user.id ?? null;
    // A renewed token changes nothing here: supabase-js passes it on.
    if (userId === shown) return;
    const hasEnded = shown && !userId && !isLeaving;
    shown = userId;
    isLeaving = false;
    const why = hasEnded ? "Your sign-in has ended. Sign in again." : trouble;
    trouble = null;
    if (userId) goOn();
    // Nothing of supabase-js may be awaited inside this callback.
    setTimeout(() => onChange(userId && { userId, signOut }, why));
  });
  return { client, auth: ways(client.auth, config.auth_providers ?? []) };
}

/** To where somebody was going before signing in. */
function goOn() {
  const wanted = localStorage.getItem(WANTED);
  localStorage.removeItem(WANTED);
  if (wanted?.startsWith("#/") && location.hash.length < 2) history.replaceState(null, "", location.pathname + wanted);
}

function ways(auth, providers) {
  const back = location.origin + location.pathname;
  const leave = () => localStorage.setItem(WANTED, location.hash);
  return {
    providers,
    async withPassword(email, password) {
      const { error } = await auth.signInWithPassword({ email, password });
      return error && inWords(error);
    },
    async withLink(email) {
      leave();
      const { error } = await auth.signInWithOtp({ email, options: { emailRedirectTo: back, shouldCreateUser: false } });
      // Who has no account is told what everybody is told: it is nobody's business who has one.
      return error && error.code !== "otp_disabled" && error.code !== "user_not_found" ? inWords(error) : null;
    },
    async withProvider(provider) {
      leave();
      const { error } = await auth.signInWithOAuth({ provider, options: { redirectTo: back } });
      return error && inWords(error);
    },
  };
}
