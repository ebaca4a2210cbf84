// SPDX-License-Identifier: Apache-2.0
// The page: which player plays what for whom, and what came of it in plain words.
import {startDash, startHls, startShaka} from './players.js';
import {watch} from './watch.js';

const WAYS = [
  {id: 'shaka-cenc', player: 'shaka-player', what: 'DASH, cenc', start: startShaka, source: 'media/cenc/manifest.mpd'},
  {id: 'shaka-cbcs', player: 'shaka-player', what: 'DASH, cbcs', start: startShaka, source: 'media/cbcs/manifest.mpd'},
  {id: 'dash-cenc', player: 'dash.js', what: 'DASH, cenc', start: startDash, source: 'media/cenc/manifest.mpd'},
  {id: 'dash-cbcs', player: 'dash.js', what: 'DASH, cbcs', start: startDash, source: 'media/cbcs/manifest.mpd'},
  {id: 'hls-aes128', player: 'hls.js', what: 'HLS AES-128', start: startHls, source: 'media/aes128/index.m3u8'},
];
const VIEWERS = [
  {id: 'entitled', name: 'entitled', means: 'A token of tenant “demo” for these contents goes with the request for a key.'},
  {id: 'stranger', name: 'another tenant’s token', means: 'A valid token, signed by tenant “rival” for contents of the same names.'},
  {id: 'nobody', name: 'no token', means: 'The request for a key carries nothing.'},
];
const SCRIPTS = ['lib/shaka-player.js', 'lib/dash.js', 'lib/hls.js'];
const EXCHANGES = ['cenc', 'cbcs', 'period-1', 'period-2'];
const MOST_EVENTS = 40;

const at = (id) => document.getElementById(id);
const video = at('video');
let settings, way = null, viewer = VIEWERS[0], running = null, turn = 0, failure = null;

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function json(path) {
  const answer = await fetch(path, {cache: 'no-store'});
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return answer.json();
}

// -- playing -----------------------------------------------------------------------------------------

async function play(chosen) {
  const mine = ++turn;
  way = chosen;
  failure = null;
  mark('ways', way.id, 'aria-pressed');
  await running?.stop();
  if (mine !== turn) return;
  running = null;
  video.removeAttribute('src');
  video.load();
  const options = {
    token: settings.tokens[viewer.id] ?? null,
    failed: (words) => mine === turn && fail(words),
  };
  const started = await chosen.start(video, chosen.source, options);
  if (mine !== turn) {
    started.stop();
    return;
  }
  running = started;
  video.play().catch(() => {}); // until there is something to play
}

video.addEventListener('loadeddata', () => video.play().catch(() => {}));
video.addEventListener('error', () => video.error && video.src && fail(`video element: ${video.error.message}`));

function fail(words) {
  if (!failure) {
    failure = words;
    tell(`The player gave up: ${words}.`, 'bad');
  }
}

function look() {
  const frames = video.getVideoPlaybackQuality().totalVideoFrames;
  at('frames').textContent = frames;
  at('picture').textContent = video.videoWidth && frames ? `${video.videoWidth} × ${video.videoHeight}` : 'none';
  at('position').textContent = `${video.currentTime.toFixed(1)} s`;
  at('state').textContent = state(frames);
  at('curtain').hidden = frames > 0;
  at('curtain').textContent = !way ? 'Choose a player above.' : failure ? 'No key, no picture.' : 'Waiting for the key …';
  const outcome = at('outcome');
  outcome.hidden = !way || !(failure || frames);
  outcome.className = frames && !failure ? 'good' : 'bad';
  outcome.textContent = failure ?? `${way?.player} plays: the key fits.`;
}

function state(frames) {
  if (!way) return 'idle';
  if (failure) return 'failed';
  if (!frames) return 'waiting';
  return video.ended ? 'ended' : video.paused ? 'paused' : 'playing';
}

// -- what happened -----------------------------------------------------------------------------------

function tell(words, className) {
  const line = element('li', '');
  line.append(element('time', clock(Date.now())), element('span', words, className));
  at('events').querySelector('.quiet')?.remove();
  at('events').prepend(line);
  while (at('events').children.length > MOST_EVENTS) at('events').lastChild.remove();
}

function keys(number) {
  return number === 1 ? 'one key' : `${number} keys`;
}

