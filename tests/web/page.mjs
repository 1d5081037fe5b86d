// The page in Chromium: node page.mjs URL CHROMIUM FOLDER_FOR_SCREENSHOTS [prompts]     prompts: the model takes them
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, executablePath, folder, prompts] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
let done = 0;

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on("console", message => message.type() === "error" && page.problems.push(message.text()));
  page.on("pageerror", error => page.problems.push(String(error)));
  page.on("request", request => !request.url().startsWith(url) && !/^(data|blob):/.test(request.url()) && page.problems.push(request.url()));
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById("engine").textContent);
  return page;
}

async function test(name, options, run) {
  const page = await open(options);
  await run(page);
  assert.deepEqual(page.problems, [], `${name}: ${page.problems}`);
  await page.context().close();
  done++;
  console.log(`ok ${name}`);
}

async function finish() {
  await browser.close();
  console.log(`web: ${done} tests of the page in Chromium passed`);
  process.exit();
}

const draw = async (page, count) => {
  await page.click("#draw");
  await page.waitForFunction(n => document.querySelectorAll(".card.done").length === n, count);
};
const facts = (page, card) => page.evaluate(i => {
  const list = document.querySelectorAll(".card.done")[i].querySelector("dl");
  return Object.fromEntries([...list.querySelectorAll("dt")].map(term => [term.textContent, term.nextElementSibling.textContent]));
}, card);
const sources = page => page.$$eval(".card.done img", images => images.map(image => image.src));

if (prompts) {
  await test("takes any prompt in the place of a class, and remembers it", {}, async page => {
    assert.equal(await page.textContent("#class-label"), "Prompt");
    assert.equal(await page.$$eval("#classes option", options => options.length), 0);
    await page.click("#draw");
    await page.waitForFunction(() => document.getElementById("status").classList.contains("bad")); // nothing was said to draw
    page.problems.length = 0; // the browser's own line about the answer 400
    const prompt = 'a small "red" star, 日本';
    await page.fill("#class", prompt);
    await page.fill("#count", "2");
    await draw(page, 2);
    const [before, first] = [await sources(page), await facts(page, 0)];
    assert.equal(first.prompt, prompt);
    await page.fill("#class", "a moon");
    await draw(page, 4);
    await page.locator(".card .again").nth(2).click();
    assert.equal(await page.inputValue("#class"), prompt);
    await draw(page, 5);
    assert.equal((await sources(page))[0], before[0]);
    await page.screenshot({ path: `${folder}/prompts.png` });
    await page.locator(".card .repaint").first().click();
    await page.click("#lower");
    await page.click("#repaint");
    await page.waitForFunction(() => document.querySelectorAll(".card.done").length === 6);
  });
  await finish();
}

await test("draws, grows, shows settings from the PNG, and draws again with a seed", {}, async page => {
  await page.fill("#class", "star");
  await page.fill("#count", "3");
  await page.fill("#cfg", "3");
  await page.evaluate(() => {
    window.seen = new Set();
    new MutationObserver(() => document.querySelectorAll(".card:not(.done) progress").forEach(bar => window.seen.add(bar.value)))
      .observe(document.getElementById("gallery"), { subtree: true, attributes: true, childList: true });
  });
  await draw(page, 3);
  assert.ok(await page.evaluate(() => window.seen.size) >= 3, "no partial images were seen");
  const first = await facts(page, 0);
  assert.equal(first.className, "star");
  assert.match(first.settings, /--cfg-scale 3 /);
  const before = await sources(page);
  await page.fill("#cfg", "1");
  await page.locator(".card .again").first().click();
  assert.equal(await page.inputValue("#seed"), first.seed);
  assert.equal(await page.inputValue("#cfg"), "3");
  await draw(page, 4);
  assert.equal((await sources(page))[0], before[0]);
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator(".card .download").first().click()]);
  assert.match(download.suggestedFilename(), /^star-\d+-0\.png$/);
  await page.screenshot({ path: `${folder}/light.png` });
});

await test("compares two settings side by side, in the dark", { colorScheme: "dark" }, async page => {
  await page.check("#compare");
  await page.fill("#count", "2");
  await page.fill("#seed", "5");
  await draw(page, 4);
  assert.match((await facts(page, 0)).settings, /--cfg-scale 2 /);
  assert.match((await facts(page, 1)).settings, /--cfg-scale 1 /);
  assert.equal((await facts(page, 0)).seed, "5");
  await page.screenshot({ path: `${folder}/dark-compare.png` });
});

await test("repaints under a mask", {}, async page => {
  await page.fill("#count", "1");
  await page.fill("#seed", "3");
  await draw(page, 1);
  await page.locator(".card .repaint").first().click();
  const box = await page.locator("#mask").boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.7);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, box.y + box.height * 0.8, { steps: 8 });
  await page.mouse.up();
  await page.screenshot({ path: `${folder}/repaint.png` });
  await page.click("#repaint");
  await page.waitForFunction(() => document.querySelectorAll(".card.done").length === 2);
  const [edited, original] = await sources(page);
  assert.notEqual(edited, original);
});

await test("works by keyboard alone, and says what is wrong", {}, async page => {
  await page.focus("#class");
  await page.keyboard.type("no such class");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("no class"));
  page.problems.length = 0; // the browser's own line about the answer 400
  await page.keyboard.press("Control+A");
  await page.keyboard.type("heart");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll(".card.done").length === 4);
  await page.locator(".card .repaint").first().focus();
  await page.keyboard.press("Enter");
  await page.focus("#mask");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press(" ");
  await page.focus("#repaint");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll(".card.done").length === 8);
});

await test("names everything for a screen reader", {}, async page => {
  await draw(page, 4);
  const nameless = await page.evaluate(() => [...document.querySelectorAll("input, select, button, a, img, canvas, progress")]
    .filter(e => e.checkVisibility() && !(e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim() || e.hasAttribute("alt")))
    .map(e => e.outerHTML));
  assert.deepEqual(nameless, []);
  assert.equal(await page.getAttribute("#status", "aria-live"), "polite");
  assert.match(await page.locator(".card.done img").first().getAttribute("alt"), /seed \d+/);
});

await test("fits a phone", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: "dark" }, async page => {
  await draw(page, 4);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "it scrolls sideways");
  await page.screenshot({ path: `${folder}/phone.png`, fullPage: true });
  await page.locator(".card .repaint").first().click();
  await page.screenshot({ path: `${folder}/phone-repaint.png` });
});

await finish();
