import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

// The packages as npm would publish them, and a project of a user who has installed them.

const root = fileURLToPath(new URL("../..", import.meta.url));
const folders = ["clients/js", "runner-js", "clients/react"];

/** What else such a project needs, from the repository's own installation: nothing is fetched. */
const installed = [
  ...["ws", "@bufbuild/protobuf", "@hono/node-server", "hono", "react", "react-dom", "scheduler"],
  ...["@types/node", "undici-types", "@types/react", "csstype"],
];

/** A file of the repository's own installation. */
export const modules = (path: string): string => join(root, "node_modules", path);

/** A command of it. */
export const tool = (name: string): string => modules(`.bin/${name}`);

/** A package as `npm pack` describes it. */
export interface Packed {
  readonly name: string;
  readonly file: string;
  /** Bytes of the tarball. */
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

export interface Project {
  readonly folder: string;
  readonly packages: readonly Packed[];
  /** Writes a file of the project. */
  write(name: string, text: string): Promise<string>;
  /** Reads one, such as `node_modules/stagedoor/README.md`. */
  read(name: string): Promise<string>;
  remove(): Promise<void>;
}

/** Runs a command to its end. Its output, or an error that has it. */
export async function command(file: string, args: readonly string[], cwd: string = root): Promise<string> {
  const env = { ...process.env, NODE_ENV: undefined, FORCE_COLOR: undefined, NO_COLOR: "1" };
  const { stdout, stderr } = await promisify(execFile)(file, args, { cwd, env, maxBuffer: 1 << 24 }).catch((error: Error & { stdout: string; stderr: string }) => {
    throw new Error(`${file} ${args.join(" ")}:\n${error.stdout}${error.stderr}`);
  });
  return stdout + (stdout === "" ? stderr : "");
}

/** Builds and packs the packages, and installs them in a project of their own. */
export async function createProject(): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "stagedoor-pack-"));
  const app = join(folder, "app");
  await mkdir(app);
  await writeFile(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  const workspaces = folders.flatMap((name) => ["-w", name]);
  await command("npm", ["run", "build", ...workspaces]);
  // Without scripts: `prepack` would empty the folders that other tests may be reading.
  const described = await command("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder, ...workspaces]);
  const packages = (JSON.parse(described) as (Omit<Packed, "file"> & { filename: string })[]).map((packed) => ({ ...packed, file: join(folder, packed.filename) }));
  const needed = installed.map(modules);
  await command("npm", ["install", "--offline", "--install-links", "--ignore-scripts", "--no-audit", "--no-fund", ...packages.map(({ file }) => file), ...needed], app);
  return {
    folder: app,
    packages,
    write: async (name, text) => {
      const path = join(app, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      return path;
    },
    read: (name) => readFile(join(app, name), "utf8"),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