function requested({method, path, status, asked, got}) {
  const what = method === 'POST' ? `asked for a licence with ${keys(asked)}` : `asked for the key ${path.split('/').pop()}`;
  const who = way?.player ?? 'A player';
  const answers = {
    200: `got ${keys(got)}`,
    0: 'got no answer',
    401: 'was refused: it has no token that holds here (401)',
    403: 'was refused: the token does not allow it (403)',
    404: 'was told that there is no such key (404)',
    429: 'was told to come back later (429)',
    503: 'was told that the service is not available (503)',
  };
  tell(`${who} ${what} and ${answers[status] ?? `got status ${status}`}.`, status === 200 ? 'good' : 'bad');
}

// -- tables ------------------------------------------------------------------------------------------

function row(cells, className) {
  const made = element('tr', '', className);
  for (const [text, cellClass] of cells) made.append(element('td', text, cellClass));
  return made;
}

async function showKeys() {
  const body = at('keys').tBodies[0];
  for (const name of EXCHANGES) {
    const exchange = await json(`media/exchange/${name}.json`);
    for (const key of exchange.keys) {
      const systems = exchange.systems.filter((system) => system.kid === key.kid).map((system) => system.system ?? system.system_id);
      const period = exchange.periods?.[0]?.index;
      body.append(row([
        [exchange.content_id], [period ? `period ${period}` : key.track_types.join(', ')], [key.kid, 'kid'],
        [name.startsWith('period') ? 'AES-128' : key.scheme], [key.fingerprint, 'kid'], [[...new Set(systems)].join(', ')],
      ]));
    }
  }
}

async function showAudit() {
  try {
    const audit = await json('data/audit.json');
    at('audit').tBodies[0].replaceChildren(...audit.rows.map(auditRow));
    const away = audit.turned_away.map((t) =>
      `${t.count} × ${t.status} for ${t.tenant ? `tenant ${t.tenant}` : 'no tenant'}: ${t.reason}, last at ${clock(t.last_at)}`);
    at('turned-away').replaceChildren(...(away.length ? away : ['none so far']).map((words) => element('li', words)));
    at('audit-age').textContent = `read at ${clock(audit.read_at)}`;
  } catch (error) {
    at('audit-age').textContent = `which can’t be read now (${error.message})`;
  }
}

function auditRow(r) {
  const what = {
    release: `${keys(r.keys)} to a packager, ${r.made ? `${r.made === r.keys ? '' : `${r.made} of them `}new` : 'as before'} (SPEKE ${r.speke_version})`,
    delivery: `${keys(r.keys)} to a player${r.detail ? `: ${r.detail}` : ''}`,
    refusal: `refused with ${r.status}${r.detail ? `: ${r.detail}` : ''}`,
  };
  return row([
    [clock(r.at)], [r.event], [r.client ?? (r.event === 'delivery' ? 'a player' : '')], [r.content_id ?? ''], [what[r.event]],
  ], r.event === 'refusal' ? 'bad' : 'good');
}

function clock(time) {
  return new Date(time).toTimeString().slice(0, 8);
}

// -- switches ----------------------------------------------------------------------------------------

function mark(group, id, attribute) {
  for (const button of at(group).children) button.setAttribute(attribute, String(button.dataset.id === id));
}

function choose(chosen) {
  viewer = chosen;
  mark('viewers', viewer.id, 'aria-checked');
  at('viewer-means').textContent = viewer.means;
  if (way) play(way);
}

function buttons() {
  for (const one of WAYS) {
    const button = element('button', one.player);
    button.dataset.id = one.id;
    button.setAttribute('aria-pressed', 'false');
    button.append(element('small', one.what));
    button.addEventListener('click', () => play(one));
    at('ways').append(button);
  }
  for (const one of VIEWERS) {
    const button = element('button', one.name);
    button.dataset.id = one.id;
    button.setAttribute('role', 'radio');
    button.addEventListener('click', () => choose(one));
    at('viewers').append(button);
  }
  choose(viewer);
}

// The players come after watch(): they keep what they find of fetch when they are loaded.
function load(script) {
  return new Promise((done, failed) => {
    const made = document.createElement('script');
    made.src = script;
    made.onload = done;
    made.onerror = () => failed(new Error(`${script} is not there`));
    document.head.append(made);
  });
}

settings = await json('data/demo.json');
watch(new URL(settings.door, location.href).href, requested);
await Promise.all(SCRIPTS.map(load));
at('disable').textContent = settings.commands.disable;
at('enable').textContent = settings.commands.enable;
buttons();
look();
setInterval(look, 200);
await Promise.all([showKeys(), showAudit()]);
setInterval(showAudit, 2000);
document.body.dataset.ready = 'true';
