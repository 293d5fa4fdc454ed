import js from "@eslint/js";
import tseslint from "typescript-eslint";

// A message's path is the import order: each folder of a package may import those before it, and none behind it.
const layers = {
  "clients/js/src": ["gen", "values", "wire", "socket", "session"],
  "runner-js/src": ["gen", "wire", "link", "state", "actor", "host", "registry", "test"],
};

function nothingUpwards([root, folders]) {
  return folders.map((folder, i) => ({
    files: [`${root}/${folder}/**`],
    rules: {
      "no-restricted-imports": ["error", { patterns: folders.slice(i + 1).map((later) => ({ group: [`../${later}/*`, `../../${later}/*`], message: `${later}/ stands above ${folder}/` })) }],
    },
  }));
}

export default tseslint.config(
  { ignores: ["**/dist/", "**/node_modules/", "**/src/gen/", "**/.next/", "**/test/reference/"] },
  js.configs.recommended,
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ["vitest.config.ts"] }, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "max-lines": ["error", { max: 500, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 100, skipBlankLines: true, skipComments: true }],
    },
  },
  ...Object.entries(layers).flatMap(nothingUpwards),
  {
    // Tests call what is loosely typed on purpose, and a describe is one long function.
    files: ["**/test/**"],
    rules: {
      "max-lines-per-function": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/require-await": "off",
    },
  },
);
