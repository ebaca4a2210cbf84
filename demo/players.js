// SPDX-License-Identifier: Apache-2.0
// The three players behind one shape: start(video, source, options) gives {stop()}.
//
// options.token   what the request for a key carries as Authorization: Bearer; null for none
// options.failed  is told, in the player's own words, that it can't go on
//
// Where keys are to be had is said by manifest and playlist, and so by the exchange.
/* global shaka, dashjs, Hls */

function bearer(token) {
  return token ? {Authorization: `Bearer ${token}`} : {};
}

export async function startShaka(video, source, {token, failed}) {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  const tell = (error) => failed(shakaWords(error));
  await player.attach(video);
  player.getNetworkingEngine().registerRequestFilter((type, request) => {
    if (type === shaka.net.NetworkingEngine.RequestType.LICENSE) {
      Object.assign(request.headers, bearer(token));
    }
  });
  player.addEventListener('error', (event) => tell(event.detail));
  player.load(source).catch(tell);
  return {stop: () => player.destroy()};
}

function shakaWords(error) {
  const name = Object.entries(shaka.util.Error.Code).find(([, code]) => code === error.code);
  const inner = (error.data ?? []).find((item) => item instanceof shaka.util.Error);
  const status = inner?.code === shaka.util.Error.Code.BAD_HTTP_STATUS ? `, HTTP ${inner.data[1]}` : '';
  return `shaka-player: error ${error.code}${name ? ` ${name[0]}` : ''}${status}`;
}

export async function startDash(video, source, {token, failed}) {
  const player = dashjs.MediaPlayer().create();
  player.initialize();
  player.updateSettings({debug: {logLevel: dashjs.Debug.LOG_LEVEL_NONE}});
  // Not setProtectionData(): with that dash.js 5.2 takes the W3C common box before the Clear Key
  // descriptor and asks for a licence with it in the wrong form (error 113).
  player.registerLicenseRequestFilter((request) => {
    Object.assign(request.headers, bearer(token));
    return Promise.resolve();
  });
  const tell = ({error}) => failed(`dash.js: error ${error?.code ?? ''} ${dashWords(error)}`);
  player.on(dashjs.MediaPlayer.events.ERROR, tell);
  player.on(dashjs.Protection.events.KEY_ERROR, tell);
  player.attachView(video);
  player.attachSource(source);
  return {stop: () => player.destroy()};
}

function dashWords(error) {
  return (error?.message ?? String(error)).replace(/\s+/g, ' ').slice(0, 200);
}

export async function startHls(video, source, {token, failed}) {
  const once = {
    default: {
      maxTimeToFirstByteMs: 8000, maxLoadTimeMs: 20000, timeoutRetry: null,
      errorRetry: {maxNumRetry: 1, retryDelayMs: 500, maxRetryDelayMs: 500},
    },
  };
  const player = new Hls({
    keyLoadPolicy: once,
    xhrSetup: (xhr, url) => {
      if (token && !new URL(url, location.href).pathname.startsWith(new URL('.', location.href).pathname)) {
        xhr.setRequestHeader('Authorization', `Bearer ${token}`);
      }
    },
  });
  player.on(Hls.Events.ERROR, (_, data) => {
    if (data.fatal) {
      const status = data.response?.code ? `, HTTP ${data.response.code}` : '';
      failed(`hls.js: ${data.type}, ${data.details}${status}`);
    }
  });
  player.loadSource(source);
  player.attachMedia(video);
  return {stop: () => player.destroy()};
}
