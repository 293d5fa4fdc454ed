import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Packages are tested from their sources, whatever is in their dist folders.
export default defineConfig({
  resolve: {
    alias: [
      { find: "#websocket", replacement: at("clients/js/src/socket/node.ts") },
      { find: /^@stagedoor\/client$/, replacement: at("clients/js/src/index.ts") },
      { find: /^@stagedoor\/client\/values$/, replacement: at("clients/js/src/values/index.ts") },
      { find: /^@stagedoor\/react$/, replacement: at("clients/react/src/index.ts") },
      { find: /^stagedoor$/, replacement: at("runner-js/src/index.ts") },
      { find: /^stagedoor\/client$/, replacement: at("runner-js/src/client.ts") },
      { find: /^stagedoor\/test$/, replacement: at("runner-js/src/test/index.ts") },
    ],
  },
  test: {
    include: ["clients/*/test/**/*.test.{ts,tsx}", "runner-js/test/**/*.test.ts", "examples/*/test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    sequence: { shuffle: true },
  },
});
