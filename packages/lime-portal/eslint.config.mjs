import next from "@next/eslint-plugin-next";
import a11y from "eslint-plugin-jsx-a11y";
import hooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  globalIgnores([".next/", "out/", "node_modules/", "next-env.d.ts", "contract/generated/"]),
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // React's event handlers may be async: what they throw is caught inside `useAction`.
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // A type says "these fields" whichever of the two words declares it.
      "@typescript-eslint/consistent-type-definitions": "off",
      // The page's policy forbids inline styles, and nothing may bypass React's escaping.
      "no-restricted-syntax": [
        "error",
        { selector: "JSXAttribute[name.name='style']", message: "The CSP forbids inline styles; use a class." },
        {
          selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
          message: "Text from others is shown as text.",
        },
      ],
    },
  },
  {
    // Indices into arrays of a fixed length: the compiler cannot see what the algorithm says.
    files: ["src/pow/*.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
  {
    files: ["**/*.tsx"],
    extends: [a11y.flatConfigs.strict, hooks.configs.flat["recommended-latest"]],
    // On our own `Field`, which says when: only where a dialog or page is about nothing else.
    rules: { "jsx-a11y/no-autofocus": ["error", { ignoreNonDOM: true }] },
  },
  { files: ["src/**/*.{ts,tsx}"], plugins: { "@next/next": next }, rules: next.configs["core-web-vitals"].rules },
);
