import { lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { threadId } from "node:worker_threads";

// Processes that share a development gateway count themselves in a folder of their own, by files named for their processes and threads.
// The last one that ends stops the gateway, if one of them has started it. A process that was killed leaves its file behind;
// it no longer counts, since no process has its id.

const ownFile = `${process.pid}.${threadId}`;

/** Membership of this process among the users of a gateway. */
export interface Membership {
  /** The users' folder. Nobody but this user of the machine may write to it. */
  readonly folder: string;
  /** Ends it; once. So does the end of the process. */
  leave(this: void): void;
}

/** How many parts of this process use the gateway of a folder. */
const joined = new Map<string, number>();

/** Counts this process among the users of the gateway at an address. */
export function joinUsers(address: string): Membership {
  const user = process.getuid?.() ?? 0;
  const folder = join(tmpdir(), `stagedoor-dev-${user}-${address.replace(/[^A-Za-z0-9.-]/g, "_")}`);
  if (!joined.has(folder)) enterFirst(folder, user);
  joined.set(folder, (joined.get(folder) ?? 0) + 1);
  const leaveOnce = (): void => {
    process.removeListener("exit", leaveOnce);
    const left = (joined.get(folder) ?? 0) - 1;
    joined.set(folder, left);
    if (left > 0) return;
    joined.delete(folder);
    leave(folder);
  };
  process.once("exit", leaveOnce);
  return { folder, leave: leaveOnce };
}

function enterFirst(folder: string, user: number): void {
  for (let attempt = 1; ; attempt++) {
    try {
      enter(folder, user);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt === 10) throw error; // the last one has just left
    }
  }
}

function enter(folder: string, user: number): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const at = lstatSync(folder);
  if (!at.isDirectory() || (process.getuid && at.uid !== user)) {
    throw new Error(`${folder} is not a folder of this user; remove it, or set STAGEDOOR_ENDPOINT`);
  }
  writeFileSync(join(/* turbopackIgnore: true */ folder, ownFile), "");
}

/** Notes a gateway that this process has started. Where several begin together, only one of them gets the address. */
export function recordGateway(folder: string, pid: number, address: string): void {
  writeFileSync(join(folder, `gateway-${process.pid}.pid`), `${pid} ${address}`);
}

function leave(folder: string): void {
  rmSync(join(/* turbopackIgnore: true */ folder, ownFile), { force: true });
  if (othersLive(folder)) return;
  const files = readdirSync(folder).filter((name) => name.startsWith("gateway-"));
  const gateways = files.filter((name) => name.endsWith(".pid")).map((name) => readGateway(join(folder, name)));
  for (const name of files) rmSync(join(folder, name), { force: true });
  try {
    rmdirSync(folder);
  } catch {
    // Somebody enters: that one finds no gateway, and starts another.
  }
  for (const pid of gateways) {
    try {
      if (pid !== undefined) process.kill(pid, "SIGTERM");
    } catch {
      // It has ended by itself.
    }
  }
}

/** Whether others that count live. Files of those that do not are removed. */
function othersLive(folder: string): boolean {
  let live = false;
  for (const name of readdirSync(folder).filter((name) => /^\d+\.\d+$/.test(name))) {
    if (isAlive(Number.parseInt(name))) live = true;
    else rmSync(join(folder, name), { force: true });
  }
  return live;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The gateway's process, if that id is still its own where the system can tell. */
function readGateway(file: string): number | undefined {
  const [pid, address] = readFileSync(file, "utf8").split(" ");
  if (pid === undefined || address === undefined || !/^[1-9]\d*$/.test(pid)) return undefined;
  try {
    if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(address)) return undefined;
  } catch {
    if (process.platform === "linux") return undefined;
  }
  return Number(pid);
}
