import type { NextConfig } from "next";

const config: NextConfig = {
  // Static files only: lime-server serves them, and no Node process runs beside it.
  output: "export",
  trailingSlash: true,
  reactStrictMode: true,
  poweredByHeader: false,
  images: { unoptimized: true },
  // Fixed, so that the same sources give the same bytes.
  generateBuildId: () => "lime-portal",
  // The pages of one machine's checkout must not depend on what lies in the folders above it.
  turbopack: { root: import.meta.dirname },
};

export default config;
