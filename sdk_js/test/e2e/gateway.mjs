// The real gateway in a process of its own, and what its commands print.
//   GATEWAY_PYTHON   a Python that has the gateway; without it these tests are skipped
import { execFile, spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { missing, until } from "./world.mjs";

const PYTHON = process.env.GATEWAY_PYTHON;
const MAIN = ["-c", "import sys; from consentryd.gateway.cli import main; sys.exit(main())"];
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export const skip = missing || (!PYTHON && "GATEWAY_PYTHON names no Python with the gateway");
// the gateway drops headless browsers as bots
export const PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

export const start = (args, options) => spawn(PYTHON, [...MAIN, ...args], { cwd: ROOT, ...options });
export const run = async (...args) => (await promisify(execFile)(PYTHON, [...MAIN, ...args], { cwd: ROOT, maxBuffer: 1 << 26 })).stdout;
const eventsOf = async (config) => JSON.parse(await run("events", "--config", config, "--last", "2000", "--json"));

/** How many events came in. Reading them takes a second of computing, asking whether there are more a millisecond. */
const counted = (url) => fetch(url + "/metrics").then((answer) => answer.text(), () => "").then((page) => page.match(/^consentry_events_total.* [1-9].*$/gm)?.join());

/** The stored events of that name, once there are so many. */
export const namedOnce = async (url, config, name, least) => {
  let [seen, rows] = ["", []];
  await until(async () => {
    const now = await counted(url);
    if (now === seen) return false;
    seen = now;
    rows = (await eventsOf(config)).filter(({ event }) => event === name);
    return rows.length >= least;
  }, `${least} of ${name}`);
  return rows;
};

export const stop = async (child) => {
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  await ended;
};

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

export class RealGateway {
  async start() {
    this.process = start(["serve", "--config", this.config, "--port", String(this.port)], { stdio: "ignore" });
    await until(() => fetch(this.url + "/readyz").then(({ ok }) => ok, () => false), "the start of the gateway");
  }

  stop() {
    return stop(this.process);
  }

  named(name, least) {
    return namedOnce(this.url, this.config, name, least);
  }

  static async open() {
    const made = new RealGateway();
    made.directory = await mkdtemp(join(tmpdir(), "consentry-sdk-"));
    made.config = join(made.directory, "consentry.toml");
    made.keys = JSON.parse(await run("init", made.directory, "--json"));
    made.port = await freePort();
    made.url = `http://127.0.0.1:${made.port}`;
    await made.start();
    return made;
  }
}
