// A Supabase project for the sign-in: the local stack, with an Auth server before it that gives out real tokens. It
// plays what Supabase Auth answers (https://github.com/supabase/auth, openapi.yaml), no more than these tests ask.

import { createHmac, randomUUID } from "node:crypto";
import { createServer, request } from "node:http";
import { connect } from "node:net";

const CORS = { "access-control-allow-origin": "*", "access-control-allow-headers": "authorization, apikey, content-type, x-client-info, x-supabase-api-version" };

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class AuthServer {
  asked = []; // [method, path, body]
  refresh = new Map(); // refresh token -> user id
  failing = null; // [status, body] of the next answer that is not a redirect
  expiresInS = 3600;

  /** @param {{url: string, jwt_secret: string}} stack */
  constructor(stack) {
    this.stack = new URL(stack.url);
    this.secret = stack.jwt_secret;
    this.server = createServer((from, to) => (from.url.startsWith("/auth/v1/") ? this.#auth(from, to) : this.#pass(from, to)));
    this.server.on("upgrade", (from, socket, head) => {
      const onward = connect(this.stack.port, this.stack.hostname, () => {
        const lines = from.rawHeaders.flatMap((value, n) => (n % 2 ? [] : [`${value}: ${from.rawHeaders[n + 1]}`]));
        onward.write(`${from.method} ${from.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
        onward.write(head);
        socket.pipe(onward).pipe(socket);
      });
      for (const each of [socket, onward]) each.on("error", () => (socket.destroy(), onward.destroy()));
    });
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  /** A session as GoTrue hands it out: its access token is one that the stack accepts. */
  session(userId) {
    const now = Math.floor(Date.now() / 1000);
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: userId, aud: "authenticated", role: "authenticated", iat: now, exp: now + this.expiresInS, session_id: randomUUID() })}`;
    const refresh = randomUUID();
    this.refresh.set(refresh, userId);
    return {
      access_token: `${signed}.${createHmac("sha256", this.secret).update(signed).digest("base64url")}`,
      token_type: "bearer", expires_in: this.expiresInS, expires_at: now + this.expiresInS, refresh_token: refresh, user: this.#user(userId),
    };
  }

  /** What follows the # of an address that Supabase Auth sends somebody back to. */
  fragment(userId) {
    const { user: _, ...session } = this.session(userId);
    return new URLSearchParams(session).toString();
  }

  #user(id) {
    return { id, aud: "authenticated", role: "authenticated", email: "ada@example.org", app_metadata: {}, user_metadata: {}, identities: [], created_at: new Date(0).toISOString() };
  }

  async #auth(from, to) {
    const chunks = [];
    for await (const chunk of from) chunks.push(chunk);
    if (from.method === "OPTIONS") return to.writeHead(204, CORS).end();
    const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : null;
    const url = new URL(from.url, this.url);
    const path = url.pathname.replace("/auth/v1/", "");
    this.asked.push([from.method, path, body, url.searchParams]);
    if (path === "authorize") {
      const back = this.failing ? `error=access_denied&error_description=The+user+denied` : this.fragment(this.userId);
      this.failing = null;
      return to.writeHead(302, { location: `${url.searchParams.get("redirect_to")}#${back}` }).end();
    }
    const [status, said] = this.failing ?? this.#answer(path, body, url, from);
    this.failing = null;
    to.writeHead(status, { "content-type": "application/json", ...CORS }).end(said === null ? "" : JSON.stringify(said));
  }

  #answer(path, body, url, from) {
    if (path === "token" && url.searchParams.get("grant_type") === "password") {
      if (body.password !== "correct horse") return [400, { code: "invalid_credentials", error_code: "invalid_credentials", msg: "Invalid login credentials" }];
      return [200, this.session(this.userId)];
    }
    if (path === "token") {
      const userId = this.refresh.get(body.refresh_token);
      this.refresh.delete(body.refresh_token);
      this.expiresInS = 3600;
      return userId ? [200, this.session(userId)] : [400, { code: "refresh_token_not_found", error_code: "refresh_token_not_found", msg: "Invalid Refresh Token" }];
    }
    if (path === "user") return [200, this.#user(JSON.parse(Buffer.from(from.headers.authorization.split(".")[1], "base64url")).sub)];
    if (path === "otp") return [200, {}];
    if (path === "logout") return [204, null];
    return [404, { code: "not_found", msg: path }];
  }

  #pass(from, to) {
    const onward = request({ host: this.stack.hostname, port: this.stack.port, path: from.url, method: from.method, headers: { ...from.headers, host: this.stack.host } }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers);
      answer.pipe(to);
    });
    onward.on("error", () => to.destroy());
    from.pipe(onward);
  }
}
