// SPDX-License-Identifier: Apache-2.0
// Drives Chromium on the demonstration's page: a command a line on standard input (JSON), an answer a
// line on standard output. The certificates that the browser trusts are those of $HOME/.pki/nssdb.
//
//     {"do": "open", "url": …}                           a new page, in a context of its own
//     {"do": "play", "way": …, "viewer": …, "frames": [n, …], "seconds": n, "pictures": [path, …]}
//                                                        until so many frames were decoded, each
//                                                        time with a picture of the video, or the
//                                                        player gave up
//     {"do": "shoot", "path": …}                         the whole page
//     {"do": "read", "selector": …}                      the text of a part of it
//     {"do": "close"}
//
// Answers are {"ok": …} or {"error": text}.
import {createRequire} from 'node:module';
import readline from 'node:readline';

const {chromium} = createRequire(process.env.PLAYWRIGHT)('playwright-core');
const FLAGS = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
];

const browser = await chromium.launch({executablePath: '/usr/bin/chromium', headless: true, chromiumSandbox: false, args: FLAGS});
let page = null, asked = [], console_ = [];

// What the browser itself counts, not what the page says.
function quality() {
  const video = document.querySelector('video');
  const {totalVideoFrames, droppedVideoFrames} = video.getVideoPlaybackQuality();
  return {
    frames: totalVideoFrames, dropped: droppedVideoFrames, position: video.currentTime,
    width: video.videoWidth, height: video.videoHeight,
    state: document.getElementById('state').textContent,
  };
}

async function open({url}) {
  await close();
  const context = await browser.newContext({viewport: {width: 1280, height: 900}});
  page = await context.newPage();
  page.setDefaultTimeout(15000);
  asked = [];
  console_ = [];
  page.on('request', (request) => asked.push(new URL(request.url()).origin));
  page.on('console', (message) => console_.push(message.text()));
  page.on('pageerror', (error) => console_.push(String(error)));
  await page.goto(url);
  await page.waitForSelector('body[data-ready]');
  return {title: await page.title()};
}

async function play({way, viewer, frames, seconds, pictures}) {
  await page.click(`#viewers [data-id="${viewer}"]`);
  await page.click(`#ways [data-id="${way}"]`);
  const deadline = Date.now() + seconds * 1000;
  let seen;
  for (let i = 0; i < frames.length; i++) {
    seen = await page.evaluate(quality);
    while (seen.frames < frames[i] && seen.state !== 'failed' && Date.now() < deadline) {
      await page.waitForTimeout(50);
      seen = await page.evaluate(quality);
    }
    await page.locator('video').screenshot({path: pictures[i]});
  }
  await page.waitForTimeout(250); // the page looks at the player five times a second
  return {
    ...seen, outcome: await page.textContent('#outcome'), events: await page.locator('#events li').allTextContents(),
    curtain: await page.locator('#curtain').isVisible(), origins: [...new Set(asked)], console: console_,
  };
}

async function shoot({path}) {
  await page.screenshot({path, fullPage: true});
  return {};
}

async function read({selector}) {
  return {text: await page.innerText(selector)};
}

async function close() {
  await page?.context().close();
  page = null;
  return {};
}

const commands = {open, play, shoot, read, close};
for await (const line of readline.createInterface({input: process.stdin})) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = {ok: await commands[command.do](command)};
  } catch (error) {
    answer = {error: String(error)};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
