// Builds what the gateway serves and what npm ships, keeps the size budgets, and writes version and hashes beside the files.
//   node build.mjs           build
//   node build.mjs --check   build into dist/ only and compare with what is committed; exit 1 when they differ
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const root = dirname(fileURLToPath(import.meta.url));
const served = join(root, "..", "consentryd", "gateway", "sdk");
const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));

/** Most bytes after minify and gzip. */
const BUDGET = { "core.js": 4096, "sdk.js": 6144, "stub.js": 512, "signals.js": 2048 };
const SCRIPTS = { "core.js": "core", "sdk.js": "sdk", "stub.js": "stub", "signals.js": "signals" };
const MODULES = { "index.mjs": "index", "node.mjs": "node", "react_native.mjs": "react_native" };

/** The platform's names, which browsers use for nothing: shortened in scripts, where nobody brings a platform of his own. */
const PLATFORM = "after|beacon|bytes|hide|later|listen|lock|send|show|stored";

/** The short names that gzip likes best, found by trying; a new one is chosen by esbuild. */
const NAMES = {
  _add: "R", _all: "t", _alone: "L", _campaign: "l", _clear: "$", _event: "s", _kept: "y", _key: "e", _leave: "D", _load: "v",
  _lose: "H", _moved: "k", _of: "o", _options: "i", _purge: "_", _put: "f", _raw: "u", _read: "h", _ready: "b", _resume: "w", _save: "d",
  _signals: "c", _some: "a", _spool: "M", _stated: "J", _take: "O", _time: "p", _write: "m", after: "I", beacon: "T", bytes: "A",
  hide: "X", later: "P", listen: "S", lock: "r", send: "Y", show: "g", stored: "n",
};

/** The same of variables: the first is the one used most. */
const VARIABLES = "estarinlyodhpcu_fPbgSmHv$kYwIORTLAJMDUWBNZKXqVjxQEFGzC";
const inTurn = { get: (place) => VARIABLES[place] || "$" + place, reset() {}, consider() {}, sort() {} };

const common = {
  bundle: true,
  minifySyntax: true,
  write: false,
  target: "es2021",
  charset: "utf8",
  legalComments: "none",
  mangleProps: /^_[a-z]/,
  mangleCache: NAMES,
  tsconfigRaw: "{}",
  absWorkingDir: root,
};

const compile = async (name, entry, extra) => {
  const { outputFiles } = await build({ ...common, ...extra, entryPoints: [`src/entry/${entry}.ts`], outfile: name });
  return outputFiles[0].text;
};

/** esbuild bundles, terser names: that is worth 7 % after gzip. */
const squeeze = async (code) => {
  const { code: small } = await minify(code, { ecma: 2020, compress: { passes: 3, unsafe_arrows: true, inline: 2 }, mangle: { nth_identifier: inTurn }, format: { comments: false } });
  return Buffer.from(small);
};

/** What `src/outbox.ts` leaves out. */
const core = (name) => ({ CORE: String(name == "core.js") });

const scripts = async () => {
  const files = {};
  for (const [name, entry] of Object.entries(SCRIPTS)) {
    files[name] = await squeeze(await compile(name, entry, { format: "iife", define: core(name), mangleProps: new RegExp(`^(_[a-z]|(${PLATFORM})$)`) }));
  }
  return files;
};

const measure = (files) =>
  Object.fromEntries(
    Object.entries(files).map(([name, bytes]) => [
      name,
      {
        bytes: bytes.length,
        gzip: gzipSync(bytes, { level: 9 }).length,
        integrity: "sha384-" + createHash("sha384").update(bytes).digest("base64"),
      },
    ]),
  );

const report = (sizes) => {
  let over = false;
  for (const [name, { bytes, gzip }] of Object.entries(sizes)) {
    console.log(`${name.padEnd(12)} ${String(bytes).padStart(6)} bytes  ${String(gzip).padStart(5)} gzip  of ${BUDGET[name]}`);
    over ||= gzip > BUDGET[name];
  }
  return over;
};

const stale = async (files) => {
  const names = [];
  for (const [name, bytes] of Object.entries(files)) {
    const kept = await readFile(join(served, name)).catch(() => Buffer.alloc(0));
    if (!kept.equals(bytes)) names.push(name);
  }
  return names;
};

const write = async (folder, contents) => {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(folder, name), bytes);
};

const source = await readFile(join(root, "src", "version.ts"), "utf8");
if (!source.includes(`"${version}"`)) throw new Error(`src/version.ts is not at ${version}`);

const files = await scripts();
const sizes = measure(files);
const over = report(sizes);
files["manifest.json"] = Buffer.from(JSON.stringify({ version, files: sizes }, null, 2) + "\n");

if (process.argv.includes("--check")) {
  const names = await stale(files);
  if (names.length) console.error(`not built from this source: ${names.join(", ")}; run npm run build`);
  process.exitCode = names.length || over ? 1 : 0;
} else {
  await write(served, files);
  process.exitCode = over ? 1 : 0;
}
if (over) console.error("over budget");
for (const [name, entry] of Object.entries(MODULES)) files[name] = await compile(name, entry, { format: "esm", define: core(name) });
await write(join(root, "dist"), files);
