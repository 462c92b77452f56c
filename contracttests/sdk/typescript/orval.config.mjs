// What orval generates, from the document that the environment names.
export default {
  mailstack: {
    input: process.env.DOCUMENT,
    output: {
      target: "src/api.ts",
      client: "fetch",
      baseUrl: { runtime: "baseUrl()", imports: [{ name: "baseUrl", importPath: "./orval-target.js" }] },
    },
  },
};
