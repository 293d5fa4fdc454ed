import { fileURLToPath } from "node:url";
import type { NextConfig } from "next";

const config: NextConfig = {
  distDir: "dist",
  turbopack: { root: fileURLToPath(new URL("../..", import.meta.url)) }, // the packages are linked from there
};

export default config;
