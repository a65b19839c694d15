// A headless browser that does what its standard input says, one line of JSON after the other:
// [method, ...arguments] of playwright's page, or of what hangs on it, "keyboard.press"; "open" is a
// fresh page with other options, "told" what its console said and which addresses it asked for.
// Usage: node browser.mjs FOLDER, which holds a node_modules.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const { chromium: playwright } = require("playwright-core");

const given = process.env.CHROMIUM;
const options = { executablePath: given, args: ["--no-sandbox"], headless: true };
if (!given) {
  const bundled = require("@sparticuz/chromium");
  bundled.setGraphicsMode = false;
  options.executablePath = await bundled.executablePath();
  options.args = bundled.args.filter((flag) => !["--single-process", "--no-zygote"].includes(flag));
}
const browser = await playwright.launch(options);
let context = null, page = null, told = [];

const commands = {
  async open(more) {
    await context?.close();
    context = await browser.newContext(more);
    page = await context.newPage();
    told = [];
    page.on("console", (message) => told.push(message.text()));
    page.on("pageerror", (error) => told.push(String(error)));
    page.on("request", (asked) => told.push(asked.url()));
  },
  told: () => told,
};

for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...given] = JSON.parse(line);
  let answer;
  try {
    const way = method.split("."), last = way.pop();
    const owner = way.reduce((at, name) => at[name], page);
    const value = await (method in commands ? commands[method](...given) : owner[last](...given));
    const plain = value !== undefined && (typeof value !== "object" || Array.isArray(value));
    answer = { value: plain ? value : null };
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
